//! Acknowledging, and what a consumer and its task share.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::{Shared, tables};
use crate::brokers::{BrokerError, BrokerErrorKind, Channel, ConsumeOptions, Delivery, Queue};
use crate::database::Statement;

/// Acknowledges what a consumer took.
pub(super) struct SqlaChannel {
    pub(super) shared: Arc<Shared>,
    /// Whose the messages are, in the table.
    pub(super) owner: String,
    pub(super) no_ack: bool,
    pub(super) taking: Mutex<Taking>,
    /// There may be more to take, or nothing any more.
    pub(super) woken: Notify,
}

/// What the consumer takes, and has.
pub(super) struct Taking {
    pub(super) queues: Vec<String>,
    pub(super) prefetch: u32,
    pub(super) held: HashSet<i64>,
    pub(super) is_closed: bool,
}

impl SqlaChannel {
    pub(super) fn new(shared: Arc<Shared>, queues: &[Queue], options: ConsumeOptions) -> Self {
        Self {
            shared,
            owner: uuid::Uuid::new_v4().to_string(),
            no_ack: options.no_ack,
            taking: Mutex::new(Taking {
                queues: queues.iter().map(|queue| queue.name.clone()).collect(),
                prefetch: options.prefetch,
                held: HashSet::new(),
                is_closed: false,
            }),
            woken: Notify::new(),
        }
    }

    pub(super) fn taking(&self) -> MutexGuard<'_, Taking> {
        self.taking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of the tags that are held.
    fn ids(&self, tags: &[u64]) -> Result<Vec<i64>, BrokerError> {
        let taking = self.taking();
        if taking.is_closed {
            return Err(BrokerError::new(
                BrokerErrorKind::Unavailable,
                format!(
                    "{}: the consumer is gone, and what it held goes back to its queues",
                    self.shared.database.place()
                ),
            ));
        }
        let ids = tags.iter().filter_map(|tag| i64::try_from(*tag).ok());
        Ok(ids.filter(|id| taking.held.contains(id)).collect())
    }

    async fn settle(&self, ids: &[i64], statements: Vec<Statement>) -> Result<(), BrokerError> {
        if ids.is_empty() {
            return Ok(());
        }
        let written = self.shared.database().await?.write(statements).await;
        written.map_err(|error| {
            if error.is_unchanged() {
                return BrokerError::new(
                    BrokerErrorKind::Unavailable,
                    format!(
                        "{}: this worker was silent for so long that others took over what it held",
                        self.shared.database.place()
                    ),
                );
            }
            error.into()
        })?;
        let mut taking = self.taking();
        for id in ids {
            taking.held.remove(id);
        }
        drop(taking);
        self.woken.notify_one();
        Ok(())
    }
}

#[async_trait]
impl Channel for SqlaChannel {
    async fn ack(&self, tags: &[u64]) -> Result<(), BrokerError> {
        let ids = self.ids(tags)?;
        self.settle(&ids, vec![tables::done(&self.owner, &ids)])
            .await
    }

    async fn claim(&self, tags: &[u64]) -> Result<(), BrokerError> {
        let ids = self.ids(tags)?;
        let done = tables::done_early(&self.owner, &ids);
        self.settle(&ids, vec![done]).await
    }

    async fn requeue(&self, tags: &[u64]) -> Result<(), BrokerError> {
        let ids = self.ids(tags)?;
        self.settle(&ids, tables::requeue(&self.owner, Some(&ids)))
            .await?;
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn reject(&self, tag: u64) -> Result<(), BrokerError> {
        self.ack(&[tag]).await
    }

    async fn park(&self, delivery: &Delivery, until: DateTime<Utc>) -> Result<bool, BrokerError> {
        let ids = self.ids(&[delivery.tag])?;
        let due = until.timestamp_millis();
        let parked = ids.iter().map(|id| tables::park(&self.owner, *id, due));
        self.settle(&ids, parked.collect()).await?;
        Ok(true)
    }

    async fn set_prefetch(&self, prefetch: u32) -> Result<(), BrokerError> {
        self.taking().prefetch = prefetch;
        self.woken.notify_one();
        Ok(())
    }

    async fn add_queue(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.shared.declare(queue).await?;
        let mut taking = self.taking();
        if !taking.queues.contains(&queue.name) {
            taking.queues.push(queue.name.clone());
        }
        drop(taking);
        self.woken.notify_one();
        Ok(())
    }

    async fn cancel_queue(&self, name: &str) -> Result<(), BrokerError> {
        self.taking().queues.retain(|queue| queue != name);
        Ok(())
    }
}

impl fmt::Debug for SqlaChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlaChannel")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
