//! Redis as a broker, in kombu's layout.

mod bindings;
mod consumer;
mod envelope;
mod keys;
mod restore;
mod scripts;
mod session;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value};

use self::bindings::Bindings;
use self::keys::Keys;
use super::{
    Broker, BrokerError, BrokerErrorKind, BrokerInfo, ConsumeOptions, Consumer, Destination,
    ExchangeKind, Queue,
};
use crate::protocol::Message;
use crate::redis::{Failure, FailureKind, Link, Place};

/// `redis://`: messages in Redis, which workers in Python and in Rust take from the same lists.
///
/// It needs Redis 6.2 or later. Publishing is one round trip, and what is published at once travels together. Priorities are kombu's: four
/// lists a queue, of which the lower number runs first.
///
/// # When a worker dies
///
/// A message that was taken is kept in `unacked` until it is acknowledged, as kombu keeps it. While its worker lives, its lease is renewed, so
/// that a task may take longer than `visibility_timeout`. When a worker has given no sign of life for 15 seconds, another one of these
/// puts back what it held; where there are workers in Python alone, they do so after `visibility_timeout`.
///
/// # Where it is
///
/// | `broker_url` | |
/// | --- | --- |
/// | `redis://user:password@host:6379/0` | one server |
/// | `rediss://host:6379/0` | over TLS: let your application depend on the crate `redis` with its feature `tokio-rustls-comp` |
/// | `redis+socket:///run/redis.sock?db=0` | one server, over its socket |
/// | `redis+sentinel://host:26379,host:26379/mymaster/0` | the master of that name |
/// | `redis+cluster://host:6379,host:6379` | a Cluster; `global_keyprefix` must hold a hash tag such as `{celery}` |
#[derive(Clone)]
pub struct RedisBroker {
    core: Arc<Core>,
}

/// What the broker and all its consumers share.
#[derive(Debug)]
struct Core {
    link: Link,
    keys: Keys,
    bindings: Bindings,
    visibility: Duration,
}

impl RedisBroker {
    /// The broker at a URL. It connects when it is first used.
    ///
    /// `visibility_timeout` and `global_keyprefix` are those of Celery's `broker_transport_options`, and must be what the workers in
    /// Python have.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use quintette_tasks::brokers::RedisBroker;
    ///
    /// let broker = RedisBroker::new("redis://127.0.0.1:6379/0", Duration::from_secs(3600), "")?;
    /// # Ok::<(), quintette_tasks::brokers::BrokerError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A URL that means nothing here, or TLS that is not compiled in; on a Cluster a prefix without a hash tag. The error does not repeat
    /// the URL.
    pub fn new(
        url: &str,
        visibility_timeout: Duration,
        global_keyprefix: &str,
    ) -> Result<Self, BrokerError> {
        let place = Place::parse(url).map_err(|failure| error("broker_url", failure))?;
        let checked = place.check_prefix("global_keyprefix", global_keyprefix);
        checked.map_err(|failure| error("broker_transport_options", failure))?;
        Ok(Self {
            core: Arc::new(Core {
                keys: Keys::new(global_keyprefix, place.db()),
                link: Link::new(place, global_keyprefix),
                bindings: Bindings::default(),
                visibility: visibility_timeout,
            }),
        })
    }
}

impl fmt::Debug for RedisBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisBroker({:?})", self.core.link.place())
    }
}

#[async_trait]
impl Broker for RedisBroker {
    async fn publish(&self, message: &Message, to: &Destination) -> Result<(), BrokerError> {
        let published = self.core.publish(message, to).await;
        let found = published.map_err(|failure| error("publish", failure))?;
        if found || to.may_be_dropped {
            return Ok(());
        }
        let (exchange, key) = (&to.exchange.name, &to.routing_key);
        Err(BrokerError::new(
            BrokerErrorKind::Unroutable,
            format!("no queue is bound to the exchange {exchange:?} with the key {key:?}"),
        ))
    }

    async fn consume(
        &self,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        let consumer = consumer::RedisConsumer::start(self.core.clone(), queues, options).await;
        match consumer {
            Ok(consumer) => Ok(Box::new(consumer)),
            Err(failure) => Err(error("consume", failure)),
        }
    }

    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        let declared = self.core.declare(queue).await;
        declared.map_err(|failure| error("declare a queue", failure))
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        let lists = self.core.keys.lists(queue);
        let lists: Vec<_> = lists.iter().map(String::as_bytes).collect();
        let purged = self.core.link.script_again(&scripts::PURGE, &lists, &[]);
        let purged = purged.await.and_then(|value| count(&value));
        purged.map_err(|failure| error("purge a queue", failure))
    }

    async fn waiting(&self, queue: &str) -> Result<u64, BrokerError> {
        let mut commands = redis::pipe();
        for list in self.core.keys.lists(queue) {
            commands.cmd("LLEN").arg(list);
        }
        let lengths = self.core.link.pipeline_again(&commands).await;
        let waiting = lengths.and_then(|lengths| lengths.iter().map(count).sum());
        waiting.map_err(|failure| error("count what waits in a queue", failure))
    }

    fn info(&self) -> BrokerInfo {
        let place = self.core.link.place();
        let (hostname, port) = place.host();
        BrokerInfo {
            transport: "redis",
            hostname,
            port,
            userid: place.user(),
            virtual_host: place.db().to_string(),
        }
    }
}

impl Core {
    /// Whether anybody could be there to take it.
    async fn publish(&self, message: &Message, to: &Destination) -> Result<bool, Failure> {
        let exchange = &to.exchange.name;
        let raw = envelope::write(message, exchange, &to.routing_key);
        if bindings::kind(&to.exchange) == ExchangeKind::Fanout {
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(self.keys.channel(exchange, &to.routing_key));
            self.link.command(publish.arg(&raw)).await?;
            return Ok(true);
        }
        let declared = to.declare.as_deref();
        if let Some(queue) = declared {
            self.declare_once(queue).await?;
        }
        let step = keys::step(i64::from(message.properties.priority.unwrap_or(0)));
        let expires = declared.and_then(|queue| queue.expires);
        let queues = self.route(&to.exchange, &to.routing_key).await?;
        match (queues.as_slice(), expires) {
            ([], _) => Ok(false),
            ([queue], None) => {
                let push = push(&self.keys.queue(queue, step), &raw);
                self.link.command(&push).await.map(|_| true)
            }
            (queues, expires) => {
                let mut commands = redis::pipe();
                for queue in queues {
                    commands.add_command(push(&self.keys.queue(queue, step), &raw));
                    if let Some(expires) = expires {
                        let expires = u64::try_from(expires.as_millis()).unwrap_or(u64::MAX);
                        for list in self.keys.lists(queue) {
                            commands.cmd("PEXPIRE").arg(list).arg(expires);
                        }
                    }
                }
                self.link.pipeline(&commands).await.map(|_| true)
            }
        }
    }
}

fn push(list: &str, raw: &[u8]) -> Cmd {
    let mut push = Cmd::with_capacity(3, list.len() + raw.len() + 5);
    push.arg("LPUSH").arg(list).arg(raw);
    push
}

fn count(value: &Value) -> Result<u64, Failure> {
    match value {
        Value::Int(count) => u64::try_from(*count).map_err(|_| Failure::unexpected()),
        _ => Err(Failure::unexpected()),
    }
}

fn text(value: Value) -> Result<String, Failure> {
    match value {
        Value::BulkString(text) => String::from_utf8(text).map_err(|_| Failure::unexpected()),
        Value::SimpleString(text) => Ok(text),
        _ => Err(Failure::unexpected()),
    }
}

fn error(doing: &str, failure: Failure) -> BrokerError {
    let kind = match failure.kind {
        FailureKind::Unavailable => BrokerErrorKind::Unavailable,
        FailureKind::Refused => BrokerErrorKind::Refused,
        FailureKind::Configuration => BrokerErrorKind::Configuration,
    };
    BrokerError::new(kind, format!("{doing}: {failure}")).with_source(failure)
}
