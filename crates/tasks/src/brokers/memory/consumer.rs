//! Taking and acknowledging.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::Shared;
use super::queues::Queues;
use crate::brokers::{
    BrokerError, BrokerErrorKind, Channel, ConsumeOptions, Consumer, Delivery, Queue,
};

/// No timer is set for longer: a message that is due later is looked at again then.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Takes messages from queues in this process.
pub(super) struct MemoryConsumer {
    channel: Arc<MemoryChannel>,
    woken: Arc<Notify>,
}

impl MemoryConsumer {
    pub(super) fn new(shared: Arc<Shared>, options: ConsumeOptions) -> Self {
        let (id, woken) = shared.lock().begin(options.prefetch, options.no_ack);
        Self {
            channel: Arc::new(MemoryChannel { shared, id }),
            woken,
        }
    }

    pub(super) fn add_queue(&self, queue: &Queue) {
        let MemoryChannel { shared, id } = &*self.channel;
        shared.lock().add_queue(*id, queue);
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        let MemoryChannel { shared, id } = &*self.channel;
        loop {
            let due = {
                let mut queues = shared.lock();
                let taken = queues.take(*id);
                if !taken.is_empty() {
                    return Ok(taken);
                }
                queues.next_due()
            };
            match due {
                Some(due) => {
                    let _ = tokio::time::timeout_at(due, self.woken.notified()).await;
                }
                None => self.woken.notified().await,
            }
        }
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        let MemoryChannel { shared, id } = &*self.channel;
        shared.lock().end(*id);
    }
}

/// Acknowledges what a [`MemoryConsumer`] took.
struct MemoryChannel {
    shared: Arc<Shared>,
    id: u64,
}

impl MemoryChannel {
    fn with<R>(&self, act: impl FnOnce(&mut Queues, u64) -> R) -> Result<R, BrokerError> {
        let mut queues = self.shared.lock();
        if queues.is_consuming(self.id) {
            return Ok(act(&mut queues, self.id));
        }
        Err(BrokerError::new(
            BrokerErrorKind::Unavailable,
            "memory://: the consumer is gone, and what it held has gone back to its queues",
        ))
    }
}

#[async_trait]
impl Channel for MemoryChannel {
    async fn ack(&self, tags: &[u64]) -> Result<(), BrokerError> {
        self.with(|queues, id| queues.done(id, tags))
    }

    async fn requeue(&self, tags: &[u64]) -> Result<(), BrokerError> {
        self.with(|queues, id| queues.requeue(id, tags))
    }

    async fn reject(&self, tag: u64) -> Result<(), BrokerError> {
        self.with(|queues, id| queues.done(id, &[tag]))
    }

    async fn park(&self, delivery: &Delivery, until: DateTime<Utc>) -> Result<bool, BrokerError> {
        let after = (until - Utc::now()).to_std().unwrap_or(Duration::ZERO);
        self.with(|queues, id| queues.park(id, delivery.tag, after.min(LONGEST)))?;
        Ok(true)
    }

    async fn set_prefetch(&self, prefetch: u32) -> Result<(), BrokerError> {
        self.with(|queues, id| queues.set_prefetch(id, prefetch))
    }

    async fn add_queue(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.with(|queues, id| queues.add_queue(id, queue))
    }

    async fn cancel_queue(&self, name: &str) -> Result<(), BrokerError> {
        self.with(|queues, id| queues.cancel_queue(id, name))
    }
}

impl std::fmt::Debug for MemoryChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryChannel")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
