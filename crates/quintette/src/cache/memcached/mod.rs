//! Memcached, as Django's `PyMemcacheCache` and `PyLibMCCache` use it.

mod connection;
mod placement;
mod protocol;
mod server;
mod servers;

use std::fmt;
use std::io::Read;
use std::time::Duration;

use async_trait::async_trait;
use flate2::read::ZlibDecoder;
use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::settings::{CacheBackend, CacheSettings};
use tracing::warn;

use super::{Cache, CacheError, Cached, Revision, Swapped};
use connection::Reply;
use placement::Placement;
use protocol::{Answer, Item, Key, Store};
use server::{Command, Server};

/// How pymemcache and pylibmc both mark a pickle (`FLAG_PICKLE`, `PYLIBMC_FLAG_PICKLE`).
const PICKLE: u32 = 1;

/// How both mark what they have compressed (`FLAG_COMPRESSED`, `PYLIBMC_FLAG_ZLIB`).
const COMPRESSED: u32 = 8;

/// The most that a compressed value may hold, in bytes: 16 MiB, as for a signed payload.
const MAX_DECOMPRESSED: u64 = 16 << 20;

/// Memcached: one server, or several among which the keys are spread as the Python client of Django's backend does it.
///
/// Memcached 1.6.10 or newer: the meta protocol tells the CAS number of what it has stored, which the older commands
/// keep to themselves. It is spoken over one connection to each server, which is opened when it is first needed.
///
/// # What a revision is
///
/// The CAS number that the server gave to the write, and the *epoch* in which it did: a random number of the connection
/// over which it was seen. A server counts its CAS numbers from 1 when it starts, so the number alone could after a
/// restart belong to another value. No connection outlives its server; so a revision of an earlier connection is a
/// [`Swapped::Conflict`], without asking, and whoever held it reads anew. (A proxy between would outlive it: connect to
/// the server itself.)
///
/// # When a server is down
///
/// Every operation ends within the time-out. A connection that was closed is opened anew by the next operation; what
/// was not sent, or only reads, then runs over that one. A server that cannot be reached, or was silent for the
/// time-out, counts as down: operations fail at once, until it answers again, which is tried about twice a second. Its
/// keys do *not* move to another server, as they do in Python after some failures: when they moved back, sessions would
/// be there again that had been deleted meanwhile.
///
/// # What it does not do
///
/// TLS, SASL, UDP, weights of servers, pylibmc's other hashes. What asks for them is refused when the program starts.
pub struct MemcachedCache {
    servers: Vec<Server>,
    placement: Placement,
}

impl MemcachedCache {
    /// The servers in `LOCATION`, with the `OPTIONS` of Django's backend. Each operation ends within `timeout`.
    /// Connects when it is first used.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use quintette::cache::MemcachedCache;
    /// use quintette::settings::CacheSettings;
    ///
    /// let settings = CacheSettings::from_url("memcached://127.0.0.1:11211")?;
    /// let cache = MemcachedCache::new(&settings, Duration::from_secs(2))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where `LOCATION` names no server, or something is asked for that is not supported.
    pub fn new(cache: &CacheSettings, timeout: Duration) -> Result<Self, SessionError> {
        let parsed = match cache.backend {
            CacheBackend::Memcached(client) => servers::parse(client, cache),
            other => Err(format!("{other:?} is not Memcached")),
        };
        let (addresses, placement) = parsed
            .map_err(|message| SessionError::new(SessionErrorKind::Misconfigured, message))?;
        let servers = addresses.into_iter();
        Ok(Self {
            servers: servers
                .map(|address| Server::new(address, timeout))
                .collect(),
            placement,
        })
    }

    /// Sends a command to the server that keeps this key.
    async fn call(&self, key: Key<'_>, command: Command) -> Result<Reply, CacheError> {
        match self.servers.get(self.placement.of(key.as_str())) {
            Some(server) => server.call(command).await,
            None => Err(CacheError::new("there is no server")),
        }
    }

    async fn store(
        &self,
        name: &str,
        how: Store,
        epoch: Option<u64>,
        value: &[u8],
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        let Some(key) = Key::parse(name) else {
            // Nothing can be there to be replaced.
            return match how {
                Store::Swap(_) => Ok(Swapped::Missing),
                Store::Set | Store::Add => Err(CacheError::new(
                    "Memcached takes names of at most 250 bytes without white space and control characters",
                )),
            };
        };
        let command = Command::write(protocol::store(key, how, PICKLE, value, ttl))
            .storing(name.len() + value.len());
        let command = match epoch {
            Some(epoch) => command.on(epoch),
            None => command,
        };
        match self.call(key, command).await? {
            Reply::Answer {
                epoch,
                answer: Answer::Done { cas },
            } => Ok(Swapped::Done(revision(epoch, cas)?)),
            Reply::Answer {
                answer: Answer::Exists | Answer::NotStored,
                ..
            }
            | Reply::OtherEpoch => Ok(Swapped::Conflict),
            Reply::Answer {
                answer: Answer::Missing,
                ..
            } => Ok(Swapped::Missing),
            Reply::Answer { answer, .. } => Err(unexpected(answer)),
        }
    }
}

#[async_trait]
impl Cache for MemcachedCache {
    /// With its time, which comes with the value. `None` where the flags say that it is no pickle.
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        // What Memcached cannot hold is not there; Django refuses such a key as well.
        let Some(key) = Key::parse(name) else {
            return Ok(None);
        };
        match self.call(key, Command::read(protocol::get(key))).await? {
            Reply::Answer {
                epoch,
                answer: Answer::Value(item),
            } => {
                let (revision, ttl) = (revision(epoch, item.cas)?, item.ttl);
                Ok(pickle(item).map(|value| Cached {
                    value,
                    revision: Some(revision),
                    ttl,
                }))
            }
            Reply::Answer {
                answer: Answer::Missing,
                ..
            }
            | Reply::OtherEpoch => Ok(None),
            Reply::Answer { answer, .. } => Err(unexpected(answer)),
        }
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        match self.store(name, Store::Set, None, &value, ttl).await? {
            Swapped::Done(revision) => Ok(revision),
            Swapped::Conflict | Swapped::Missing => {
                Err(CacheError::new("Memcached did not store the value"))
            }
        }
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        match self.store(name, Store::Add, None, &value, ttl).await? {
            Swapped::Done(revision) => Ok(Some(revision)),
            Swapped::Conflict | Swapped::Missing => Ok(None),
        }
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        let Some((epoch, cas)) = parts(seen) else {
            return Ok(Swapped::Conflict);
        };
        let how = Store::Swap(cas);
        self.store(name, how, Some(epoch), &value, ttl).await
    }

    /// Memcached moves the time of whatever is there, and tells what that was.
    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        if ttl.is_zero() {
            return self.delete(name, Some(seen)).await;
        }
        let Some(key) = Key::parse(name) else {
            return Ok(Swapped::Missing);
        };
        let Some((epoch, seen)) = parts(seen) else {
            return Ok(Swapped::Conflict);
        };
        let command = Command::write(protocol::touch(key, ttl)).on(epoch);
        match self.call(key, command).await? {
            Reply::Answer {
                answer: Answer::Done { cas },
                ..
            } if cas == seen => Ok(Swapped::Done(())),
            Reply::Answer {
                answer: Answer::Done { .. },
                ..
            }
            | Reply::OtherEpoch => Ok(Swapped::Conflict),
            Reply::Answer {
                answer: Answer::Missing,
                ..
            } => Ok(Swapped::Missing),
            Reply::Answer { answer, .. } => Err(unexpected(answer)),
        }
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        let Some(key) = Key::parse(name) else {
            return Ok(Swapped::Missing);
        };
        let command = match seen.map(parts) {
            None => Command::write(protocol::delete(key, None)),
            Some(Some((epoch, cas))) => Command::write(protocol::delete(key, Some(cas))).on(epoch),
            Some(None) => return Ok(Swapped::Conflict),
        };
        match self.call(key, command).await? {
            Reply::Answer { answer, .. } => match answer {
                Answer::Done { .. } => Ok(Swapped::Done(())),
                Answer::Exists => Ok(Swapped::Conflict),
                Answer::Missing => Ok(Swapped::Missing),
                answer => Err(unexpected(answer)),
            },
            Reply::OtherEpoch => Ok(Swapped::Conflict),
        }
    }
}

/// The servers alone.
impl fmt::Debug for MemcachedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemcachedCache")
            .field(&self.servers)
            .finish()
    }
}

/// Epoch and CAS number as bytes.
fn revision(epoch: u64, cas: u64) -> Result<Revision, CacheError> {
    // A CAS number is never 0, unless there are none.
    if cas == 0 {
        return Err(CacheError::new(
            "this Memcached keeps no CAS numbers, without which sessions would be lost: start it without -C",
        ));
    }
    let mut bytes = Vec::with_capacity(16);
    bytes.extend_from_slice(&epoch.to_be_bytes());
    bytes.extend_from_slice(&cas.to_be_bytes());
    Ok(bytes.into())
}

/// Epoch and CAS number of a revision; `None` where it is none of ours.
fn parts(revision: &Revision) -> Option<(u64, u64)> {
    let (epoch, cas) = revision.as_bytes().split_first_chunk::<8>()?;
    let cas = cas.try_into().ok()?;
    Some((u64::from_be_bytes(*epoch), u64::from_be_bytes(cas)))
}

/// The pickle in an item; `None` with a log line where it holds something else, which Django would not take for a
/// session either.
fn pickle(item: Item) -> Option<Vec<u8>> {
    match item.flags {
        PICKLE => Some(item.value),
        flags if flags == PICKLE | COMPRESSED => {
            let mut value = Vec::new();
            let mut bounded = ZlibDecoder::new(&*item.value).take(MAX_DECOMPRESSED + 1);
            match bounded.read_to_end(&mut value) {
                Ok(_) if value.len() as u64 <= MAX_DECOMPRESSED => Some(value),
                Ok(_) => {
                    warn!(target: "quintette::session", "a value in Memcached holds more than 16 MiB");
                    None
                }
                Err(error) => {
                    warn!(target: "quintette::session", %error, "a value in Memcached cannot be decompressed");
                    None
                }
            }
        }
        flags => {
            warn!(target: "quintette::session", flags, "a value in Memcached is no pickle");
            None
        }
    }
}

/// Something else than this command is answered with; a refusal among it.
fn unexpected(answer: Answer) -> CacheError {
    match answer {
        Answer::Refused(why) => CacheError::new(format!("Memcached refuses: {why}")),
        _ => CacheError::unknown("Memcached answered something else than it was asked"),
    }
}
