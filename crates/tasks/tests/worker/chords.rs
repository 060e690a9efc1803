//! Chords whose broker or store goes away as their last part ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::json::RawJson;
use quintette_tasks::canvas::chord;
use quintette_tasks::results::{
    ChordCounter, ChordPart, ChordProgress, RedisResults, ResultBackend, ResultError,
    ResultErrorKind, StoreContext, TaskMeta,
};
use quintette_tasks::worker::{Context, Tasks};
use quintette_tasks::{Signature, Task};
use quintette_testkit::servers::Redis;

use crate::broken::Line;
use crate::site::{PATIENCE, Site};

static NUMBER: Task<(i64,), i64> = Task::new("shop.number", &["number"]);
static SUM: Task<(Vec<i64>,), i64> = Task::new("shop.sum", &["numbers"]);

/// Redis, which counts what it is told, and whose answers are lost at first; when a chord is complete, so is the line to the broker.
#[derive(Debug)]
struct Shaken {
    results: RedisResults,
    answers_to_lose: AtomicUsize,
    line: Line,
    cuts: AtomicUsize,
}

#[async_trait]
impl ResultBackend for Shaken {
    async fn store(&self, meta: &TaskMeta, request: &StoreContext) -> Result<(), ResultError> {
        self.results.store(meta, request).await
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        self.results.load(id).await
    }

    async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        self.results.wait(id, timeout).await
    }

    async fn forget(&self, id: &str) -> Result<(), ResultError> {
        self.results.forget(id).await
    }

    async fn save_group(&self, group: &str, children: &RawJson) -> Result<(), ResultError> {
        self.results.save_group(group, children).await
    }

    async fn load_group(&self, group: &str) -> Result<Option<RawJson>, ResultError> {
        self.results.load_group(group).await
    }

    async fn forget_group(&self, group: &str) -> Result<(), ResultError> {
        self.results.forget_group(group).await
    }

    fn chords(&self) -> Option<&dyn ChordCounter> {
        Some(self)
    }
}

/// One less, if there was one.
fn take(left: &AtomicUsize) -> bool {
    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    });
    taken.is_ok()
}

#[async_trait]
impl ChordCounter for Shaken {
    async fn set_size(&self, group: &str, size: u64) -> Result<(), ResultError> {
        self.results.chords().unwrap().set_size(group, size).await
    }

    async fn part_done(&self, part: &ChordPart<'_>) -> Result<ChordProgress, ResultError> {
        if take(&self.answers_to_lose) {
            let away = || ResultError::new(ResultErrorKind::Unavailable, "the store is away");
            return Err(away());
        }
        let progress = self.results.chords().unwrap().part_done(part).await?;
        if matches!(progress, ChordProgress::Complete(_)) && take(&self.cuts) {
            self.line.cut();
            let line = self.line.clone();
            tokio::spawn(async move {
                // Longer than a client tries by itself.
                tokio::time::sleep(Duration::from_secs(3)).await;
                line.mend();
            });
        }
        Ok(progress)
    }

    fn give_back(&self, group: &str) {
        self.results.chords().unwrap().give_back(group);
    }

    async fn finish(&self, group: &str) -> Result<(), ResultError> {
        self.results.chords().unwrap().finish(group).await
    }
}

async fn summed(redis: &Redis, answers_to_lose: usize, cuts: usize) -> i64 {
    let (hour, line) = (Duration::from_hours(1), Line::default());
    let results = Shaken {
        results: RedisResults::new(&redis.url(), Some(hour), "").unwrap(),
        answers_to_lose: AtomicUsize::new(answers_to_lose),
        line: line.clone(),
        cuts: AtomicUsize::new(cuts),
    };
    let site = Site {
        broker: Arc::new(line),
        results: Arc::new(results),
        ..Site::memory()
    };
    let tasks = Tasks::new()
        .with(&NUMBER, |_: Context, (number,)| async move { Ok(number) })
        .with(&SUM, |_: Context, (numbers,)| async move {
            Ok(numbers.iter().sum())
        });
    let worker = site.start(tasks);
    let numbers = (1..=4).map(|number| NUMBER.s((number,)).unwrap());
    let chord = chord(numbers, Signature::new("shop.sum")).unwrap();
    let sent = site.app().send(&chord).await.unwrap().typed::<i64>();
    let sum = sent.get(Some(PATIENCE)).await.unwrap();
    worker.stop().await;
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_the_store_was_not_told_of_is_counted_when_the_store_is_back() {
    let redis = Redis::start().unwrap();
    assert_eq!(summed(&redis, 3, 0).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_chord_is_sent_when_the_broker_is_back() {
    let redis = Redis::start().unwrap();
    assert_eq!(summed(&redis, 0, 1).await, 10);
}
