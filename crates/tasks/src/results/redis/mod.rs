//! Redis as a result backend, in Celery's layout.

mod chord;
mod scripts;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::json::{RawJson, parse_object};
use redis::{Pipeline, Value};

use self::chord::Claims;
use self::scripts::STORE;
use self::wait::Waiters;
use super::{
    ChordCounter, ResultBackend, ResultError, ResultErrorKind, State, StoreContext, TaskMeta,
};
use crate::redis::{Failure, FailureKind, Link, Place};

/// `redis://`: results in Redis, as Celery's own backend keeps them.
///
/// Storing is one round trip, in which the server itself sees to it that a SUCCESS stays. Those who wait are woken by the
/// message that Celery publishes with each result; all of a process share one connection for that. Chords are counted by the server.
///
/// The URLs are those of [`RedisBroker`](crate::brokers::RedisBroker).
#[derive(Clone)]
pub struct RedisResults {
    core: Arc<Core>,
}

struct Core {
    link: Link,
    prefix: String,
    /// Seconds; 0 for ever.
    expires: u64,
    waiters: Waiters,
    claims: Claims,
}

impl RedisResults {
    /// The store at a URL. It connects when it is first used.
    ///
    /// `expires` is Celery's `result_expires`; `global_keyprefix` is that of `result_backend_transport_options`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use quintette_tasks::results::RedisResults;
    ///
    /// let day = Duration::from_secs(86_400);
    /// let results = RedisResults::new("redis://127.0.0.1:6379/1", Some(day), "")?;
    /// # Ok::<(), quintette_tasks::results::ResultError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A URL that means nothing here, or TLS that is not compiled in; on a Cluster a prefix without a hash tag. The error does not repeat
    /// the URL.
    pub fn new(
        url: &str,
        expires: Option<Duration>,
        global_keyprefix: &str,
    ) -> Result<Self, ResultError> {
        let place = Place::parse(url).map_err(|failure| error("result_backend", failure))?;
        let checked = place.check_prefix("global_keyprefix", global_keyprefix);
        checked.map_err(|failure| error("result_backend_transport_options", failure))?;
        let mut prefix = global_keyprefix.to_owned();
        // As Celery does it.
        if !prefix.is_empty() && !prefix.ends_with([':', '_', '-', '.']) {
            prefix.push('_');
        }
        let link = Link::new(place, &prefix);
        Ok(Self {
            core: Arc::new(Core {
                waiters: Waiters::new(link.clone()),
                link,
                prefix,
                expires: expires.map_or(0, |expires| expires.as_secs().max(1)),
                claims: Claims::default(),
            }),
        })
    }
}

impl fmt::Debug for RedisResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisResults({:?})", self.core.link.place())
    }
}

impl Core {
    fn task(&self, id: &str) -> String {
        format!("{}celery-task-meta-{id}", self.prefix)
    }

    fn group(&self, id: &str) -> String {
        format!("{}celery-taskset-meta-{id}", self.prefix)
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(key);
        match self.link.pipeline_again(&commands).await?.pop() {
            Some(Value::BulkString(value)) => Ok(Some(value)),
            Some(Value::Nil) => Ok(None),
            _ => Err(Failure::unexpected()),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), Failure> {
        let mut commands = redis::pipe();
        commands.cmd("DEL").arg(key);
        self.link.pipeline_again(&commands).await.map(drop)
    }

    fn set(&self, commands: &mut Pipeline, key: &str, value: &[u8]) {
        let set = commands.cmd("SET").arg(key).arg(value);
        if self.expires > 0 {
            set.arg("EX").arg(self.expires);
        }
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        let read = self.read(&self.task(id)).await;
        let stored = read.map_err(|failure| error("load a result", failure))?;
        stored.map(|stored| parse(id, &stored)).transpose()
    }
}

fn parse(id: &str, stored: &[u8]) -> Result<TaskMeta, ResultError> {
    let json = json(stored).ok_or_else(|| corrupt(id))?;
    let meta = TaskMeta::from_json(&json);
    meta.map_err(|error| corrupt(id).with_source(error))
}

fn json(stored: &[u8]) -> Option<RawJson> {
    RawJson::parse(std::str::from_utf8(stored).ok()?).ok()
}

fn corrupt(id: &str) -> ResultError {
    ResultError::new(
        ResultErrorKind::Corrupt,
        format!(
            "load a result: what is stored of {id} is no result in JSON; is result_serializer or result_compression set somewhere?"
        ),
    )
}

#[async_trait]
impl ResultBackend for RedisResults {
    async fn store(&self, meta: &TaskMeta, _: &StoreContext) -> Result<(), ResultError> {
        let core = &self.core;
        let (key, value) = (core.task(&meta.task_id), meta.to_json());
        let expires = core.expires.to_string();
        let arguments = [value.as_str().as_bytes(), expires.as_bytes()];
        let keys = [key.as_bytes()];
        let stored = core.link.script_again(&STORE, &keys, &arguments).await;
        stored
            .map(drop)
            .map_err(|failure| error("store a result", failure))
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        self.core.load(id).await
    }

    async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        self.core.wait(id, timeout).await
    }

    async fn forget(&self, id: &str) -> Result<(), ResultError> {
        let forgotten = self.core.delete(&self.core.task(id)).await;
        forgotten.map_err(|failure| error("forget a result", failure))
    }

    async fn save_group(&self, group: &str, children: &RawJson) -> Result<(), ResultError> {
        let mut commands = redis::pipe();
        let value = format!("{{\"result\": {children}}}");
        self.core
            .set(&mut commands, &self.core.group(group), value.as_bytes());
        let saved = self.core.link.pipeline_again(&commands).await;
        saved
            .map(drop)
            .map_err(|failure| error("save a group", failure))
    }

    async fn load_group(&self, group: &str) -> Result<Option<RawJson>, ResultError> {
        let read = self.core.read(&self.core.group(group)).await;
        let Some(stored) = read.map_err(|failure| error("load a group", failure))? else {
            return Ok(None);
        };
        let json = json(&stored).ok_or_else(|| corrupt(group))?;
        let members = parse_object(json.as_str().as_bytes());
        let members = members.map_err(|error| corrupt(group).with_source(error))?;
        members
            .get("result")
            .cloned()
            .map(Some)
            .ok_or_else(|| corrupt(group))
    }

    async fn forget_group(&self, group: &str) -> Result<(), ResultError> {
        let forgotten = self.core.delete(&self.core.group(group)).await;
        forgotten.map_err(|failure| error("forget a group", failure))
    }

    fn chords(&self) -> Option<&dyn ChordCounter> {
        Some(&*self.core)
    }
}

fn error(doing: &str, failure: Failure) -> ResultError {
    let kind = match failure.kind {
        FailureKind::Unavailable => ResultErrorKind::Unavailable,
        FailureKind::Refused => ResultErrorKind::Refused,
        FailureKind::Configuration => ResultErrorKind::Configuration,
    };
    ResultError::new(kind, format!("{doing}: {failure}")).with_source(failure)
}
