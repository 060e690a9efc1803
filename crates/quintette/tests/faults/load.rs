//! Requests that go on while a store fails, and the books on what they were told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quintette::sessions::{SessionError, SessionErrorKind, SessionKey, Sessions};
use tokio::task::JoinHandle;

use super::BOUND;

/// How many tasks make requests at once.
const WORKERS: usize = 16;

/// A request is a load and a write, each within the bound, on a machine that has other things to do as well.
const LONGEST: Duration = BOUND
    .saturating_mul(2)
    .saturating_add(Duration::from_secs(3));

/// How long a test waits for the service to go on, or to be refused.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a store keeps when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// All that it acknowledged.
    Everything,
    /// Nothing, or what it likes: a session that it has forgotten begins anew.
    Nothing,
}

/// Requests, one after the other in each of several tasks.
pub(super) struct Load {
    sessions: Sessions,
    keeps: Keeps,
    told: Arc<Told>,
    workers: Vec<JoinHandle<Vec<Visitor>>>,
    ended: Arc<Mutex<Vec<SessionKey>>>,
}

/// What the requests were told, by number.
#[derive(Debug, Default)]
struct Told {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    forgotten: AtomicU64,
    slowest: AtomicU64,
}

/// A visitor who counts his requests, and the books on him.
#[derive(Debug)]
struct Visitor {
    key: SessionKey,
    /// The name of his counter: two visitors share a session.
    counter: String,
    acknowledged: u64,
    unknown: u64,
}

/// What came of it all.
#[derive(Debug)]
pub(super) struct Report {
    sessions: Sessions,
    visitors: Vec<Visitor>,
    /// Sessions whose logout was acknowledged.
    pub(super) ended: Vec<SessionKey>,
    /// Requests whose change was said to be stored.
    pub(super) acknowledged: u64,
    /// Requests that were told that nothing was stored.
    pub(super) refused: u64,
    /// Requests that were told that nobody knows.
    pub(super) unknown: u64,
    /// Sessions that the store has forgotten, as it may.
    pub(super) forgotten: u64,
}

impl Load {
    pub(super) async fn on(sessions: &Sessions, keeps: Keeps) -> Self {
        let told = Arc::new(Told::default());
        let ended = Arc::new(Mutex::new(Vec::new()));
        let mut workers = Vec::new();
        let mut shared = None;
        for worker in 0..WORKERS {
            let key = match (worker % 2, shared.take()) {
                (1, Some(key)) => key,
                _ => new_session(sessions).await.expect("the store is up"),
            };
            shared = Some(key.clone());
            let visitor = Visitor {
                key,
                counter: format!("worker {worker}"),
                acknowledged: 0,
                unknown: 0,
            };
            let (sessions, told, ended) = (sessions.clone(), told.clone(), ended.clone());
            workers.push(tokio::spawn(async move {
                work(&sessions, keeps, &told, &ended, visitor).await
            }));
        }
        Self {
            sessions: sessions.clone(),
            keeps,
            told,
            workers,
            ended,
        }
    }

    /// Waits until this many more requests have been acknowledged.
    pub(super) async fn goes_on(&self, requests: u64) {
        self.until(&self.told.acknowledged, requests, "acknowledged")
            .await;
    }

    /// Waits until this many more requests have been told that they did not succeed.
    pub(super) async fn is_refused(&self, requests: u64) {
        let begun = Instant::now();
        let failed =
            || self.told.refused.load(Ordering::SeqCst) + self.told.unknown.load(Ordering::SeqCst);
        let from = failed();
        while failed() < from + requests {
            self.check(begun, "refused");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The sessions whose logout was acknowledged by now.
    pub(super) fn ended(&self) -> Vec<SessionKey> {
        self.ended.lock().unwrap().clone()
    }

    async fn until(&self, counter: &AtomicU64, more: u64, what: &str) {
        let begun = Instant::now();
        let from = counter.load(Ordering::SeqCst);
        while counter.load(Ordering::SeqCst) < from + more {
            self.check(begun, what);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn check(&self, begun: Instant, what: &str) {
        assert!(
            begun.elapsed() < PATIENCE,
            "no requests are {what} any more: {:?}",
            self.told
        );
        assert!(
            !self.workers.iter().any(JoinHandle::is_finished),
            "a worker has panicked"
        );
    }

    /// Stops, and closes the books.
    pub(super) async fn stop(self) -> Report {
        self.told.stop.store(true, Ordering::SeqCst);
        let mut visitors = Vec::new();
        for worker in self.workers {
            visitors.extend(worker.await.expect("nothing panics"));
        }
        let slowest = Duration::from_millis(self.told.slowest.load(Ordering::SeqCst));
        assert!(slowest < LONGEST, "a request took {slowest:?}");
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let report = Report {
            sessions: self.sessions,
            visitors,
            ended: self.ended.lock().unwrap().clone(),
            acknowledged: count(&self.told.acknowledged),
            refused: count(&self.told.refused),
            unknown: count(&self.told.unknown),
            forgotten: count(&self.told.forgotten),
        };
        if self.keeps == Keeps::Everything {
            assert_eq!(report.forgotten, 0, "the store has lost sessions");
        }
        println!(
            "{} acknowledged, {} refused, {} unknown, {} forgotten, {} ended; the slowest request took {slowest:?}",
            report.acknowledged,
            report.refused,
            report.unknown,
            report.forgotten,
            report.ended.len()
        );
        report
    }
}

impl Report {
    /// Every acknowledged write is there, nothing more than was possibly done, and nobody has come back.
    pub(super) async fn is_true(&self) {
        for visitor in &self.visitors {
            let stored = self.stored(visitor).await;
            let most = visitor.acknowledged + visitor.unknown;
            assert!(
                (visitor.acknowledged..=most).contains(&stored),
                "{} counts {stored}: {} were acknowledged and {} unknown",
                visitor.counter,
                visitor.acknowledged,
                visitor.unknown
            );
        }
        self.stay_away(&self.ended).await;
    }

    /// Nothing more is there than was possibly done, and none of these has come back: what a forgetful store can promise.
    pub(super) async fn claims_no_more_than_was_done(&self, ended: &[SessionKey]) {
        for visitor in &self.visitors {
            let stored = self.stored(visitor).await;
            assert!(stored <= visitor.acknowledged + visitor.unknown);
        }
        self.stay_away(ended).await;
    }

    async fn stored(&self, visitor: &Visitor) -> u64 {
        let session = self.sessions.session(Some(visitor.key.as_str()));
        let stored = session.get(&visitor.counter).await;
        stored.expect("the store is back").unwrap_or(0)
    }

    async fn stay_away(&self, ended: &[SessionKey]) {
        assert!(!ended.is_empty(), "nobody was logged out");
        for key in ended {
            let loaded = self.sessions.engine().load(key).await;
            assert!(
                loaded.expect("the store is back").is_none(),
                "a session came back after its logout"
            );
        }
    }
}

async fn work(
    sessions: &Sessions,
    keeps: Keeps,
    told: &Told,
    ended: &Mutex<Vec<SessionKey>>,
    mut visitor: Visitor,
) -> Vec<Visitor> {
    let mut past = Vec::new();
    for round in 0.. {
        if told.stop.load(Ordering::SeqCst) {
            break;
        }
        if round % 8 == 0 {
            told.timed(log_in_and_out(sessions, ended)).await;
        }
        let answer = told.timed(count(sessions, &visitor)).await;
        match answer {
            Ok(()) => {
                visitor.acknowledged += 1;
                told.acknowledged.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            Err(error) if error.kind() == SessionErrorKind::Interrupted => {
                assert_eq!(keeps, Keeps::Nothing, "the store has lost a session");
                told.forgotten.fetch_add(1, Ordering::SeqCst);
                if let Ok(key) = new_session(sessions).await {
                    let counter = visitor.counter.clone();
                    let next = Visitor {
                        key,
                        counter,
                        acknowledged: 0,
                        unknown: 0,
                    };
                    past.push(std::mem::replace(&mut visitor, next));
                }
            }
            Err(error) if error.kind() == SessionErrorKind::Unknown => {
                visitor.unknown += 1;
                told.unknown.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                assert_eq!(error.status(), 503, "{error}");
                told.refused.fetch_add(1, Ordering::SeqCst);
            }
        }
        // Whoever is refused comes again, and not at once.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    past.push(visitor);
    past
}

impl Told {
    async fn timed<T>(&self, request: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = request.await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.slowest.fetch_max(took, Ordering::SeqCst);
        answer
    }
}

/// A request that counts.
async fn count(sessions: &Sessions, visitor: &Visitor) -> Result<(), SessionError> {
    let session = sessions.session(Some(visitor.key.as_str()));
    // A session that the store has forgotten is not begun anew under its key.
    if session.keys().await?.is_empty() {
        return Err(SessionError::interrupted());
    }
    session
        .update(&visitor.counter, |n: Option<u64>| n.unwrap_or(0) + 1)
        .await?;
    session.finish(false).await?;
    Ok(())
}

/// A visitor who comes and leaves; what is refused on the way is the store's affair.
async fn log_in_and_out(sessions: &Sessions, ended: &Mutex<Vec<SessionKey>>) {
    let Ok(key) = new_session(sessions).await else {
        return;
    };
    let session = sessions.session(Some(key.as_str()));
    if session.flush().await.is_ok() {
        ended.lock().unwrap().push(key);
    }
}

async fn new_session(sessions: &Sessions) -> Result<SessionKey, SessionError> {
    let session = sessions.session(None);
    session.insert("made", true)?;
    session.save().await?;
    Ok(session.key().expect("what is saved has a key"))
}
