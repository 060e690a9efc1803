//! Tasks that are sent while something fails, and the books on what the senders were told.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use quintette_tasks::App;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::book::{Book, Kind};
use crate::redis::ask_at;
use crate::site::Site;
use crate::workers::{EARLY, LATE, Workers};
use crate::{PATIENCE, until};

/// How many of each kind are sent at least.
const LEAST: u32 = 1_500;

/// How many are under way at most: the load is to last for as long as the faults.
const UNDER_WAY: usize = 300;

/// How many are sent at once.
const BATCH: u32 = 10;

/// Tasks of both kinds, sent until the test has seen enough.
pub(crate) struct Load {
    pub(crate) book: Arc<Book>,
    told: Arc<Told>,
    sender: JoinHandle<()>,
}

/// What the sender was told.
#[derive(Debug, Default)]
struct Told {
    stop: AtomicBool,
    confirmed: Mutex<HashSet<(Kind, u32)>>,
    refused: AtomicUsize,
}

/// What came of it all.
#[derive(Debug)]
pub(crate) struct Report {
    /// Late tasks that were confirmed.
    pub(crate) late: usize,
    /// Early tasks that were confirmed.
    pub(crate) early: usize,
    /// Late tasks that ran more than once, as they may.
    pub(crate) ran_again: usize,
    /// Early tasks that were confirmed and never began: acknowledged, and then their worker or the answer was lost.
    pub(crate) never_began: usize,
    /// Late tasks that were confirmed and never ran, all of which the broker may lose.
    pub(crate) lost: usize,
    /// Early tasks that began more than once, in several processes.
    pub(crate) doubled: Vec<u32>,
    /// Early tasks that one process began more than once.
    pub(crate) doubled_in_one: Vec<u32>,
}

impl Load {
    pub(crate) fn start(site: &Site, book: &Arc<Book>) -> Self {
        let (told, book) = (Arc::new(Told::default()), book.clone());
        let sender = tokio::spawn(send(site.app(), told.clone(), book.clone()));
        Self { book, told, sender }
    }

    /// Waits until so many more tasks have run.
    pub(crate) async fn goes_on(&self, tasks: usize) {
        let done = || self.book.look(|pages| pages.done);
        let from = done();
        until("tasks run", async || {
            assert!(!self.sender.is_finished(), "the sender has panicked");
            done() >= from + tasks
        })
        .await;
    }

    /// Waits until each of these processes has run so many tasks more.
    pub(crate) async fn goes_on_everywhere(&self, processes: &[u32], tasks: usize) {
        let done = |process: &u32| {
            let of = |done: &std::collections::HashMap<u32, usize>| done.get(process).copied();
            self.book.look(|pages| of(&pages.by_process).unwrap_or(0))
        };
        let before: Vec<_> = processes.iter().map(done).collect();
        until("each worker runs tasks", async || {
            let mut all = processes.iter().zip(&before);
            all.all(|(process, before)| done(process) >= before + tasks)
        })
        .await;
    }

    /// Waits until so many more sends have failed.
    pub(crate) async fn is_refused(&self, sends: usize) {
        let refused = || self.told.refused.load(Ordering::SeqCst);
        let from = refused();
        until("sends fail", async || refused() >= from + sends).await;
    }

    /// What the sender was told by now that the broker has.
    pub(crate) fn confirmed(&self) -> HashSet<(Kind, u32)> {
        self.told.confirmed.lock().unwrap().clone()
    }

    /// Sends no more, waits until all has run and nothing is left, and closes the books. `site` is the way to the broker that does not fail.
    pub(crate) async fn close(self, site: &Site, workers: Workers) -> Report {
        let nothing_is_held = async || {
            if site.url.starts_with("redis") {
                return ask_at::<u64>(&site.url, &["HLEN", "unacked"]).await == 0;
            }
            // RabbitMQ does not tell. What came again of a task that was running is looked at once more a second later.
            sleep(Duration::from_secs(3)).await;
            true
        };
        self.close_but(site, workers, &HashSet::new(), nothing_is_held)
            .await
    }

    /// The same where a broker may have lost these, and says itself when it has nothing left.
    pub(crate) async fn close_but(
        self,
        site: &Site,
        mut workers: Workers,
        lost: &HashSet<(Kind, u32)>,
        nothing_is_left: impl AsyncFn() -> bool,
    ) -> Report {
        self.told.stop.store(true, Ordering::SeqCst);
        tokio::time::timeout(PATIENCE, self.sender)
            .await
            .expect("the sender ends")
            .unwrap();
        let confirmed = self.told.confirmed.lock().unwrap().clone();
        let late: Vec<_> = confirmed
            .iter()
            .filter(|task| task.0 == Kind::Late && !lost.contains(task))
            .collect();
        let begun = Instant::now();
        loop {
            workers.assert_all_alive();
            let missing = self.book.look(|pages| {
                let done = |task| pages.runs.get(task).is_some_and(|runs| runs.done > 0);
                late.iter().filter(|task| !done(**task)).count()
            });
            if missing == 0 {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{missing} late tasks are lost");
            sleep(Duration::from_millis(50)).await;
        }
        let app = site.app();
        let waiting = async |queue: &str| app.broker().waiting(queue).await.unwrap();
        until("the queue is empty", async || {
            waiting(&site.queue).await == 0 && nothing_is_left().await
        })
        .await;
        workers.end().await;
        // What somebody still held has come back now.
        assert_eq!(waiting(&site.queue).await, 0);
        let dead = waiting(&format!("{}.dead", site.queue)).await;
        assert_eq!(dead, 0, "good tasks were set aside");
        self.book.look(|pages| report(&confirmed, pages))
    }
}

fn report(confirmed: &HashSet<(Kind, u32)>, pages: &crate::book::Pages) -> Report {
    let of = |wanted: Kind| confirmed.iter().filter(move |(kind, _)| *kind == wanted);
    let (mut doubled, mut doubled_in_one) = (Vec::new(), Vec::new());
    let mut ran_again = 0;
    for ((kind, number), runs) in &pages.runs {
        match kind {
            Kind::Late => ran_again += usize::from(runs.begun.len() > 1),
            Kind::Early if runs.is_twice_in_one() => doubled_in_one.push(*number),
            Kind::Early if runs.begun.len() > 1 => doubled.push(*number),
            Kind::Early => {}
        }
    }
    let lost = of(Kind::Late).filter(|task| pages.runs.get(task).is_none_or(|runs| runs.done == 0));
    let lost = lost.count();
    let never_began = of(Kind::Early).filter(|task| !pages.runs.contains_key(task));
    let report = Report {
        late: of(Kind::Late).count(),
        early: of(Kind::Early).count(),
        ran_again,
        lost,
        never_began: never_began.count(),
        doubled,
        doubled_in_one,
    };
    println!("{report}");
    report
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "of {} late tasks {} ran more than once, and {} were lost; of {} early ones {} never began, and {} ran twice",
            self.late,
            self.ran_again,
            self.lost,
            self.early,
            self.never_began,
            self.doubled.len() + self.doubled_in_one.len()
        )
    }
}

impl Report {
    /// The promises to early tasks: none ran twice, and at most so many were lost.
    pub(crate) fn is_true(&self, lost_at_most: usize) {
        assert!(self.doubled.is_empty(), "ran twice: {:?}", self.doubled);
        self.is_true_of_each_process(lost_at_most);
    }

    /// The same of a broker that forgets acknowledgements when it is killed: a process does not begin again what it has begun.
    pub(crate) fn is_true_of_each_process(&self, lost_at_most: usize) {
        let twice = &self.doubled_in_one;
        assert!(twice.is_empty(), "ran twice in one process: {twice:?}");
        let lost = self.never_began;
        assert!(lost <= lost_at_most, "{lost} tasks never began");
    }
}

/// A late task is sent until the broker has confirmed it, and so perhaps twice; an early one is sent once.
async fn send(app: App, told: Arc<Told>, book: Arc<Book>) {
    for first in (0..).step_by(BATCH as usize) {
        if told.stop.load(Ordering::SeqCst) && first >= LEAST {
            return;
        }
        let numbers = first..first + BATCH;
        join_all(numbers.map(|number| send_both(&app, &told, number))).await;
        let confirmed = told.confirmed.lock().unwrap().len();
        let begun = Instant::now();
        while book.look(|pages| pages.runs.len()) + UNDER_WAY < confirmed {
            if begun.elapsed() > Duration::from_millis(200) {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn send_both(app: &App, told: &Told, number: u32) {
    let early = EARLY.s((number,)).unwrap().without_retry();
    let early = early.task_id(format!("early{number}"));
    if app.send(&early).await.is_ok() {
        told.confirm(Kind::Early, number);
    } else {
        told.note_refusal().await;
    }
    let late = LATE.s((number,)).unwrap().task_id(format!("late{number}"));
    let begun = Instant::now();
    while let Err(error) = app.send(&late).await {
        assert!(
            begun.elapsed() < PATIENCE,
            "no task is sent any more: {error}"
        );
        told.note_refusal().await;
    }
    told.confirm(Kind::Late, number);
}

impl Told {
    fn confirm(&self, kind: Kind, number: u32) {
        self.confirmed.lock().unwrap().insert((kind, number));
    }

    async fn note_refusal(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(50)).await;
    }
}
