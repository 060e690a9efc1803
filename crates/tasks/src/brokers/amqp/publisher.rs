use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::time::{sleep, timeout};

use crate::brokers::{BrokerError, BrokerErrorKind, Destination, Exchange, Queue};
use crate::protocol::Message;

use super::failure::is_missing;
use super::link::{Connected, Link};
use super::message::{fits, properties, short};
use super::{declare, delayed};

/// How long handing over a message may take. A broker that is out of memory or disk takes none until it has room.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many channels are open at once, one for each address.
const MOST_CHANNELS: usize = 256;

/// How many queues and exchanges are known to exist; strangers name some (the replies to their commands).
const REMEMBERED: usize = 4096;

/// Hands messages over, all on one connection.
#[derive(Debug)]
pub(super) struct Publisher {
    link: Arc<Link>,
    session: Mutex<Option<Arc<Session>>>,
}

/// What is known of one connection.
#[derive(Debug)]
struct Session {
    link: Arc<Connected>,
    /// A channel for each address. RabbitMQ returns what it cannot route before it confirms it, and lapin hands what was returned to whichever
    /// message of the channel is confirmed next: so those of one channel must all share their fate.
    channels: RwLock<HashMap<String, Arc<Channel>>>,
    opening: tokio::sync::Mutex<()>,
    queues: RwLock<HashSet<Queue>>,
    exchanges: RwLock<HashSet<Exchange>>,
    /// The queues that what is parked finds its way back to.
    parking: RwLock<HashSet<String>>,
}

/// Why a message was not handed over.
struct Refused {
    error: BrokerError,
    /// Whether its queue or exchange was deleted since it was declared here: no queue has the message, for certain.
    is_missing: bool,
}

impl Publisher {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            session: Mutex::default(),
        }
    }

    pub(super) async fn publish(
        &self,
        message: &Message,
        to: &Destination,
    ) -> Result<(), BrokerError> {
        let instead = delayed::instead(message, to);
        match instead {
            // Expiration would end the waiting, and not the task: the header `expires` does that.
            Some(to) => self.send(&without_expiration(message), &to).await,
            None => self.send(message, to).await,
        }
    }

    /// Publishes into the levels of delayed delivery.
    pub(super) async fn park(
        &self,
        message: &Message,
        to: &Destination,
        queue: &str,
    ) -> Result<(), BrokerError> {
        let session = self.session().await?;
        let queue = queue.to_owned();
        if !contains(&session.parking, &queue) {
            let _one = session.opening.lock().await;
            if !contains(&session.parking, &queue) {
                delayed::set_up_parking(&session.link, &Queue::new(&*queue)).await?;
                insert(&session.parking, queue);
            }
        }
        self.send(&without_expiration(message), to).await
    }

    async fn send(&self, message: &Message, to: &Destination) -> Result<(), BrokerError> {
        let attempts = async {
            let mut attempt = self.attempt(message, to).await;
            if attempt.as_ref().is_err_and(|refused| refused.is_missing) {
                attempt = self.attempt(message, to).await;
            }
            attempt.map_err(|refused| refused.error)
        };
        match timeout(PATIENCE, attempts).await {
            Ok(result) => result,
            Err(_) => Err(self.too_late(to)),
        }
    }

    async fn attempt(&self, message: &Message, to: &Destination) -> Result<(), Refused> {
        let properties = properties(message).map_err(refused)?;
        let session = self.session().await?;
        // RabbitMQ would close the connection, and with it end what others are sending.
        let frame = session.link.connection.configuration().frame_max();
        fits(message, frame).map_err(refused)?;
        session.declare(to).await?;
        let channel = session.channel(to).await?;
        // What is written to a blocked connection piles up in memory.
        while session.link.connection.status().blocked() {
            sleep(Duration::from_millis(50)).await;
        }
        let exchange = short("the exchange's name", &to.exchange.name).map_err(refused)?;
        let key = short("the routing key", &to.routing_key).map_err(refused)?;
        let options = BasicPublishOptions {
            mandatory: !to.may_be_dropped,
            immediate: false,
        };
        let sent = channel.basic_publish(exchange, key, options, &message.body, properties);
        let confirmed = match sent.await {
            Ok(confirm) => confirm.await,
            Err(error) => Err(error),
        };
        match confirmed {
            Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => Ok(()),
            Ok(confirmation) => Err(Refused::by_the_broker(&session, to, &confirmation)),
            Err(error) => {
                session.forget(&channel);
                let is_missing = is_missing(&error);
                let doing = format!("publishing to {}", address(to));
                let error = session.link.failure(&doing, error);
                Err(Refused { error, is_missing })
            }
        }
    }

    /// Declares a queue, once for each connection.
    pub(super) async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.session().await?.declare_queue(queue).await
    }

    async fn session(&self) -> Result<Arc<Session>, BrokerError> {
        let link = self.link.connected().await?;
        let mut current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(session) if Arc::ptr_eq(&session.link, &link) => Ok(Arc::clone(session)),
            _ => {
                let session = Arc::new(Session::new(link));
                *current = Some(Arc::clone(&session));
                Ok(session)
            }
        }
    }

    fn too_late(&self, to: &Destination) -> BrokerError {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let (server, why) = match &*session {
            Some(session) if session.link.connection.status().blocked() => (
                session.link.server.to_string(),
                "it has blocked publishers, for want of memory or disk",
            ),
            Some(session) => (session.link.server.to_string(), "no confirmation"),
            None => ("RabbitMQ".to_owned(), "no connection"),
        };
        let seconds = PATIENCE.as_secs();
        BrokerError::new(
            BrokerErrorKind::Unavailable,
            format!(
                "{server}: publishing to {}: {why} within {seconds} seconds",
                address(to)
            ),
        )
    }
}

impl Session {
    fn new(link: Arc<Connected>) -> Self {
        Self {
            link,
            channels: RwLock::default(),
            opening: tokio::sync::Mutex::default(),
            queues: RwLock::default(),
            exchanges: RwLock::default(),
            parking: RwLock::default(),
        }
    }

    async fn declare(&self, to: &Destination) -> Result<(), BrokerError> {
        if let Some(queue) = &to.declare {
            self.declare_queue(queue).await?;
        }
        if to.exchange.name.is_empty() || contains(&self.exchanges, &to.exchange) {
            return Ok(());
        }
        let _one = self.opening.lock().await;
        if !contains(&self.exchanges, &to.exchange) {
            declare::exchange(&self.link, &to.exchange).await?;
            insert(&self.exchanges, to.exchange.clone());
        }
        Ok(())
    }

    async fn declare_queue(&self, queue: &Queue) -> Result<(), BrokerError> {
        if contains(&self.queues, queue) {
            return Ok(());
        }
        let _one = self.opening.lock().await;
        if contains(&self.queues, queue) {
            return Ok(());
        }
        declare::queue(&self.link, queue).await?;
        // Others may be gone when they are needed next.
        if !queue.auto_delete && !queue.exclusive && queue.expires.is_none() {
            insert(&self.queues, queue.clone());
        }
        Ok(())
    }

    async fn channel(&self, to: &Destination) -> Result<Arc<Channel>, BrokerError> {
        let key;
        let key = match (to.may_be_dropped, to.exchange.name.as_str()) {
            (true, _) => "",
            // Whatever the delay, a level has the same queues.
            (false, "celery_delayed_27") => "celery_delayed_27\0",
            (false, "") => to.routing_key.as_str(),
            (false, exchange) => {
                key = format!("{exchange}\0{}", to.routing_key);
                &key
            }
        };
        if let Some(channel) = self.open_channel(key) {
            return Ok(channel);
        }
        let _one = self.opening.lock().await;
        if let Some(channel) = self.open_channel(key) {
            return Ok(channel);
        }
        let channel = self.link.channel().await?;
        let selected = channel
            .confirm_select(ConfirmSelectOptions::default())
            .await;
        selected.map_err(|error| self.link.failure("asking for confirmations", error))?;
        let channel = Arc::new(channel);
        let mut channels = self
            .channels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if channels.len() >= MOST_CHANNELS {
            // Each closes when the last message on it is confirmed.
            channels.clear();
        }
        channels.insert(key.to_owned(), Arc::clone(&channel));
        Ok(channel)
    }

    fn open_channel(&self, key: &str) -> Option<Arc<Channel>> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let channel = channels
            .get(key)
            .filter(|channel| channel.status().connected());
        channel.map(Arc::clone)
    }

    /// A channel that failed; with it all that was known to exist, of which something may be the reason.
    fn forget(&self, failed: &Arc<Channel>) {
        let mut channels = self
            .channels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        channels.retain(|_, channel| !Arc::ptr_eq(channel, failed));
        drop(channels);
        self.queues
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.exchanges
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.parking
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Refused {
    fn by_the_broker(session: &Session, to: &Destination, answer: &Confirmation) -> Self {
        let (kind, what) = match answer {
            Confirmation::Ack(Some(returned)) => (
                BrokerErrorKind::Unroutable,
                format!("no queue takes it ({})", returned.reply_text),
            ),
            _ => (
                BrokerErrorKind::Refused,
                "the broker did not take it: the queue is full, or failed".to_owned(),
            ),
        };
        let what = format!(
            "{}: publishing to {}: {what}",
            session.link.server,
            address(to)
        );
        let unroutable = kind == BrokerErrorKind::Unroutable;
        if unroutable {
            session
                .queues
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
        Self {
            error: BrokerError::new(kind, what),
            is_missing: unroutable && to.declare.is_some(),
        }
    }
}

impl From<BrokerError> for Refused {
    fn from(error: BrokerError) -> Self {
        Self {
            error,
            is_missing: false,
        }
    }
}

fn without_expiration(message: &Message) -> Message {
    let mut message = message.clone();
    message.properties.expiration = None;
    message
}

fn refused(what: impl fmt::Display) -> BrokerError {
    BrokerError::new(
        BrokerErrorKind::Refused,
        format!("AMQP cannot carry the message: {what}"),
    )
}

fn address(to: &Destination) -> String {
    match to.exchange.name.as_str() {
        "" => format!("the queue {:?}", to.routing_key),
        exchange => format!(
            "the exchange {exchange:?} with the key {:?}",
            to.routing_key
        ),
    }
}

fn contains<T: Eq + std::hash::Hash>(known: &RwLock<HashSet<T>>, item: &T) -> bool {
    known
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .contains(item)
}

fn insert<T: Eq + std::hash::Hash>(known: &RwLock<HashSet<T>>, item: T) {
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(item);
}
