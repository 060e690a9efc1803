//! Leaders that die or stand still, at each point where it matters.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::super::{BeatError, BeatErrorKind, Entry, Fence, Lease, MemoryStore, ScheduleStore};
use super::stage::{Broker, Running, TestClock, beat, every, seconds};

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_within_its_lease_and_no_run_is_lost() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let [first, second] =
        [(); 2].map(|()| Running::start(beat(&clock, &broker, &store).entry(every(10))));
    seconds(21).await;
    first.kill().await;
    let killed = Instant::now();
    while broker.dues().len() < 3 {
        seconds(0).await;
    }
    assert!(killed.elapsed() < Duration::from_secs(30 + 5 + 1));
    seconds(10).await;
    second.stop().await;
    let dues = broker.dues();
    assert_eq!(
        dues[..3],
        [
            "every 10 12:00:10",
            "every 10 12:00:20",
            "every 10 12:00:30"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_a_dead_leader_sent_and_did_not_record_has_the_same_id_again() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    broker.is_silent.store(true, Ordering::SeqCst);
    let first = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(61).await;
    first.kill().await;
    broker.is_silent.store(false, Ordering::SeqCst);
    let second = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(45).await;
    second.stop().await;
    let ids = broker.ids();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_a_dead_leader_sent_is_not_sent_again_where_results_tell_of_it() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    broker.knows.store(true, Ordering::SeqCst);
    broker.is_silent.store(true, Ordering::SeqCst);
    let first = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(61).await;
    first.kill().await;
    broker.is_silent.store(false, Ordering::SeqCst);
    let second = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(60).await;
    second.stop().await;
    assert_eq!(broker.dues(), ["every 60 12:01:00", "every 60 12:02:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_gets_the_same_run_again() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    broker.is_silent.store(true, Ordering::SeqCst);
    let running = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(61).await;
    broker.is_silent.store(false, Ordering::SeqCst);
    seconds(40).await;
    running.stop().await;
    assert_eq!(broker.dues(), ["every 60 12:01:00", "every 60 12:01:00"]);
    assert_eq!(broker.ids().iter().collect::<HashSet<_>>().len(), 1);
}

/// A store that can be out of reach.
#[derive(Debug, Default)]
struct Distant {
    store: MemoryStore,
    is_away: AtomicBool,
}

impl Distant {
    fn reach(&self) -> Result<&MemoryStore, BeatError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(BeatError::new(BeatErrorKind::Store, "away"));
        }
        Ok(&self.store)
    }
}

#[async_trait]
impl ScheduleStore for Distant {
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError> {
        self.reach()?.install(fence, entries).await
    }
    async fn load(&self) -> Result<Vec<Entry>, BeatError> {
        self.reach()?.load().await
    }
    async fn changed(&self) -> Result<bool, BeatError> {
        Ok(false)
    }
    async fn record(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        self.reach()?.record(fence, entry).await
    }
    async fn finish(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        self.reach()?.finish(fence, entry).await
    }
}

#[async_trait]
impl Lease for Distant {
    async fn acquire(&self, time: Duration) -> Result<Option<Fence>, BeatError> {
        self.reach()?.acquire(time).await
    }
    async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError> {
        self.reach()?.renew(fence, time).await
    }
    async fn release(&self, fence: Fence) -> Result<(), BeatError> {
        self.reach()?.release(fence).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_minutes_loses_no_run_and_doubles_none() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(Distant::default());
    let running = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(59).await;
    store.is_away.store(true, Ordering::SeqCst);
    seconds(200).await; // the run of 12:01:00 is sent, and nobody can write that down; the lease is lost
    store.is_away.store(false, Ordering::SeqCst);
    seconds(60).await;
    running.stop().await;
    let dues = broker.dues();
    assert_eq!(
        dues[..2],
        ["every 60 12:01:00", "every 60 12:02:00"],
        "{dues:?}"
    );
    let ids = broker.ids();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}

#[tokio::test(start_paused = true)]
async fn a_beat_without_a_certain_lease_sends_nothing() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(Distant::default());
    let running = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(10).await;
    store.is_away.store(true, Ordering::SeqCst);
    seconds(120).await;
    assert_eq!(broker.dues(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_old_leader_records_is_refused() {
    let store = MemoryStore::new();
    let time = Duration::from_secs(30);
    let old = store.acquire(time).await.unwrap().unwrap();
    assert!(store.acquire(time).await.unwrap().is_none());
    seconds(30).await;
    let new = store.acquire(time).await.unwrap().unwrap();
    assert!(new > old);
    assert!(!store.renew(old, time).await.unwrap());
    let error = store.record(old, &every(1)).await.unwrap_err();
    assert_eq!(error.kind(), BeatErrorKind::LeaseLost);
}
