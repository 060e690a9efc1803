//! `sqla+sqlite:///`: messages in a file, in the tables of kombu's `SQLAlchemy` transport.

mod channel;
mod consumer;
mod envelope;
mod tables;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::settings::DatabaseUrl;
use tokio::sync::{Notify, OnceCell};

use self::consumer::SqlaConsumer;
use super::routing::Binding;
use super::{
    Broker, BrokerError, BrokerErrorKind, BrokerInfo, ConsumeOptions, Consumer, Destination,
    Exchange, ExchangeKind, Queue,
};
use crate::database::{self, Database, DatabaseError, DatabaseErrorKind, Value};
use crate::protocol::Message;

/// Messages in an `SQLite` file that Rust and Python workers share, without a server.
///
/// The tables are kombu's, and an unmodified Python takes what is sent here and the other way round. What Rust workers hold is kept in a table
/// beside them: what a worker held that was killed is delivered again after ten seconds, to the Rust workers of the file. (Python's own are
/// lost with the worker that took them: kombu's transport keeps no record of them.) A message that waits for its time waits there, too, and is
/// put back by whichever Rust worker is running then. As with kombu, there is neither priority nor fanout, and so no remote control.
#[derive(Clone)]
pub struct SqlaBroker {
    shared: Arc<Shared>,
}

/// What clones and consumers share.
struct Shared {
    database: Database,
    ready: OnceCell<()>,
    known: Mutex<Known>,
    /// Something was sent, or given back.
    changed: Notify,
}

/// What this process has declared. kombu keeps bindings in the process, too.
#[derive(Default)]
struct Known {
    queues: HashSet<String>,
    exchanges: HashMap<String, (ExchangeKind, Vec<Binding>)>,
}

impl SqlaBroker {
    /// The file that a URL names, as `SQLAlchemy` writes it: `sqla+sqlite:///tasks.db` is one in the working directory,
    /// `sqla+sqlite:////srv/tasks.db` an absolute path. It is made when it is first used.
    ///
    /// # Errors
    ///
    /// Another database than `SQLite`, or none.
    pub fn new(url: &str) -> Result<Self, BrokerError> {
        let url = url.strip_prefix("sqla+").unwrap_or(url);
        let url = url.strip_prefix("sqlalchemy+").unwrap_or(url);
        let parsed = database::parse_url(url)?;
        if !matches!(parsed, DatabaseUrl::Sqlite(_)) {
            return Err(BrokerError::new(
                BrokerErrorKind::Configuration,
                format!(
                    "broker_url: {parsed}: only SQLite files are brokers here; write sqla+sqlite:///tasks.db, or use RabbitMQ or Redis"
                ),
            ));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                database: Database::new(&parsed)?,
                ready: OnceCell::new(),
                known: Mutex::default(),
                changed: Notify::new(),
            }),
        })
    }
}

impl Shared {
    /// The database, with its tables.
    async fn database(&self) -> Result<&Database, BrokerError> {
        let made = self
            .ready
            .get_or_try_init(|| async { self.database.write(tables::create()).await.map(|_| ()) });
        made.await?;
        Ok(&self.database)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// kombu's transport has none, either: its clients' broadcasts reach nobody, in silence.
    fn refuse_fanout(&self, exchange: &Exchange) -> Result<(), BrokerError> {
        if exchange.kind != ExchangeKind::Fanout {
            return Ok(());
        }
        Err(BrokerError::new(
            BrokerErrorKind::Unsupported,
            format!(
                "{}: a file has no broadcasts, and so no remote control; use RabbitMQ or Redis for it",
                self.database.place()
            ),
        ))
    }

    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.refuse_fanout(&queue.exchange)?;
        if self.known().has(queue) {
            return Ok(());
        }
        let create = tables::create_queue(&queue.name);
        self.database().await?.execute(create).await?;
        self.known().add(queue);
        Ok(())
    }
}

impl Known {
    fn has(&self, queue: &Queue) -> bool {
        let bindings = self.exchanges.get(&queue.exchange.name);
        self.queues.contains(&queue.name)
            && (queue.exchange.name.is_empty()
                || bindings.is_some_and(|(_, bindings)| bindings.contains(&binding(queue))))
    }

    fn add(&mut self, queue: &Queue) {
        self.queues.insert(queue.name.clone());
        if queue.exchange.name.is_empty() || self.has(queue) {
            return;
        }
        let exchange = self.exchanges.entry(queue.exchange.name.clone());
        let (_, bindings) = exchange.or_insert_with(|| (queue.exchange.kind, Vec::new()));
        bindings.push(binding(queue));
    }

    /// The queues that a message goes to.
    fn routes(&self, to: &Destination) -> Vec<String> {
        let Destination {
            exchange,
            routing_key,
            ..
        } = to;
        if exchange.name.is_empty() {
            return vec![routing_key.clone()];
        }
        let Some((kind, bindings)) = self.exchanges.get(&exchange.name) else {
            return Vec::new();
        };
        let taking = bindings
            .iter()
            .filter(|binding| binding.takes(*kind, routing_key));
        let mut names: Vec<_> = taking.map(|binding| binding.queue.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn binding(queue: &Queue) -> Binding {
    Binding {
        pattern: queue.routing_key.clone(),
        queue: queue.name.as_str().into(),
    }
}

#[async_trait]
impl Broker for SqlaBroker {
    async fn publish(&self, message: &Message, to: &Destination) -> Result<(), BrokerError> {
        self.shared.refuse_fanout(&to.exchange)?;
        if let Some(queue) = &to.declare {
            self.shared.declare(queue).await?;
        }
        let queues = self.shared.known().routes(to);
        let mut stored = 0;
        if !queues.is_empty() {
            let payload = envelope::seal(message, to);
            let publish = queues
                .iter()
                .map(|queue| tables::publish(queue, payload.clone()));
            let written = self
                .shared
                .database()
                .await?
                .write(publish.collect())
                .await?;
            stored = written.iter().map(|written| written.changed).sum();
            self.shared.changed.notify_waiters();
        }
        if stored > 0 || to.may_be_dropped || to.exchange.kind != ExchangeKind::Direct {
            return Ok(());
        }
        Err(BrokerError::new(
            BrokerErrorKind::Unroutable,
            format!(
                "{}: no queue takes a message of the exchange {:?} with the routing key {:?}; declare one that is bound so",
                self.shared.database.place(),
                to.exchange.name,
                to.routing_key
            ),
        ))
    }

    async fn consume(
        &self,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        for queue in queues {
            self.shared.declare(queue).await?;
        }
        self.shared.database().await?;
        let consumer = SqlaConsumer::start(self.shared.clone(), queues, options);
        Ok(Box::new(consumer))
    }

    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.shared.declare(queue).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        let database = self.shared.database().await?;
        let written = database.write(tables::purge(queue)).await?;
        Ok(written.first().map_or(0, |waiting| waiting.changed))
    }

    async fn waiting(&self, queue: &str) -> Result<u64, BrokerError> {
        let database = self.shared.database().await?;
        let rows = database.read(tables::waiting(queue)).await?;
        let count = rows.into_iter().flatten().next().and_then(Value::int);
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }

    fn info(&self) -> BrokerInfo {
        BrokerInfo {
            transport: "sqla",
            hostname: self.shared.database.place().to_owned(),
            ..BrokerInfo::default()
        }
    }
}

/// Milliseconds since 1970, and `after` from now.
fn milliseconds(after: Duration) -> i64 {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    chrono::Utc::now().timestamp_millis().saturating_add(after)
}

impl From<DatabaseError> for BrokerError {
    fn from(error: DatabaseError) -> Self {
        let kind = match error.kind() {
            DatabaseErrorKind::Unavailable => BrokerErrorKind::Unavailable,
            DatabaseErrorKind::Refused => BrokerErrorKind::Refused,
            DatabaseErrorKind::Configuration => BrokerErrorKind::Configuration,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

impl fmt::Debug for SqlaBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqlaBroker")
            .field(&self.shared.database.place())
            .finish()
    }
}
