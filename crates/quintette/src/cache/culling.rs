use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many entries a cache holds before some are thrown away: Django's `MAX_ENTRIES` and `CULL_FREQUENCY`.
///
/// Django counts at every write. Here only what makes the cache grow counts, and not every time: until an eighth of the
/// room that was left is taken, nobody looks again.
#[derive(Clone, Debug)]
pub(super) struct Culling {
    pub(super) max_entries: u64,
    /// One in so many goes; zero is all of them.
    pub(super) frequency: u64,
    /// How many entries may come before the next count.
    uncounted: Arc<AtomicU64>,
}

/// What others may add while one counts.
const MEANWHILE: u64 = 64;

impl Default for Culling {
    /// Django's defaults.
    fn default() -> Self {
        Self::new(300, 3)
    }
}

impl Culling {
    pub(super) fn new(max_entries: u64, frequency: u64) -> Self {
        Self {
            max_entries,
            frequency,
            uncounted: Arc::default(),
        }
    }

    /// Whether the entries are to be counted before another one comes. Of several at once, one is told so.
    pub(super) fn is_due(&self) -> bool {
        let before = self
            .uncounted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.checked_sub(1).unwrap_or(MEANWHILE))
            });
        before == Ok(0)
    }

    /// There are so many.
    pub(super) fn counted(&self, entries: u64) {
        let room = self.max_entries.saturating_sub(entries);
        self.uncounted.store(room / 8, Ordering::Relaxed);
    }

    /// How many of so many entries go.
    pub(super) fn share(&self, entries: u64) -> u64 {
        entries.checked_div(self.frequency).unwrap_or(entries)
    }
}
