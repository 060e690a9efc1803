//! `memory://`: results in this process, for the embedded broker and for tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use quintette_core::json::RawJson;
use tokio::sync::Notify;

use super::{ResultBackend, ResultError, State, StoreContext, TaskMeta};

/// Keeps results in this process, and the newest hundred thousand of them.
#[derive(Clone, Debug)]
pub struct MemoryResults {
    metas: Cache<String, TaskMeta>,
    groups: Cache<String, RawJson>,
    changed: Arc<Notify>,
}

impl MemoryResults {
    const MOST: u64 = 100_000;

    /// An empty store whose results live for `expires`.
    pub fn new(expires: Option<Duration>) -> Self {
        let lifetime = lifetime(expires);
        Self {
            metas: Cache::builder()
                .max_capacity(Self::MOST)
                .time_to_live(lifetime)
                .build(),
            groups: Cache::builder()
                .max_capacity(Self::MOST)
                .time_to_live(lifetime)
                .build(),
            changed: Arc::new(Notify::new()),
        }
    }
}

/// How long what expires lives in a cache of this process: a year where it never does, and a century at most (moka has no room for more).
pub(super) fn lifetime(expires: Option<Duration>) -> Duration {
    const YEAR: Duration = Duration::from_hours(8_760);
    expires.map_or(YEAR, |expires| expires.min(100 * YEAR))
}

#[async_trait]
impl ResultBackend for MemoryResults {
    async fn store(&self, meta: &TaskMeta, _: &StoreContext) -> Result<(), ResultError> {
        let entry = self.metas.entry(meta.task_id.clone());
        entry.and_upsert_with(|stored| match stored {
            Some(stored) if stored.value().status == State::Success => stored.into_value(),
            _ => meta.clone(),
        });
        self.changed.notify_waiters();
        Ok(())
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        Ok(self.metas.get(id))
    }

    async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        let ready = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(meta) = self.metas.get(id).filter(|meta| meta.status.is_ready()) {
                    return meta;
                }
                changed.await;
            }
        };
        Ok(match timeout {
            Some(timeout) => tokio::time::timeout(timeout, ready).await.ok(),
            None => Some(ready.await),
        })
    }

    async fn forget(&self, id: &str) -> Result<(), ResultError> {
        self.metas.invalidate(id);
        Ok(())
    }

    async fn save_group(&self, group: &str, children: &RawJson) -> Result<(), ResultError> {
        self.groups.insert(group.to_owned(), children.clone());
        Ok(())
    }

    async fn load_group(&self, group: &str) -> Result<Option<RawJson>, ResultError> {
        Ok(self.groups.get(group))
    }

    async fn forget_group(&self, group: &str) -> Result<(), ResultError> {
        self.groups.invalidate(group);
        Ok(())
    }
}
