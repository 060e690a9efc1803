//! `memory://`: messages in this process.

mod consumer;
mod queues;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;

use self::consumer::MemoryConsumer;
use self::queues::Queues;
use super::{
    Broker, BrokerError, BrokerErrorKind, BrokerInfo, ConsumeOptions, Consumer, Destination, Queue,
};
use crate::protocol::Message;

/// Messages in this process: the default, for development and for what may be lost with the process.
///
/// Clones share queues. As on `RabbitMQ` the higher priority comes first, also in queues that declare no highest one, and what is given
/// back keeps its place. A queue that exists keeps the properties that it was declared with first; another binding is added to it.
///
/// ```
/// use quintette_tasks::brokers::{Broker, Destination, MemoryBroker, Queue};
/// use quintette_tasks::protocol::Message;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MemoryBroker::default();
/// let message = Message::json("[[], {}, null]");
/// broker.publish(&message, &Destination::queue(Queue::new("celery"))).await?;
/// assert_eq!(broker.waiting("celery").await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
    name: Arc<str>,
}

impl MemoryBroker {
    /// The broker of that name: of `memory://NAME`, one in the whole process, for as long as somebody has it. Without a name, one of its own.
    pub fn named(name: &str) -> Self {
        static NAMED: LazyLock<Mutex<HashMap<Arc<str>, Weak<Shared>>>> =
            LazyLock::new(Mutex::default);
        if name.is_empty() {
            return Self::default();
        }
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|_, shared| shared.strong_count() > 0);
        let name: Arc<str> = name.into();
        let shared = named.get(&name).and_then(Weak::upgrade).unwrap_or_default();
        named.insert(name.clone(), Arc::downgrade(&shared));
        Self { shared, name }
    }
}

/// What clones and consumers share.
#[derive(Default)]
struct Shared {
    queues: Mutex<Queues>,
}

impl Shared {
    /// Held for the time of one operation, and never over an await.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, message: &Message, to: &Destination) -> Result<(), BrokerError> {
        let mut queues = self.shared.lock();
        if let Some(queue) = &to.declare {
            queues.declare(queue);
        }
        if queues.publish(message, &to.exchange, &to.routing_key) || to.may_be_dropped {
            return Ok(());
        }
        Err(BrokerError::new(
            BrokerErrorKind::Unroutable,
            format!(
                "memory://: no queue takes a message of the exchange {:?} with the routing key {:?}; declare one that is bound so",
                to.exchange.name, to.routing_key
            ),
        ))
    }

    async fn consume(
        &self,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        let consumer = MemoryConsumer::new(self.shared.clone(), options);
        for queue in queues {
            consumer.add_queue(queue);
        }
        Ok(Box::new(consumer))
    }

    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.shared.lock().declare(queue);
        Ok(())
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        Ok(self.shared.lock().purge(queue))
    }

    async fn waiting(&self, queue: &str) -> Result<u64, BrokerError> {
        Ok(self.shared.lock().waiting(queue))
    }

    fn info(&self) -> BrokerInfo {
        BrokerInfo {
            transport: "memory",
            hostname: self.name.to_string(),
            ..BrokerInfo::default()
        }
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBroker")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
