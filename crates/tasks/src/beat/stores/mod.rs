//! Where beat keeps what it knows over a restart, and the lease.

#[cfg(feature = "database")]
pub(super) mod database;
mod file;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod runs;

use std::fmt::Debug;

use async_trait::async_trait;

use super::entry::Entry;
use super::error::BeatError;
use super::lease::{Fence, Lease};

#[cfg(feature = "database")]
pub use database::DatabaseStore;
pub use file::FileStore;
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;

/// The entries of a beat and their last runs.
///
/// Each method that writes takes the [`Fence`] of the leader. A store must write nothing, and say
/// [`LeaseLost`](super::BeatErrorKind::LeaseLost), once it has seen a greater one.
#[async_trait]
pub trait ScheduleStore: Debug + Send + Sync {
    /// Takes the entries that the program defines. Those that the store has not seen before count from `entry.last_run_at`,
    /// which is now.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written, or knows a later leader.
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError>;

    /// All entries, with their last runs.
    ///
    /// # Errors
    ///
    /// When the store cannot be read. An entry that cannot be understood is left out, with a line in the log.
    async fn load(&self) -> Result<Vec<Entry>, BeatError>;

    /// Whether entries may have been changed by others since they were last loaded: asked every few seconds.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn changed(&self) -> Result<bool, BeatError>;

    /// Writes an entry's `last_run_at` and `total_run_count`.
    ///
    /// # Errors
    ///
    /// When the store cannot be written, or knows a later leader.
    async fn record(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError>;

    /// An entry is done with: it was a single run, or its end has come.
    ///
    /// # Errors
    ///
    /// When the store cannot be written, or knows a later leader.
    async fn finish(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError>;
}

/// A store that keeps the lease too.
pub trait BeatStore: ScheduleStore + Lease {}

impl<T: ScheduleStore + Lease> BeatStore for T {}
