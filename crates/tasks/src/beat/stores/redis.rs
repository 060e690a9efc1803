//! A store in Redis.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{Client, Script};
use tokio::sync::OnceCell;

use super::super::entry::Entry;
use super::super::error::{BeatError, BeatErrorKind};
use super::super::lease::{Fence, Lease};
use super::ScheduleStore;
use super::runs::{Run, Runs, installed, with_runs};

/// Takes the lease (KEYS[1]) where nobody has it, with the next fence (KEYS[2]).
const ACQUIRE: &str = r"
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local fence = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], fence, 'PX', ARGV[1])
return fence";

/// A lease that ran out and that nobody has taken since is as good as held.
const RENEW: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1";

/// Writes runs (ARGV[3…]: name, run, …) into a hash (KEYS[3]), whole if ARGV[2] says so.
const WRITE: &str = r"
local seen = tonumber(redis.call('GET', KEYS[2]) or '0')
if seen > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
if ARGV[2] == 'all' then redis.call('DEL', KEYS[3]) end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
return 1";

/// Keeps the last runs in Redis, and the lease beside them.
///
/// The keys are `quintette-beat:{<name>}:lease`, `:fence` and `:runs`: the braces keep them in one slot of a Cluster.
/// A Redis that loses its data, or fails over to a replica that had not yet received the last write, forgets runs with
/// it: then a run may be sent a second time, with the id that it had the first time.
pub struct RedisStore {
    client: Client,
    connection: OnceCell<ConnectionManager>,
    keys: [String; 3],
    entries: Mutex<Vec<Entry>>,
}

impl fmt::Debug for RedisStore {
    /// Without the client, whose address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    /// A store for the beat of this name. Beats of one name take turns; each program has a name of its own.
    pub fn new(client: Client, name: &str) -> Self {
        Self {
            client,
            connection: OnceCell::new(),
            keys: ["lease", "fence", "runs"].map(|key| format!("quintette-beat:{{{name}}}:{key}")),
            entries: Mutex::default(),
        }
    }

    async fn connection(&self) -> Result<ConnectionManager, BeatError> {
        let connect = || self.client.get_connection_manager();
        let connection = self.connection.get_or_try_init(connect).await;
        connection
            .cloned()
            .map_err(|error| store_error("connect to", error))
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        doing: &str,
        script: &str,
        args: &[String],
    ) -> Result<T, BeatError> {
        let mut connection = self.connection().await?;
        let script = Script::new(script);
        let mut call = script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        for arg in args {
            call.arg(arg);
        }
        let answer = call.invoke_async(&mut connection).await;
        answer.map_err(|error| store_error(doing, error))
    }

    async fn write(&self, fence: Fence, whole: bool, runs: Runs) -> Result<(), BeatError> {
        let whole = if whole { "all" } else { "these" };
        let mut args = vec![fence.0.to_string(), whole.to_owned()];
        for (name, run) in runs {
            let run =
                serde_json::to_string(&run).map_err(|error| store_error("write to", error))?;
            args.extend([name, run]);
        }
        let written: bool = self.run("write to", WRITE, &args).await?;
        written.then_some(()).ok_or_else(BeatError::lease_lost)
    }

    async fn runs(&self) -> Result<Runs, BeatError> {
        let mut connection = self.connection().await?;
        let kept: HashMap<String, String> = redis::cmd("HGETALL")
            .arg(&self.keys[2])
            .query_async(&mut connection)
            .await
            .map_err(|error| store_error("read from", error))?;
        let parsed = kept
            .into_iter()
            .map(|(name, run)| Ok((name, serde_json::from_str(&run)?)));
        parsed
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| store_error("understand the last runs in", error))
    }
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
            .run("take the lease in", ACQUIRE, &[millis(time)])
            .await?;
        Ok(fence.map(Fence))
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError> {
        let args = [fence.0.to_string(), millis(time)];
        self.run("renew the lease in", RENEW, &args).await
    }

    async fn release(&self, fence: Fence) -> Result<(), BeatError> {
        self.run("release the lease in", RELEASE, &[fence.0.to_string()])
            .await
    }
}
