use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quintette_tasks::results::State;
use quintette_tasks::worker::{Context, Shutdown, Tasks, dead};
use quintette_tasks::{Task, TaskError, TaskOptions};

use crate::site::{Mortal, Running, Site, call, until};

static LATE: Task<(), i64> = Task::new("shop.late", &[]).acks_late();
static EARLY: Task<(), i64> = Task::new("shop.early", &[]);

/// Counts how often it begins, and ends at the second time only.
fn hangs_once(task: &Task<(), i64>, begun: &Arc<AtomicUsize>) -> Tasks {
    let begun = begun.clone();
    Tasks::new().with(task, move |_: Context, ()| {
        let before = begun.fetch_add(1, Ordering::SeqCst);
        async move {
            if before == 0 {
                std::future::pending::<()>().await;
            }
            Ok(1)
        }
    })
}

#[tokio::test]
async fn a_late_task_of_a_killed_worker_runs_again() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = hangs_once(&LATE, &begun);
    let first = Mortal::start(site.worker(tasks.clone()));
    let id = site.send(call("shop.late", ())).await;
    until("it has begun", async || begun.load(Ordering::SeqCst) == 1).await;
    assert!(!first.handle.state.active()[0].acknowledged());
    first.kill();
    let second = site.start(tasks);
    assert_eq!(site.result(&id).await, "1");
    second.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    assert_eq!(site.waiting("celery").await, 0);
}

#[tokio::test]
async fn an_early_task_of_a_killed_worker_does_not_run_twice() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = hangs_once(&EARLY, &begun);
    let first = Mortal::start(site.worker(tasks.clone()));
    let id = site.send(call("shop.early", ())).await;
    until("it has begun", async || begun.load(Ordering::SeqCst) == 1).await;
    assert!(first.handle.state.active()[0].acknowledged());
    first.kill();
    let second = site.start(tasks);
    let next = site.send(call("shop.early", ()).id("next")).await;
    assert_eq!(site.result(&next).await, "1");
    second.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    assert_eq!(site.state(&id).await, State::Pending);
}

#[tokio::test]
async fn what_a_killed_worker_held_and_had_not_begun_runs_elsewhere() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let first = Mortal::start(site.worker(hangs_once(&EARLY, &begun)).concurrency(1));
    let mut ids = vec![site.send(call("shop.early", ())).await];
    until("it has begun", async || begun.load(Ordering::SeqCst) == 1).await;
    for number in 0..4 {
        let id = number.to_string();
        ids.push(site.send(call("shop.early", ()).id(&id)).await);
    }
    until("four are held", async || {
        first.handle.state.reserved().len() == 4
    })
    .await;
    first.kill();
    let second = site.start(hangs_once(&EARLY, &begun));
    for id in &ids[1..] {
        assert_eq!(site.result(id).await, "1");
    }
    second.stop().await;
}

#[tokio::test]
async fn what_waits_behind_long_tasks_is_not_acknowledged() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let begun = begun.clone();
        Tasks::new().with(&EARLY, move |_: Context, ()| {
            let before = begun.fetch_add(1, Ordering::SeqCst);
            async move {
                match before {
                    0 => tokio::time::sleep(Duration::from_millis(20)).await,
                    _ => std::future::pending().await,
                }
                Ok(1)
            }
        })
    };
    let worker = Mortal::start(site.worker(tasks).concurrency(1));
    for number in 0..5 {
        let id = number.to_string();
        site.send(call("shop.early", ()).id(&id)).await;
    }
    until("three are held behind the second", async || {
        begun.load(Ordering::SeqCst) == 2 && worker.handle.state.reserved().len() == 3
    })
    .await;
    let reserved = worker.handle.state.reserved();
    assert!(reserved.iter().all(|request| !request.acknowledged()));
    worker.kill();
}

/// With a clock that stands still while tasks run, all of them are short.
#[tokio::test(start_paused = true)]
async fn behind_short_tasks_no_more_are_acknowledged_ahead_than_are_prefetched() {
    let site = Site::memory().set(|settings| settings.worker_prefetch_multiplier = 3);
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let begun = begun.clone();
        Tasks::new().with(&EARLY, move |_: Context, ()| {
            let before = begun.fetch_add(1, Ordering::SeqCst);
            async move {
                if before == 20 {
                    std::future::pending::<()>().await;
                }
                Ok(1)
            }
        })
    };
    for number in 0..40 {
        let id = number.to_string();
        site.send(call("shop.early", ()).id(&id)).await;
    }
    let worker = Running::start(site.worker(tasks).concurrency(1));
    until(
        "three are acknowledged, and three more are held",
        async || {
            let reserved = worker.handle.state.reserved();
            let ahead = reserved.iter().filter(|request| request.acknowledged());
            begun.load(Ordering::SeqCst) == 21 && ahead.count() == 3 && reserved.len() == 6
        },
    )
    .await;
    worker.handle.shutdown(Shutdown::Cold);
    worker.stop().await;
}

#[tokio::test]
async fn a_warm_shutdown_among_short_tasks_loses_none() {
    let site = Site::memory();
    let ran = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let ran = ran.clone();
        Tasks::new().with(&EARLY, move |_: Context, ()| {
            ran.fetch_add(1, Ordering::SeqCst);
            async { Ok(1) }
        })
    };
    let ids: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    for id in &ids {
        site.send(call("shop.early", ()).id(id)).await;
    }
    let first = Running::start(site.worker(tasks.clone()).concurrency(1));
    until("some have run", async || ran.load(Ordering::SeqCst) > 20).await;
    first.stop().await;
    let second = Running::start(site.worker(tasks).concurrency(1));
    for id in &ids {
        assert_eq!(site.result(id).await, "1");
    }
    second.stop().await;
    assert_eq!(ran.load(Ordering::SeqCst), ids.len());
}

#[tokio::test]
async fn a_task_that_gives_its_message_back_is_set_aside_in_the_end_and_can_be_replayed() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let healed = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let (begun, healed) = (begun.clone(), healed.clone());
        Tasks::new().with(&LATE, move |_: Context, ()| {
            begun.fetch_add(1, Ordering::SeqCst);
            let healed = healed.load(Ordering::SeqCst) == 1;
            async move {
                if healed {
                    return Ok(7);
                }
                Err(TaskError::Reject {
                    reason: "not now".to_owned(),
                    requeue: true,
                })
            }
        })
    };
    let worker = site.start(tasks);
    let id = site.send(call("shop.late", ()).id("poison")).await;
    until("it is set aside", async || {
        site.waiting("celery.dead").await == 1
    })
    .await;
    assert_eq!(begun.load(Ordering::SeqCst), 5);

    let app = site.app();
    let found = dead::list(&app, "celery", 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id.as_deref(), Some("poison"));
    assert_eq!(found[0].task.as_deref(), Some("shop.late"));
    assert_eq!(found[0].queue, "celery");
    assert_eq!(found[0].worker, "w1@test");
    assert!(found[0].reason.contains("delivered 5 times"), "{found:?}");

    healed.store(1, Ordering::SeqCst);
    let other = ["other".to_owned()];
    assert_eq!(dead::replay(&app, "celery", Some(&other)).await.unwrap(), 0);
    assert_eq!(
        dead::replay(&app, "celery", Some(std::slice::from_ref(&id)))
            .await
            .unwrap(),
        1
    );
    assert_eq!(site.result(&id).await, "7");
    assert_eq!(site.waiting("celery.dead").await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_ends_at_once_gives_late_tasks_back() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = hangs_once(&LATE, &begun);
    let mut first = site.start(tasks.clone());
    let id = site.send(call("shop.late", ())).await;
    until("it has begun", async || begun.load(Ordering::SeqCst) == 1).await;
    first.handle.shutdown(Shutdown::Cold);
    first.ended().await.unwrap();
    assert_eq!(site.waiting("celery").await, 1);
    let second = site.start(tasks);
    assert_eq!(site.result(&id).await, "1");
    second.stop().await;
}

#[tokio::test]
async fn failures_can_be_left_to_the_brokers_rules_for_dead_letters() {
    let site = Site::memory().set(|settings| settings.task_acks_on_failure_or_timeout = false);
    let mut late = TaskOptions::DEFAULT;
    late.acks_late = Some(true);
    let tasks = Tasks::new().with_any_options("shop.fails", late, |_, _| async {
        Err::<(), _>(TaskError::failure("ValueError", "no"))
    });
    let worker = site.start(tasks);
    let id = site.send(call("shop.fails", ())).await;
    assert_eq!(site.failure(&id).await, "ValueError: no");
    worker.stop().await;
    // Rejected and not given back: the broker in memory drops it.
    assert_eq!(site.waiting("celery").await, 0);
}
