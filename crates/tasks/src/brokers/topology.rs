//! Queues and exchanges, as kombu names them.

use std::time::Duration;

/// How an exchange chooses queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    /// Those bound with the message's routing key.
    #[default]
    Direct,
    /// Those whose pattern the routing key fits.
    Topic,
    /// All of them.
    Fanout,
}

/// An exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Its name; empty for the default exchange, which routes to the queue that the routing key names.
    pub name: String,
    /// How it chooses.
    pub kind: ExchangeKind,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
}

/// Where a message goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The exchange.
    pub exchange: Exchange,
    /// The routing key.
    pub routing_key: String,
    /// Whether nobody need be there to take it (events, broadcasts, replies).
    pub may_be_dropped: bool,
    /// The queue that must exist before: declared once by each client, as Celery's clients do.
    pub declare: Option<Box<Queue>>,
}

impl Destination {
    /// A task queue by its name: the default exchange, with the queue declared first. Celery publishes to it so.
    pub fn queue(queue: Queue) -> Self {
        Self {
            exchange: Exchange::default(),
            routing_key: queue.name.clone(),
            may_be_dropped: false,
            declare: Some(Box::new(queue)),
        }
    }
}

/// What kind of queue it is on `RabbitMQ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QueueKind {
    /// On one node.
    #[default]
    Classic,
    /// Replicated.
    Quorum,
}

/// A queue and its binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "they are AMQP's")]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// What it is bound to.
    pub exchange: Exchange,
    /// The key that it is bound with.
    pub routing_key: String,
    /// Classic or quorum.
    pub kind: QueueKind,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether only the connection that declared it may use it.
    pub exclusive: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// After how long without use it goes.
    pub expires: Option<Duration>,
    /// How long messages are kept in it.
    pub message_ttl: Option<Duration>,
    /// The highest priority.
    pub max_priority: Option<u8>,
    /// Whether its messages are delivered when they are due and not before, by Celery's native delayed delivery.
    pub delayed_delivery: bool,
}

impl Queue {
    /// A task queue, as Celery declares one that it is not told more about: durable, bound to a direct exchange of its own name.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            exchange: Exchange {
                name: name.clone(),
                kind: ExchangeKind::Direct,
                durable: true,
            },
            routing_key: name.clone(),
            name,
            kind: QueueKind::Classic,
            durable: true,
            exclusive: false,
            auto_delete: false,
            expires: None,
            message_ttl: None,
            max_priority: None,
            delayed_delivery: false,
        }
    }
}
