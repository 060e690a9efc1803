//! `amqp://`: `RabbitMQ`.

mod channel;
mod consumer;
mod declare;
mod delayed;
mod failure;
mod held;
mod link;
mod message;
mod publisher;
mod table;
mod unsettled;
mod url;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lapin::options::{QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use tokio::sync::mpsc::unbounded_channel;

use super::{
    Broker, BrokerError, BrokerInfo, ConsumeOptions, Consumer, Destination, Queue, QueueKind,
};
use crate::protocol::Message;

use channel::AmqpChannel;
use consumer::AmqpConsumer;
use failure::is_missing;
use held::Held;
use link::{Connected, Link};
use publisher::Publisher;
use unsettled::Unsettled;
use url::Server;

/// `RabbitMQ`, by AMQP 0-9-1. Kombu's transport `pyamqp`.
///
/// One connection publishes, with confirmations, and another one consumes: a broker that is short of memory blocks the one, and the other
/// still acknowledges. Both are made when they are first used, within 4 seconds, and again after they were lost. Each sends a heartbeat
/// every 10 seconds (`?heartbeat=` in the URL), and counts as lost when nothing came for 20.
///
/// A message is handed over when a queue has it: one that no queue takes is an error, unless it
/// [may be dropped](Destination::may_be_dropped). Where the connection is lost before the confirmation comes, that is an error, and a queue may have
/// the message nevertheless: whether to send it again is for the caller to say, as [`App::send`](crate::App::send) does by its retry policy.
///
/// Queues with [`delayed_delivery`](Queue::delayed_delivery) that are bound to an exchange which is not direct get Celery's native delayed
/// delivery: a message whose header `eta` is still to come is published to `celery_delayed_27`, and reaches the queue when it is due.
#[derive(Clone, Debug)]
pub struct AmqpBroker {
    servers: Vec<Server>,
    publisher: Arc<Publisher>,
    consuming: Arc<Link>,
}

impl AmqpBroker {
    /// The broker of a `broker_url`: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, with `;` between the servers of a cluster. Nothing is connected
    /// before it is used.
    ///
    /// ```
    /// use quintette_tasks::brokers::{AmqpBroker, Broker};
    ///
    /// let broker = AmqpBroker::new("amqp://shop:secret@rabbit/shop")?;
    /// assert_eq!(broker.info().hostname, "rabbit");
    /// # Ok::<(), quintette_tasks::brokers::BrokerError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A URL that makes no sense. Its password is in no error.
    pub fn new(url: &str) -> Result<Self, BrokerError> {
        let servers = Server::parse_all(url)?;
        let publishing = Arc::new(Link::new(servers.clone(), "publishes"));
        Ok(Self {
            publisher: Arc::new(Publisher::new(publishing)),
            consuming: Arc::new(Link::new(servers.clone(), "consumes")),
            servers,
        })
    }

    async fn hold(
        &self,
        link: &Arc<Connected>,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<AmqpConsumer, BrokerError> {
        let (added, adding) = unbounded_channel();
        let unsettled = Arc::new(Mutex::new(Unsettled::default()));
        let mut held = Held {
            link: Arc::clone(link),
            channel: link.channel().await?,
            options,
            prefetch: u16::try_from(options.prefetch).unwrap_or(0),
            per_consumer: queues.iter().any(|queue| queue.kind == QueueKind::Quorum),
            consuming: Vec::new(),
            unsettled: Arc::clone(&unsettled),
            added,
        };
        held.limit().await?;
        let mut sources = Vec::new();
        for queue in queues {
            sources.push(held.consume(Arc::new(queue.clone())).await?);
        }
        let (commands, work) = unbounded_channel();
        tokio::spawn(held.work(work));
        Ok(AmqpConsumer {
            link: Arc::clone(link),
            channel: Arc::new(AmqpChannel {
                server: link.server.clone(),
                commands,
                publisher: Arc::clone(&self.publisher),
            }),
            sources,
            added: adding,
            unsettled: (!options.no_ack).then_some(unsettled),
            failed: None,
        })
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    async fn publish(&self, message: &Message, to: &Destination) -> Result<(), BrokerError> {
        self.publisher.publish(message, to).await
    }

    async fn consume(
        &self,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        let link = self.consuming.connected().await?;
        for queue in queues {
            declare::queue(&link, queue).await?;
        }
        Ok(Box::new(self.hold(&link, queues, options).await?))
    }

    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        if queue.exclusive {
            // It belongs to the connection that declares it, and so to the one that can consume it.
            let link = self.consuming.connected().await?;
            return declare::queue(&link, queue).await;
        }
        self.publisher.declare(queue).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        let link = self.consuming.connected().await?;
        let channel = link.channel().await?;
        let name = declare::name(&link, "the queue's name", queue)?;
        match channel
            .queue_purge(name, QueuePurgeOptions::default())
            .await
        {
            Ok(count) => Ok(count.into()),
            Err(error) if is_missing(&error) => Ok(0),
            Err(error) => Err(link.failure(&format!("purging the queue {queue:?}"), error)),
        }
    }

    async fn waiting(&self, queue: &str) -> Result<u64, BrokerError> {
        let link = self.consuming.connected().await?;
        let channel = link.channel().await?;
        let name = declare::name(&link, "the queue's name", queue)?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        match channel
            .queue_declare(name, options, FieldTable::default())
            .await
        {
            Ok(found) => Ok(found.message_count().into()),
            Err(error) if is_missing(&error) => Ok(0),
            Err(error) => Err(link.failure(&format!("counting the queue {queue:?}"), error)),
        }
    }

    fn info(&self) -> BrokerInfo {
        let server = self.servers.first();
        BrokerInfo {
            transport: "amqp",
            hostname: server
                .map(|server| server.host().to_owned())
                .unwrap_or_default(),
            port: server.map(Server::port),
            userid: server.map(|server| server.user().to_owned()),
            virtual_host: server
                .map(|server| server.vhost().to_owned())
                .unwrap_or_default(),
        }
    }
}
