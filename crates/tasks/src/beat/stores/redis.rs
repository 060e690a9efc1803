//! A store in Redis.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::{FromRedisValue, Value};

use super::super::entry::Entry;
use super::super::error::{BeatError, BeatErrorKind};
use super::super::lease::{Fence, Lease};
use super::ScheduleStore;
use super::runs::{Run, Runs, installed, with_runs};
use crate::redis::{Link, Place, Script};

/// Takes the lease (KEYS[1]) where nobody has it, with the next fence (KEYS[2]).
static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local fence = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], fence, 'PX', ARGV[1])
return fence",
    )
});

/// A lease that ran out and that nobody has taken since is as good as held.
static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1",
    )
});

static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1",
    )
});

/// Writes runs (ARGV[3…]: name, run, …) into a hash (KEYS[3]), whole if ARGV[2] says so.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local seen = tonumber(redis.call('GET', KEYS[2]) or '0')
if seen > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
if ARGV[2] == 'all' then redis.call('DEL', KEYS[3]) end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
return 1",
    )
});

/// Keeps the last runs in Redis, and the lease beside them.
///
/// The keys are `quintette-beat:{<name>}:lease`, `:fence` and `:runs`: the braces keep them in one slot of a Cluster.
/// A Redis that loses its data, or fails over to a replica that had not yet received the last write, forgets runs with
/// it: then a run may be sent a second time, with the id that it had the first time.
#[derive(Debug)]
pub struct RedisStore {
    link: Link,
    keys: [String; 3],
    entries: Mutex<Vec<Entry>>,
}

impl RedisStore {
    /// A store for the beat of this name. Beats of one name take turns; each program has a name of its own.
    ///
    /// `url` is as `broker_url` is: `redis://host:6379/0`, `redis+cluster://…` or `redis+sentinel://…`. Nothing is
    /// connected yet.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read.
    pub fn open(url: &str, name: &str) -> Result<Self, BeatError> {
        let place = Place::parse(url).map_err(|failure| store_error("use", failure))?;
        let prefix = format!("quintette-beat:{{{name}}}:");
        Ok(Self {
            link: Link::new(place, &prefix),
            keys: ["lease", "fence", "runs"].map(|key| format!("{prefix}{key}")),
            entries: Mutex::default(),
        })
    }

    /// Each script may run twice where its answer was lost: what it did, it finds done.
    async fn run<T: FromRedisValue>(
        &self,
        doing: &str,
        script: &Script,
        arguments: &[String],
    ) -> Result<T, BeatError> {
        let keys = self.keys.each_ref().map(String::as_bytes);
        let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
        let answer = self.link.script_again(script, &keys, &arguments).await;
        answered(
            doing,
            answer.map_err(|failure| store_error(doing, failure))?,
        )
    }

    async fn write(&self, fence: Fence, whole: bool, runs: Runs) -> Result<(), BeatError> {
        let whole = if whole { "all" } else { "these" };
        let mut args = vec![fence.0.to_string(), whole.to_owned()];
        for (name, run) in runs {
            let run =
                serde_json::to_string(&run).map_err(|error| store_error("write to", error))?;
            args.extend([name, run]);
        }
        let written: bool = self.run("write to", &WRITE, &args).await?;
        written.then_some(()).ok_or_else(BeatError::lease_lost)
    }

    async fn runs(&self) -> Result<Runs, BeatError> {
        let mut all = redis::cmd("HGETALL");
        all.arg(&self.keys[2]);
        let doing = "read from";
        let answer = self.link.command(&all).await;
        let kept: HashMap<String, String> = answered(
            doing,
            answer.map_err(|failure| store_error(doing, failure))?,
        )?;
        let parsed = kept
            .into_iter()
            .map(|(name, run)| Ok((name, serde_json::from_str(&run)?)));
        parsed
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| store_error("understand the last runs in", error))
    }
}

fn answered<T: FromRedisValue>(doing: &str, answer: Value) -> Result<T, BeatError> {
    redis::from_redis_value(answer).map_err(|error| store_error(doing, error))
}

fn store_error(
    doing: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BeatError {
    let what = format!("beat could not {doing} Redis");
    BeatError::new(BeatErrorKind::Store, what).caused_by(source)
}

fn millis(time: Duration) -> String {
    time.as_millis().max(1).to_string()
}

#[async_trait]
impl ScheduleStore for RedisStore {
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError> {
        let runs = installed(entries, &self.runs().await?);
        self.write(fence, true, runs).await?;
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = entries.to_vec();
        Ok(())
    }

    async fn load(&self) -> Result<Vec<Entry>, BeatError> {
        let runs = self.runs().await?;
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(with_runs(&entries, &runs))
    }

    async fn changed(&self) -> Result<bool, BeatError> {
        Ok(false)
    }

    async fn record(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        let run = Run::of(entry).map(|run| (entry.name.clone(), run));
        self.write(fence, false, run.into_iter().collect()).await
    }

    async fn finish(&self, _: Fence, _: &Entry) -> Result<(), BeatError> {
        Ok(())
    }
}

#[async_trait]
impl Lease for RedisStore {
    async fn acquire(&self, time: Duration) -> Result<Option<Fence>, BeatError> {
        let fence: Option<i64> = self
            .run("take the lease in", &ACQUIRE, &[millis(time)])
            .await?;
        Ok(fence.map(Fence))
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError> {
        let args = [fence.0.to_string(), millis(time)];
        self.run("renew the lease in", &RENEW, &args).await
    }

    async fn release(&self, fence: Fence) -> Result<(), BeatError> {
        self.run("release the lease in", &RELEASE, &[fence.0.to_string()])
            .await
    }
}
