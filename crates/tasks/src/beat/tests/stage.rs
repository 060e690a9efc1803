//! A clock that can be set, and a broker that can fail.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::schedule::Crontab;
use super::super::{Beat, BeatStore, Clock, Entry, Tick, TickSender};
use crate::signature::Signature;

/// A clock over tokio's paused time.
#[derive(Debug)]
pub(super) struct TestClock {
    start: DateTime<Utc>,
    since: Instant,
    set: Mutex<TimeDelta>,
}

impl TestClock {
    pub(super) fn at(start: &str) -> Arc<Self> {
        Arc::new(Self {
            start: start.parse().unwrap(),
            since: Instant::now(),
            set: Mutex::new(TimeDelta::zero()),
        })
    }

    pub(super) fn jump(&self, by: TimeDelta) {
        *self.set.lock().unwrap() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.since.elapsed()).unwrap();
        self.start + elapsed + *self.set.lock().unwrap()
    }
}

/// What reached the broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    sent: Mutex<Vec<(Instant, Tick)>>,
    /// So many messages are refused.
    pub(super) refuses: AtomicU32,
    /// Messages of this entry are refused.
    pub(super) refuses_entry: Mutex<Option<String>>,
    /// Messages are taken, and the sender never hears of it.
    pub(super) is_silent: AtomicBool,
    /// What was sent can be looked up.
    pub(super) knows: AtomicBool,
}

impl Broker {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(_, tick)| tick.id.clone()).collect()
    }

    /// The names and due times, in the order in which they were sent.
    pub(super) fn dues(&self) -> Vec<String> {
        let due = |(_, tick): &(Instant, Tick)| {
            format!("{} {}", tick.entry.name, tick.due.format("%H:%M:%S"))
        };
        self.sent.lock().unwrap().iter().map(due).collect()
    }

    pub(super) fn last(&self) -> Option<(Instant, Tick)> {
        self.sent.lock().unwrap().last().cloned()
    }
}

#[async_trait]
impl TickSender for Broker {
    async fn send(&self, tick: &Tick) -> Result<(), Box<dyn Error + Send + Sync>> {
        let left = |refuses: u32| refuses.checked_sub(1);
        let refused = self
            .refuses
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_ok();
        let of_entry = self.refuses_entry.lock().unwrap().clone();
        if refused || of_entry.as_ref() == Some(&tick.entry.name) {
            return Err("connection refused".into());
        }
        self.sent
            .lock()
            .unwrap()
            .push((Instant::now(), tick.clone()));
        if self.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn was_sent(&self, id: &str) -> Result<bool, Box<dyn Error + Send + Sync>> {
        Ok(self.knows.load(Ordering::SeqCst) && self.ids().iter().any(|sent| sent == id))
    }
}

pub(super) fn every(seconds: u64) -> Entry {
    let schedule = Duration::from_secs(seconds);
    Entry::new(format!("every {seconds}"), schedule, Signature::new("task"))
}

pub(super) fn cron(crontab: &str) -> Entry {
    let crontab: Crontab = crontab.parse().unwrap();
    Entry::new("cron", crontab, Signature::new("task"))
}

pub(super) fn beat(
    clock: &Arc<TestClock>,
    broker: &Arc<Broker>,
    store: &Arc<impl BeatStore + 'static>,
) -> Beat {
    let sender = Arc::clone(broker) as Arc<dyn TickSender>;
    Beat::over("test", sender, store.clone()).clock(Arc::clone(clock) as Arc<dyn Clock>)
}

/// A beat that runs by itself.
pub(super) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) fn start(beat: Beat) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(beat.run(async move {
            let _ = stopped.await;
        }));
        Self { stop, task }
    }

    /// Asked to, as by SIGTERM.
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// As by SIGKILL: whatever it is at.
    pub(super) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub(super) async fn seconds(seconds: u64) {
    // A little later, so that what is due just then has been sent.
    sleep(Duration::from_millis(seconds * 1000 + 100)).await;
}
