//! What must hold on every broker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quintette_tasks::worker::{Context, Tasks, dead};
use quintette_tasks::{Task, TaskError};

use crate::site::{Mortal, Running, Site, call, until};

static EARLY: Task<(u32,), u32> = Task::new("scene.early", &["number"]);
static LATE: Task<(u32,), u32> = Task::new("scene.late", &["number"]).acks_late();

/// How often each call has begun.
#[derive(Clone, Default)]
pub(crate) struct Begun(Arc<Mutex<HashMap<u32, usize>>>);

impl Begun {
    fn count(&self, number: u32) -> usize {
        let mut begun = self.0.lock().unwrap();
        let times = begun.entry(number).or_default();
        *times += 1;
        *times
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn most(&self) -> usize {
        self.0.lock().unwrap().values().copied().max().unwrap_or(0)
    }
}

/// Tasks that take a little while, and give back their number.
pub(crate) fn numbers(begun: &Begun) -> Tasks {
    let of = |task: &Task<(u32,), u32>| {
        let begun = begun.clone();
        Tasks::new().with(task, move |_: Context, (number,)| {
            begun.count(number);
            async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok(number)
            }
        })
    };
    of(&EARLY).and(&of(&LATE))
}

pub(crate) async fn send_numbers(site: &Site, task: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        site.send(call(task, [number]).id(&format!("{task}{number}")))
            .await;
    }
}

pub(crate) async fn results(site: &Site, task: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let result = site.result(&format!("{task}{number}")).await;
        assert_eq!(result, number.to_string());
    }
}

pub(crate) async fn all_run_once(site: &Site) {
    let begun = Begun::default();
    let worker = site.start(numbers(&begun));
    send_numbers(site, "scene.early", 0..200).await;
    send_numbers(site, "scene.late", 200..400).await;
    results(site, "scene.early", 0..200).await;
    results(site, "scene.late", 200..400).await;
    worker.stop().await;
    assert_eq!((begun.len(), begun.most()), (400, 1));
    assert_eq!(site.waiting("celery").await, 0);
}

/// `dying` has a connection of its own, which goes with its worker.
pub(crate) async fn a_late_task_of_a_killed_worker_runs_again(dying: &Site, site: &Site) {
    let begun = Arc::new(AtomicUsize::new(0));
    let hangs_once = {
        let begun = begun.clone();
        Tasks::new().with(&LATE, move |_: Context, (number,)| {
            let before = begun.fetch_add(1, Ordering::SeqCst);
            async move {
                if before == 0 {
                    std::future::pending::<()>().await;
                }
                Ok(number)
            }
        })
    };
    let first = Mortal::start(dying.worker(hangs_once.clone()));
    let id = site.send(call("scene.late", [7]).id("killed")).await;
    until("it has begun", async || begun.load(Ordering::SeqCst) == 1).await;
    first.kill();
    let second = site.start(hangs_once);
    assert_eq!(site.result(&id).await, "7");
    second.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

pub(crate) async fn poison_is_set_aside_and_can_be_replayed(site: &Site) {
    let (begun, healed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks = {
        let (begun, healed) = (begun.clone(), healed.clone());
        Tasks::new().with(&LATE, move |_: Context, (number,)| {
            begun.fetch_add(1, Ordering::SeqCst);
            let healed = healed.load(Ordering::SeqCst) == 1;
            async move {
                if healed {
                    return Ok(number);
                }
                Err(TaskError::Reject {
                    reason: "not now".to_owned(),
                    requeue: true,
                })
            }
        })
    };
    let worker = site.start(tasks);
    let id = site.send(call("scene.late", [7]).id("poison")).await;
    until("it is set aside", async || {
        site.waiting("celery.dead").await == 1
    })
    .await;
    assert_eq!(begun.load(Ordering::SeqCst), 5);
    let app = site.app();
    let found = dead::list(&app, "celery", 10).await.unwrap();
    assert_eq!(found[0].id.as_deref(), Some("poison"));
    healed.store(1, Ordering::SeqCst);
    until("it is replayed", async || {
        // What was listed goes back a little later.
        dead::replay(&app, "celery", None).await.unwrap() == 1
    })
    .await;
    assert_eq!(site.result(&id).await, "7");
    worker.stop().await;
}

pub(crate) async fn a_warm_shutdown_gives_back_what_has_not_begun(site: &Site) {
    let (begun, go) = (Begun::default(), Arc::new(tokio::sync::Notify::new()));
    let tasks = {
        let (begun, go) = (begun.clone(), go.clone());
        Tasks::new().with(&EARLY, move |_: Context, (number,)| {
            begun.count(number);
            let go = go.clone();
            async move {
                go.notified().await;
                Ok(number)
            }
        })
    };
    let mut worker = Running::start(site.worker(tasks).concurrency(2));
    send_numbers(site, "scene.early", 0..30).await;
    let later = call("scene.early", [99]).id("later");
    site.send(later.countdown(Duration::from_mins(10))).await;
    until("two run", async || begun.len() == 2).await;
    worker.ask_to_stop();
    until("the rest is back", async || {
        site.waiting("celery").await == 29
    })
    .await;
    go.notify_waiters();
    worker.ended().await.unwrap();
    assert_eq!(begun.len(), 2);
    let second = site.start(numbers(&Begun::default()));
    results(site, "scene.early", 2..30).await;
    second.stop().await;
}

pub(crate) async fn a_task_that_waits_for_its_time_is_held_and_runs_once(site: &Site) {
    let begun = Begun::default();
    let worker = Running::start(site.worker(numbers(&begun)).concurrency(1));
    for number in 0..40 {
        let soon = call("scene.early", [number]).id(&format!("scene.early{number}"));
        site.send(soon.countdown(Duration::from_secs(3))).await;
    }
    let now = site.send(call("scene.early", [50]).id("now")).await;
    assert_eq!(site.result(&now).await, "50");
    results(site, "scene.early", 0..40).await;
    worker.stop().await;
    assert_eq!((begun.len(), begun.most()), (41, 1));
}

/// A connection that breaks again and again under load: late tasks are not lost, and early ones do not run twice.
pub(crate) async fn nothing_is_lost_and_early_tasks_do_not_run_twice(
    sender: &Site,
    site: &Site,
    mut shake: impl AsyncFnMut(),
) {
    let (early, late) = (Begun::default(), Begun::default());
    let tasks = {
        let of = |task: &Task<(u32,), u32>, begun: &Begun| {
            let begun = begun.clone();
            Tasks::new().with(task, move |_: Context, (number,)| {
                begun.count(number);
                async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Ok(number)
                }
            })
        };
        of(&EARLY, &early).and(&of(&LATE, &late))
    };
    let worker = site.start(tasks);
    send_numbers(sender, "scene.late", 0..300).await;
    send_numbers(sender, "scene.early", 0..300).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        shake().await;
    }
    results(sender, "scene.late", 0..300).await;
    until("the queue is empty", async || {
        sender.waiting("celery").await == 0
    })
    .await;
    worker.stop().await;
    assert_eq!(late.len(), 300);
    assert_eq!(early.most(), 1);
}
