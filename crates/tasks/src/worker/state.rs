use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::clock::LamportClock;
use super::events::Events;
use super::rate::Rate;
use super::request::{Request, Stage, Stop};
use super::revoked::RevokedIds;

/// What a worker is doing, for remote control. Celery's `worker.state`.
#[derive(Debug)]
pub struct WorkerState {
    /// The worker's name: `celery@host`.
    pub hostname: Arc<str>,
    /// Orders what workers say.
    pub clock: LamportClock,
    /// Task events.
    pub events: Events,
    started: Instant,
    requests: Mutex<HashMap<u64, Arc<Request>>>,
    totals: Mutex<HashMap<String, u64>>,
    revoked: Mutex<RevokedIds>,
    /// Held while the file of revoked ids is written.
    writing: Mutex<()>,
    revoked_stamps: Mutex<Map<String, Value>>,
    rates: Mutex<HashMap<String, Rate>>,
    limits: Mutex<HashMap<String, TimeLimits>>,
    queues: Mutex<Vec<crate::brokers::Queue>>,
    concurrency: AtomicUsize,
    prefetch: watch::Sender<u32>,
    file: Option<PathBuf>,
}

/// How long a task may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// After so long it is asked to end.
    pub soft: Option<Duration>,
    /// After so long it is ended.
    pub hard: Option<Duration>,
}

impl WorkerState {
    pub(crate) fn new(hostname: Arc<str>, concurrency: usize, file: Option<PathBuf>) -> Self {
        Self {
            hostname,
            clock: LamportClock::default(),
            events: Events::default(),
            started: Instant::now(),
            requests: Mutex::default(),
            totals: Mutex::default(),
            revoked: Mutex::default(),
            writing: Mutex::default(),
            revoked_stamps: Mutex::default(),
            rates: Mutex::default(),
            limits: Mutex::default(),
            queues: Mutex::default(),
            concurrency: AtomicUsize::new(concurrency),
            prefetch: watch::Sender::new(0),
            file,
        }
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The tasks that run.
    pub fn active(&self) -> Vec<Arc<Request>> {
        self.at(Stage::Active)
    }

    /// The tasks that wait for their turn.
    pub fn reserved(&self) -> Vec<Arc<Request>> {
        self.at(Stage::Reserved)
    }

    /// The tasks that wait for their time.
    pub fn scheduled(&self) -> Vec<Arc<Request>> {
        self.at(Stage::Scheduled)
    }

    /// The tasks with these ids, whatever they are doing. Celery's `query_task`.
    pub fn find(&self, ids: &[String]) -> Vec<Arc<Request>> {
        let requests = lock(&self.requests);
        let wanted = |request: &&Arc<Request>| ids.iter().any(|id| id == request.id());
        requests.values().filter(wanted).cloned().collect()
    }

    fn at(&self, stage: Stage) -> Vec<Arc<Request>> {
        let requests = lock(&self.requests);
        let mut found: Vec<_> = requests
            .values()
            .filter(|request| request.stage() == stage)
            .cloned()
            .collect();
        found.sort_by_key(|request| request.sequence);
        found
    }

    pub(crate) fn requests(&self) -> Vec<Arc<Request>> {
        lock(&self.requests).values().cloned().collect()
    }

    /// How many tasks run.
    pub fn active_count(&self) -> usize {
        let requests = lock(&self.requests);
        let active = |request: &&Arc<Request>| request.stage() == Stage::Active;
        requests.values().filter(active).count()
    }

    pub(crate) fn insert(&self, request: &Arc<Request>) {
        lock(&self.requests).insert(request.sequence, request.clone());
    }

    pub(crate) fn remove(&self, request: &Request) {
        lock(&self.requests).remove(&request.sequence);
    }

    /// How many tasks of each name have begun.
    pub fn totals(&self) -> BTreeMap<String, u64> {
        let totals = lock(&self.totals);
        totals.iter().map(|(name, n)| (name.clone(), *n)).collect()
    }

    /// How many tasks have begun.
    pub fn processed(&self) -> u64 {
        lock(&self.totals).values().sum()
    }

    pub(crate) fn count(&self, task: &str) {
        let mut totals = lock(&self.totals);
        match totals.get_mut(task) {
            Some(total) => *total += 1,
            None => {
                totals.insert(task.to_owned(), 1);
            }
        }
    }

    /// The ids of revoked tasks.
    pub fn revoked(&self) -> Vec<String> {
        lock(&self.revoked).iter().map(str::to_owned).collect()
    }

    /// Adds ids that another worker has (`hello`) or that an operator named, and keeps them over a restart where `worker_state_db` is set.
    ///
    /// It writes a file, so call it from a thread that may wait.
    pub fn revoke(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) {
        let now = SystemTime::now();
        // Held first and longest, so that what is written later is what was added later.
        let _one_writes = lock(&self.writing);
        let mut revoked = lock(&self.revoked);
        let mut added = 0;
        for id in ids {
            added += usize::from(revoked.add(id.as_ref(), now));
        }
        let Some(file) = self.file.as_ref().filter(|_| added > 0) else {
            return;
        };
        let unwritten = revoked.unwritten(added);
        // Tasks are looked up meanwhile: they do not wait for a disk.
        drop(revoked);
        if let Err(error) = unwritten.and_then(|unwritten| unwritten.write(file)) {
            tracing::error!(
                "worker_state_db {}: the ids of revoked tasks cannot be written, and will be forgotten when this worker ends: {error}",
                file.display()
            );
        }
    }

    pub(crate) fn load_revoked(&self) -> std::io::Result<()> {
        match &self.file {
            Some(file) => lock(&self.revoked).load(file, SystemTime::now()),
            None => Ok(()),
        }
    }

    /// Revokes tasks by a header that they are stamped with.
    pub fn revoke_stamped(&self, headers: Map<String, Value>) {
        let mut stamps = lock(&self.revoked_stamps);
        // Unlike ids, these do not expire: a bound keeps them from growing for ever.
        if stamps.len() < 1_000 {
            stamps.extend(headers);
        }
    }

    /// Whether a task is not to run any more.
    pub fn is_revoked(&self, request: &Request) -> bool {
        if lock(&self.revoked).contains(request.id()) {
            return true;
        }
        match &request.headers.stamped_headers {
            None => false,
            Some(names) => {
                let revoked = lock(&self.revoked_stamps);
                names.iter().any(|name| {
                    let stamp = request.headers.stamps.get(name);
                    let stamp = stamp.or_else(|| request.headers.extra.get(name));
                    matches!((revoked.get(name), stamp), (Some(a), Some(b)) if share_a_value(a, b))
                })
            }
        }
    }

    pub(crate) fn stop(&self, ids: &[String], why: Stop) {
        for request in self.find(ids) {
            request.control.stop(why);
        }
    }

    /// A task's rate limit that an operator has set.
    pub fn rate(&self, task: &str) -> Option<Rate> {
        lock(&self.rates).get(task).copied()
    }

    pub(crate) fn set_rate(&self, task: &str, rate: Rate) {
        lock(&self.rates).insert(task.to_owned(), rate);
    }

    /// A task's time limits that an operator has set.
    pub fn time_limits(&self, task: &str) -> Option<TimeLimits> {
        let limits = lock(&self.limits);
        if limits.is_empty() {
            return None;
        }
        limits.get(task).copied()
    }

    pub(crate) fn set_time_limits(&self, task: &str, limits: TimeLimits) {
        lock(&self.limits).insert(task.to_owned(), limits);
    }

    /// The queues that are consumed.
    pub fn queues(&self) -> Vec<crate::brokers::Queue> {
        lock(&self.queues).clone()
    }

    pub(crate) fn change_queues(&self, change: impl FnOnce(&mut Vec<crate::brokers::Queue>)) {
        change(&mut lock(&self.queues));
    }

    /// How many tasks run at once.
    pub fn concurrency(&self) -> usize {
        self.concurrency.load(Ordering::Relaxed)
    }

    pub(crate) fn set_concurrency(&self, concurrency: usize) {
        self.concurrency.store(concurrency, Ordering::Relaxed);
    }

    /// How many messages are held at most; 0 for any number.
    pub fn prefetch(&self) -> u32 {
        *self.prefetch.borrow()
    }

    pub(crate) fn prefetch_channel(&self) -> &watch::Sender<u32> {
        &self.prefetch
    }
}

/// Stamps are values or lists of values.
fn share_a_value(one: &Value, other: &Value) -> bool {
    let list = |value: &Value| match value {
        Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    };
    let other = list(other);
    list(one).iter().any(|value| other.contains(value))
}

/// A panic while a lock was held leaves data that is still whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
