//! A store that ends with the process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::super::entry::Entry;
use super::super::error::BeatError;
use super::super::lease::{Fence, Lease};
use super::ScheduleStore;
use super::runs::{Run, Runs, installed, with_runs};

/// Keeps the last runs in memory: a restart forgets them, and each entry then counts from the start.
///
/// For beats inside a process of which there is one.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<Entry>,
    runs: Runs,
    fence: i64,
    held_until: Option<Instant>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, run: impl FnOnce(&mut Kept) -> T) -> T {
        // What is kept is whole between any two statements.
        run(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, fence: Fence, run: impl FnOnce(&mut Kept)) -> Result<(), BeatError> {
        self.with(|kept| {
            if kept.fence > fence.0 {
                return Err(BeatError::lease_lost());
            }
            kept.fence = fence.0;
            run(kept);
            Ok(())
        })
    }
}

#[async_trait]
impl ScheduleStore for MemoryStore {
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError> {
        self.write(fence, |kept| {
            kept.runs = installed(entries, &kept.runs);
            kept.entries = entries.to_vec();
        })
    }

    async fn load(&self) -> Result<Vec<Entry>, BeatError> {
        Ok(self.with(|kept| with_runs(&kept.entries, &kept.runs)))
    }

    async fn changed(&self) -> Result<bool, BeatError> {
        Ok(false)
    }

    async fn record(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        self.write(fence, |kept| {
            kept.runs
                .extend(Run::of(entry).map(|run| (entry.name.clone(), run)));
        })
    }

    async fn finish(&self, _: Fence, _: &Entry) -> Result<(), BeatError> {
        Ok(())
    }
}

#[async_trait]
impl Lease for MemoryStore {
    async fn acquire(&self, time: Duration) -> Result<Option<Fence>, BeatError> {
        Ok(self.with(|kept| {
            let now = Instant::now();
            if kept.held_until.is_some_and(|until| until > now) {
                return None;
            }
            kept.held_until = Some(now + time);
            kept.fence += 1;
            Some(Fence(kept.fence))
        }))
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError> {
        Ok(self.with(|kept| {
            let held = kept.fence == fence.0;
            if held {
                kept.held_until = Some(Instant::now() + time);
            }
            held
        }))
    }

    async fn release(&self, fence: Fence) -> Result<(), BeatError> {
        self.with(|kept| {
            if kept.fence == fence.0 {
                kept.held_until = None;
            }
        });
        Ok(())
    }
}
