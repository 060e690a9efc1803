//! Where messages travel. One implementation for each of Celery's transports; object-safe, so `broker_url` chooses at run time.

#[cfg(feature = "amqp")]
mod amqp;
mod error;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod routing;
#[cfg(feature = "sqlite")]
mod sqla;
mod topology;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

#[cfg(feature = "amqp")]
pub use amqp::AmqpBroker;
pub use error::{BrokerError, BrokerErrorKind};
pub use memory::MemoryBroker;
#[cfg(feature = "redis")]
pub use redis::RedisBroker;
#[cfg(feature = "sqlite")]
pub use sqla::SqlaBroker;
pub use topology::{Destination, Exchange, ExchangeKind, Queue, QueueKind};

use crate::protocol::Message;

/// A broker. A cheap handle whose clones share connections; it connects when it is first used, and again after a connection is lost.
#[async_trait]
pub trait Broker: fmt::Debug + Send + Sync + 'static {
    /// Hands over a message; returns when the broker has it (on `RabbitMQ`, confirmed and routed to a queue; a fanout or topic that nobody
    /// listens to is no error). Many calls at once share round trips.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached or refuses. It may then have the message nevertheless (the answer was lost).
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the message may or may not have been handed over.
    async fn publish(&self, message: &Message, to: &Destination) -> Result<(), BrokerError>;

    /// Begins to take messages from queues, which are declared and bound first.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached, or a queue exists with other properties.
    async fn consume(
        &self,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Declares a queue and binds it.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError>;

    /// Drops what waits in a queue; returns how many messages that were.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached. A queue that does not exist holds nothing.
    async fn purge(&self, queue: &str) -> Result<u64, BrokerError>;

    /// How many messages wait in a queue (those that a worker holds do not).
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached.
    async fn waiting(&self, queue: &str) -> Result<u64, BrokerError>;

    /// What `celery inspect stats` says of the broker.
    fn info(&self) -> BrokerInfo;
}

/// A broker as the operators' tools see it; without its password.
#[derive(Clone, Debug, Default)]
pub struct BrokerInfo {
    /// `amqp`, `redis`, `memory` or `sqla`.
    pub transport: &'static str,
    /// The host, or the file.
    pub hostname: String,
    /// The port.
    pub port: Option<u16>,
    /// The user.
    pub userid: Option<String>,
    /// The virtual host, or the number of the database.
    pub virtual_host: String,
}

/// How messages are taken.
#[derive(Clone, Copy, Debug)]
pub struct ConsumeOptions {
    /// At most so many messages are held that are not yet acknowledged. 0 for any number.
    pub prefetch: u32,
    /// Whether messages need no acknowledgement: events, replies.
    pub no_ack: bool,
}

/// Takes messages, in batches as they come.
#[async_trait]
pub trait Consumer: Send + 'static {
    /// Waits for messages; never an empty batch.
    ///
    /// # Errors
    ///
    /// When the connection is lost. The consumer is then of no use any more: make another. What it held is delivered again by the broker
    /// (on Redis: it still holds it, and acknowledgements still count).
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: what was taken comes with the next call, or goes back to the queue when the consumer is dropped.
    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError>;

    /// What acknowledges.
    fn channel(&self) -> Arc<dyn Channel>;
}

/// The way back to the broker for what a [`Consumer`] took. Tags are the consumer's own.
#[async_trait]
pub trait Channel: fmt::Debug + Send + Sync + 'static {
    /// Done with these; returns once the broker knows (so that a task begun then does not run twice).
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached: then they may be delivered again.
    async fn ack(&self, tags: &[u64]) -> Result<(), BrokerError>;

    /// Acknowledges messages whose tasks are to begin then: all of them, or none. Not those that somebody else has by now.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached, or has given one of them away since: then none of them may begin here.
    async fn claim(&self, tags: &[u64]) -> Result<(), BrokerError> {
        self.ack(tags).await
    }

    /// Back to the front of their queues, at once.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    async fn requeue(&self, tags: &[u64]) -> Result<(), BrokerError>;

    /// Not wanted; the broker's rules for dead letters apply, where it has some.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    async fn reject(&self, tag: u64) -> Result<(), BrokerError>;

    /// Leaves a message in the broker until a time, and forgets it here: it is delivered again then, to whoever consumes. `false` where this broker
    /// cannot: then it must be held.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    async fn park(&self, delivery: &Delivery, until: DateTime<Utc>) -> Result<bool, BrokerError>;

    /// Changes a header of a message that is held, for whoever has it next. `false` where this broker cannot.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached, or has given the message away since.
    async fn set_header(
        &self,
        _tag: u64,
        _name: &str,
        _value: &Value,
    ) -> Result<bool, BrokerError> {
        Ok(false)
    }

    /// Changes how many messages may be held.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    async fn set_prefetch(&self, prefetch: u32) -> Result<(), BrokerError>;

    /// Begins to take from another queue, which is declared first.
    ///
    /// # Errors
    ///
    /// As [`Broker::consume`].
    async fn add_queue(&self, queue: &Queue) -> Result<(), BrokerError>;

    /// Takes no more from a queue; what is held stays held.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    async fn cancel_queue(&self, name: &str) -> Result<(), BrokerError>;
}

/// A message that was taken, and must be acknowledged.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// By which it is acknowledged, at the channel of the consumer that took it.
    pub tag: u64,
    /// The queue that it was taken from.
    pub queue: Arc<str>,
    /// The exchange that it was published to; empty for the default one.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Whether it has been delivered before.
    pub redelivered: bool,
    /// How often it has been delivered before, where the broker counts those that count: of a message that was held and never begun, none does.
    pub deliveries: Option<u32>,
    /// The message, or why it is none.
    pub message: Result<Message, Malformed>,
}

/// What was in a queue and is no message.
#[derive(Clone, Debug, PartialEq)]
pub struct Malformed {
    /// What is wrong with it.
    pub reason: String,
    /// All of it, as it came; of a message whose headers cannot be read, the body.
    pub raw: Bytes,
}
