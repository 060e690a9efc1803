//! Where results are kept. One implementation for each of Celery's backends; object-safe, so `result_backend` chooses at run time.

#[cfg(feature = "database")]
mod database;
#[cfg(feature = "database")]
mod django;
mod error;
mod memory;
mod meta;
#[cfg(feature = "database")]
mod polling;
#[cfg(feature = "redis")]
mod redis;
mod rpc;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "database")]
pub use database::DatabaseResults;
#[cfg(feature = "database")]
pub use django::DjangoResults;
pub use error::{ResultError, ResultErrorKind};
pub use memory::MemoryResults;
pub use meta::{State, TaskMeta};
#[cfg(feature = "redis")]
pub use redis::RedisResults;
pub use rpc::RpcResults;

use crate::signature::Signature;

/// A result backend. A cheap handle whose clones share connections.
#[async_trait]
pub trait ResultBackend: fmt::Debug + Send + Sync + 'static {
    /// Stores what became of a task, and wakes those who wait for it. A SUCCESS is never overwritten. Many calls at once share round trips.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn store(&self, meta: &TaskMeta, request: &StoreContext) -> Result<(), ResultError>;

    /// Called before a task is sent whose result may be asked for (`on_task_call`): what comes at once must not be missed. Cheap after the
    /// first time.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn before_sending(&self) -> Result<(), ResultError> {
        Ok(())
    }

    /// What became of a task; `None` where nothing is known (Celery's PENDING).
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached, or holds what cannot be read.
    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError>;

    /// Waits until a task is ready (SUCCESS, FAILURE or REVOKED), woken by the store where it can. `None` when the time is over.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError>;

    /// Forgets a result.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn forget(&self, id: &str) -> Result<(), ResultError>;

    /// Stores the ids of a group's children (`GroupResult.save`): JSON as Celery writes it.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached or keeps no groups.
    async fn save_group(
        &self,
        group: &str,
        children: &quintette_core::json::RawJson,
    ) -> Result<(), ResultError>;

    /// The children of a group that was saved.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn load_group(
        &self,
        group: &str,
    ) -> Result<Option<quintette_core::json::RawJson>, ResultError>;

    /// Forgets a group that was saved.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn forget_group(&self, group: &str) -> Result<(), ResultError>;

    /// Chords that the store counts by itself (Redis). `None`: they need `celery.chord_unlock`.
    fn chords(&self) -> Option<&dyn ChordCounter> {
        None
    }

    /// Whether chords can be made at all: whether anybody can ask for any result. Not so with RPC, where only the client can.
    fn allows_chords(&self) -> bool {
        true
    }

    /// Deletes what has expired, where the store does not do that by itself (`celery.backend_cleanup`).
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn clean_up(&self) -> Result<u64, ResultError> {
        Ok(0)
    }

    /// Whether results expire by themselves.
    fn expires_by_itself(&self) -> bool {
        true
    }
}

/// What a backend needs to know of a task beside its result.
#[derive(Clone, Debug, Default)]
pub struct StoreContext {
    /// The queue of the client that waits (RPC).
    pub reply_to: Option<String>,
    /// The message's `correlation_id` (RPC).
    pub correlation_id: Option<String>,
    /// The group that the task is part of.
    pub group: Option<String>,
}

/// Counts a chord's parts, by Celery's counters in the store.
#[async_trait]
pub trait ChordCounter: Send + Sync {
    /// How many parts a chord has; told when its header has been sent.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn set_size(&self, group: &str, size: u64) -> Result<(), ResultError>;

    /// Whether the ids of the parts must be known, too: then the group is [saved](ResultBackend::save_group) before its size is told.
    fn needs_group(&self) -> bool {
        false
    }

    /// A part is done. Returns the results of all parts, in order, to the one caller that finds them complete.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn part_done(&self, part: &ChordPart<'_>) -> Result<ChordProgress, ResultError>;

    /// The body of a chord that was complete could not be sent, and its last part will be counted again: it must be found complete then, too.
    fn give_back(&self, _group: &str) {}

    /// The body has been sent (or its failure stored): the counters go.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached.
    async fn finish(&self, group: &str) -> Result<(), ResultError>;
}

/// A part of a chord that is done.
#[derive(Clone, Copy, Debug)]
pub struct ChordPart<'a> {
    /// The chord's group.
    pub group: &'a str,
    /// The part's place.
    pub index: Option<i64>,
    /// The task's id.
    pub task_id: &'a str,
    /// SUCCESS or FAILURE.
    pub state: State,
    /// Its result, or its exception as stored.
    pub result: &'a quintette_core::json::RawJson,
    /// The body, which may know the number of parts (`chord_size`).
    pub body: &'a Signature,
}

/// How far a chord is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChordProgress {
    /// Parts are missing.
    Waiting,
    /// All are done: their ids, states and results, in order.
    Complete(Vec<(String, State, quintette_core::json::RawJson)>),
}
