//! Redis: one server, a Cluster, or a master behind Sentinels.

mod cluster;
mod failure;
mod link;
mod options;
mod place;
mod script;
mod sentinel;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::cache::{Cache, CacheError, Cached, Swapped};
use quintette_core::session::{Revision, SessionError, SessionErrorKind};
use quintette_core::settings::CacheSettings;
use redis::{Client, Pipeline, Value};
use tokio::time::Instant;
use tracing::warn;

use self::cluster::Cluster;
use self::failure::Failure;
use self::link::{Link, Target};
use self::place::Place;
use self::script::{DELETE, REPLACE, Script, TOUCH};
use super::Values;

/// A time to live beyond this is as good as this, and every server can count it.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// A cache in Redis, or in what speaks its protocol. Django's `RedisCache`, and django-redis's.
///
/// All requests of a process share one connection to each server, on which they travel together. A read is one round
/// trip, and so is each write: what compares and swaps is a script that the server runs in one step.
///
/// # Where the data is
///
/// | `CACHE_URL`, `LOCATION` | |
/// | --- | --- |
/// | `redis://user:password@host:6379/0` | one server |
/// | `rediss://host:6379/0` | the same over TLS: let your application depend on the crate `redis` with its feature `tokio-rustls-comp` or `tokio-native-tls-comp` |
/// | `unix:///run/redis.sock?db=0`, `redis+unix://…` | one server, over its socket |
/// | `redis+cluster://host:6379,host:6379` | a Redis Cluster, of which these are some nodes. Or `OPTIONS = { cluster = true }` |
/// | `redis+sentinel://host:26379,host:26379/mymaster/0` | the master of that name. Or `OPTIONS` with `SENTINELS`, as for django-redis |
///
/// Of a list of servers, Django writes to the first and reads from the others, its replicas. A replica is behind: a visitor
/// who has logged out would be logged in there. So the first one is read as well. In a Cluster, too, masters alone are
/// asked.
///
/// Of `OPTIONS`, what says how to log in and how values are written is followed: `username`, `password`, `db`; for
/// django-redis `USERNAME`, `PASSWORD`, `CONNECTION_POOL_KWARGS`, `SENTINELS`, `SENTINEL_KWARGS`, `SERIALIZER` (pickle
/// and JSON) and `COMPRESSOR` (zlib and gzip; lz4, lzma and zstd with the feature `redis-compressors`). What would lay out
/// values in a way that is not known here stops the program. Pools, parsers and time-outs of redis-py mean nothing here.
/// `IGNORE_EXCEPTIONS` is not followed: a server that is down would turn every visitor into a stranger.
///
/// # When a server is down
///
/// No operation takes longer than the time it was given. A server that has hung up is connected to anew, which
/// operations wait for; where that fails, or a server has not answered in time, they fail at once until it answers again.
/// Nothing that writes is sent twice, except where the server has said that it did not do it (it has moved to another
/// node, or is a replica now). A write whose answer was lost is told as such: [`CacheError::is_unknown`].
///
/// Redis replicates behind the scenes: a write that it has acknowledged is lost where its master dies before a replica has
/// heard of it. `min-replicas-to-write` narrows that window, and `WAIT` would, at a price; neither closes it.
pub struct RedisCache {
    servers: Servers,
    place: Place,
    wait: Duration,
    is_ttl_told: bool,
}

enum Servers {
    One(Link),
    Cluster(Cluster),
}

impl RedisCache {
    /// The cache at this URL; each operation takes `wait` at the most.
    ///
    /// It begins to connect, and does not wait for that. To be called in a Tokio runtime.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), quintette::sessions::SessionError> {
    /// use std::time::Duration;
    ///
    /// use quintette::cache::RedisCache;
    ///
    /// let cache = RedisCache::connect("redis://127.0.0.1:6379/0", Duration::from_secs(2))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A URL that means nothing here, or TLS that is not compiled in. The error does not repeat the URL.
    pub fn connect(url: &str, wait: Duration) -> Result<Self, SessionError> {
        let place = Place::parse(url);
        Ok(Self::new(place.map_err(misconfigured)?, wait))
    }

    /// The server of an application's own client, with its certificates; each operation takes `wait` at the most.
    ///
    /// It makes a connection of its own. To be called in a Tokio runtime.
    pub fn from_client(client: &Client, wait: Duration) -> Self {
        Self::new(Place::Server(client.get_connection_info().clone()), wait)
    }

    /// The cache that `CACHES` describes, and how it writes its values.
    pub(super) fn from_settings(
        settings: &CacheSettings,
        wait: Duration,
    ) -> Result<(Self, Values), String> {
        let (place, values) = options::parse(settings)?;
        Ok((Self::new(place, wait), values))
    }

    /// The same, telling with each value how long it will live. Sessions need that to put off touches
    /// (`SESSION_TOUCH_INTERVAL`).
    #[must_use]
    pub fn with_ttl(mut self) -> Self {
        self.is_ttl_told = true;
        self
    }

    fn new(place: Place, wait: Duration) -> Self {
        let servers = match place.clone() {
            Place::Server(server) => Servers::One(Link::new(Target::Server(server), wait)),
            Place::Master(sentinels) => Servers::One(Link::new(Target::Master(sentinels), wait)),
            Place::Cluster(seeds) => Servers::Cluster(Cluster::new(seeds, wait)),
        };
        Self {
            servers,
            place,
            wait,
            is_ttl_told: false,
        }
    }

    async fn send(
        &self,
        name: &str,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        match &self.servers {
            Servers::Cluster(cluster) => cluster.send(name, commands, deadline).await,
            Servers::One(link) => match link.send(commands, deadline).await {
                // It was the master until now. It did nothing; another one may be to be found.
                Err(failure) if failure.is_read_only() => {
                    match link.send(commands, deadline).await {
                        Err(Failure::Unsent(_)) => Err(failure),
                        answer => answer,
                    }
                }
                answer => answer,
            },
        }
    }

    /// What changes nothing is sent a second time where the connection was lost.
    async fn read(&self, name: &str, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let deadline = Instant::now() + self.wait;
        match self.send(name, commands, deadline).await {
            Err(Failure::Lost(_)) if Instant::now() < deadline => {
                self.send(name, commands, deadline).await
            }
            answer => answer,
        }
    }

    async fn write(&self, name: &str, commands: &Pipeline) -> Result<Value, CacheError> {
        let deadline = Instant::now() + self.wait;
        let answer = self.send(name, commands, deadline).await;
        let mut values = answer.map_err(Failure::of_write)?;
        Ok(values.pop().unwrap_or(Value::Nil))
    }

    /// Runs a script about `name` with these arguments.
    async fn run(
        &self,
        script: &Script,
        name: &str,
        arguments: &[&[u8]],
    ) -> Result<Swapped, CacheError> {
        let deadline = Instant::now() + self.wait;
        let mut answer = self
            .send(name, &script.known(name, arguments), deadline)
            .await;
        if let Err(failure) = &answer
            && failure.code() == Some("NOSCRIPT")
        {
            // A server forgets scripts when it restarts. It did nothing; from now on it knows this one.
            answer = self
                .send(name, &script.whole(name, arguments), deadline)
                .await;
        }
        match answer {
            Ok(values) => match values.first() {
                Some(Value::Int(1)) => Ok(Swapped::Done(())),
                Some(Value::Int(0)) => Ok(Swapped::Conflict),
                Some(Value::Int(-1)) => Ok(Swapped::Missing),
                _ => Err(unexpected()),
            },
            // Not what was seen, whatever it is.
            Err(failure) if failure.is_wrong_type() => Ok(Swapped::Conflict),
            Err(failure) => Err(failure.of_write()),
        }
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(name);
        if self.is_ttl_told {
            commands.cmd("PTTL").arg(name);
        }
        let values = match self.read(name, &commands).await {
            Ok(values) => values,
            // Nobody but an operator puts a list there. Django fails; a session that cannot be read is an empty one.
            Err(failure) if failure.is_wrong_type() => {
                warn!(target: "quintette::cache", "a list, set or hash is where a session should be");
                return Ok(None);
            }
            Err(failure) => return Err(failure.of_read()),
        };
        let mut values = values.into_iter();
        let value = match values.next() {
            Some(Value::BulkString(value)) => value,
            Some(Value::Nil) => return Ok(None),
            _ => return Err(CacheError::new(UNEXPECTED)),
        };
        let ttl = match values.next() {
            Some(Value::Int(milliseconds)) => u64::try_from(milliseconds).ok(),
            _ => None,
        };
        Ok(Some(Cached {
            ttl: ttl.map(Duration::from_millis),
            ..Cached::new(value)
        }))
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        let mut commands = redis::pipe();
        match milliseconds(ttl) {
            Some(ttl) => commands.cmd("SET").arg(name).arg(&value).arg("PX").arg(ttl),
            None => commands.cmd("DEL").arg(name),
        };
        self.write(name, &commands).await?;
        Ok(value.into())
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        let mut commands = redis::pipe();
        match milliseconds(ttl) {
            Some(ttl) => {
                let set = commands.cmd("SET").arg(name).arg(&value);
                set.arg("NX").arg("PX").arg(ttl)
            }
            None => commands.cmd("EXISTS").arg(name),
        };
        match self.write(name, &commands).await? {
            Value::Okay | Value::Int(0) => Ok(Some(value.into())),
            Value::Nil | Value::Int(_) => Ok(None),
            _ => Err(unexpected()),
        }
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        let seen = seen.as_bytes();
        let swapped = match milliseconds(ttl) {
            Some(ttl) => {
                let ttl = ttl.to_string();
                self.run(&REPLACE, name, &[seen, &value, ttl.as_bytes()])
                    .await?
            }
            None => self.run(&DELETE, name, &[seen]).await?,
        };
        Ok(swapped.with(|| value.into()))
    }

    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        let seen = seen.as_bytes();
        match milliseconds(ttl) {
            Some(ttl) => {
                self.run(&TOUCH, name, &[seen, ttl.to_string().as_bytes()])
                    .await
            }
            None => self.run(&DELETE, name, &[seen]).await,
        }
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        let Some(seen) = seen else {
            let mut commands = redis::pipe();
            commands.cmd("DEL").arg(name);
            return match self.write(name, &commands).await? {
                Value::Int(0) => Ok(Swapped::Missing),
                Value::Int(_) => Ok(Swapped::Done(())),
                _ => Err(unexpected()),
            };
        };
        self.run(&DELETE, name, &[seen.as_bytes()]).await
    }
}

/// Where it is, without a password.
impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisCache({:?})", self.place)
    }
}

/// What Redis counts in; `None` where it is over at once.
fn milliseconds(ttl: Duration) -> Option<u64> {
    let milliseconds = ttl.min(LONGEST).as_micros().div_ceil(1000);
    u64::try_from(milliseconds).ok().filter(|ttl| *ttl > 0)
}

const UNEXPECTED: &str = "Redis gives an answer that no version of it gives";

/// To a write, which may have been done.
fn unexpected() -> CacheError {
    CacheError::unknown(UNEXPECTED)
}

fn misconfigured(message: String) -> SessionError {
    SessionError::new(SessionErrorKind::Misconfigured, message)
}
