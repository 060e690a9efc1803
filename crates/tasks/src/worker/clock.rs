use std::sync::atomic::{AtomicU64, Ordering};

/// A Lamport clock, which orders events of several workers. Celery's `app.clock`.
#[derive(Debug, Default)]
pub struct LamportClock(AtomicU64);

impl LamportClock {
    /// The time, before something is sent: later than all before.
    pub fn forward(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Another's time was seen: later than both from now on.
    pub fn adjust(&self, other: u64) -> u64 {
        // A stranger's clock at the end of time must not stop this one.
        let other = other.min(u64::MAX / 2);
        self.0
            .fetch_max(other, Ordering::SeqCst)
            .max(other)
            .saturating_add(1)
            .max(self.forward())
    }

    /// The time.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
