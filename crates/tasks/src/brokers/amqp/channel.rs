use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use crate::brokers::{BrokerError, BrokerErrorKind, Channel, Delivery, Queue};

use super::consumer::Source;
use super::delayed;
use super::publisher::Publisher;
use super::url::Server;

/// Longer than heartbeats take to notice that a connection is dead: whoever still waits for an answer then has none to expect.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way back to the broker of one consumer.
pub(super) struct AmqpChannel {
    pub(super) server: Server,
    pub(super) commands: UnboundedSender<Command>,
    pub(super) publisher: Arc<Publisher>,
}

/// What is to be done on the channel, in the order in which it was asked for.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) what: Work,
    pub(super) done: oneshot::Sender<Result<(), Failed>>,
}

#[derive(Debug)]
pub(super) enum Work {
    Acknowledge(Vec<u64>),
    Requeue(Vec<u64>),
    Reject(u64),
    Prefetch(u32),
    Add(Box<Queue>),
    Cancel(String),
    /// The consumer was dropped: what it did not take goes back.
    Stop(Vec<Source>),
}

/// An error that many callers share.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) kind: BrokerErrorKind,
    pub(super) what: String,
}

impl From<BrokerError> for Failed {
    fn from(error: BrokerError) -> Self {
        Self {
            kind: error.kind(),
            what: error.to_string(),
        }
    }
}

impl AmqpChannel {
    async fn work(&self, what: Work) -> Result<(), BrokerError> {
        let (done, result) = oneshot::channel();
        // Where nobody works any more, the result is a sender that was dropped.
        let _ = self.commands.send(Command { what, done });
        let reason = match timeout(PATIENCE, result).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(Failed { kind, what }))) => return Err(BrokerError::new(kind, what)),
            Ok(Err(_)) => "the channel is closed".to_owned(),
            Err(_) => format!("no answer within {} seconds", PATIENCE.as_secs()),
        };
        let what = format!("{}: {reason}", self.server);
        Err(BrokerError::new(BrokerErrorKind::Unavailable, what))
    }

    pub(super) fn stop(&self, sources: Vec<Source>) {
        let (done, _) = oneshot::channel();
        let _ = self.commands.send(Command {
            what: Work::Stop(sources),
            done,
        });
    }
}

#[async_trait]
impl Channel for AmqpChannel {
    async fn ack(&self, tags: &[u64]) -> Result<(), BrokerError> {
        self.work(Work::Acknowledge(tags.to_vec())).await
    }

    async fn requeue(&self, tags: &[u64]) -> Result<(), BrokerError> {
        self.work(Work::Requeue(tags.to_vec())).await
    }

    async fn reject(&self, tag: u64) -> Result<(), BrokerError> {
        self.work(Work::Reject(tag)).await
    }

    /// Publishes the message into Celery's levels of delayed delivery, and acknowledges it when the broker has confirmed that. A connection
    /// that is lost between the two leaves it in both places: it is then delivered twice.
    async fn park(&self, delivery: &Delivery, until: DateTime<Utc>) -> Result<bool, BrokerError> {
        let Ok(message) = &delivery.message else {
            return Ok(false);
        };
        let Some(to) = delayed::parking(&delivery.queue, until) else {
            return Ok(false);
        };
        match self.publisher.park(message, &to, &delivery.queue).await {
            Ok(()) => {}
            Err(error) if error.kind() == BrokerErrorKind::Refused => {
                warn!(%error, queue = %delivery.queue, "a message cannot wait in the broker");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.ack(&[delivery.tag]).await?;
        Ok(true)
    }

    async fn set_prefetch(&self, prefetch: u32) -> Result<(), BrokerError> {
        self.work(Work::Prefetch(prefetch)).await
    }

    async fn add_queue(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.work(Work::Add(Box::new(queue.clone()))).await
    }

    async fn cancel_queue(&self, name: &str) -> Result<(), BrokerError> {
        self.work(Work::Cancel(name.to_owned())).await
    }
}

impl fmt::Debug for AmqpChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpChannel")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
