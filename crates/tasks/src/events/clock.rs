use std::sync::atomic::{AtomicU64, Ordering};

/// A Lamport clock, which orders what several workers say. Celery's `app.clock`.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    /// The next tick: later than all before.
    pub fn forward(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Moves behind a tick that was heard of.
    pub fn adjust(&self, heard: u64) {
        // A stranger's clock at the end of time must not stop this one.
        self.0.fetch_max(heard.min(u64::MAX / 2), Ordering::Relaxed);
        self.forward();
    }

    /// The last tick.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
