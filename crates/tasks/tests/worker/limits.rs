use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quintette_tasks::results::State;
use quintette_tasks::worker::{Context, Tasks, TimeLimits};
use quintette_tasks::{Task, TaskError};
use tokio::sync::Notify;

use crate::site::{Running, Site, call, until};

static HANGS: Task<(), i64> = Task::new("shop.hangs", &[]);
static BLOCKS: Task<(), i64> = Task::new("shop.blocks", &[]);
static LIMITED: Task<(), i64> =
    Task::new("shop.limited", &[]).time_limit(Duration::from_millis(50));

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn hangs(task: &Task<(), i64>, dropped: &Arc<AtomicBool>) -> Tasks {
    let dropped = dropped.clone();
    Tasks::new().with(task, move |_: Context, ()| {
        let mark = SetOnDrop(dropped.clone());
        async move {
            std::future::pending::<()>().await;
            drop(mark);
            Ok(1)
        }
    })
}

#[tokio::test]
async fn a_task_is_dropped_at_its_hard_limit() {
    let site = Site::memory();
    let dropped = Arc::new(AtomicBool::new(false));
    let worker = site.start(hangs(&LIMITED, &dropped));
    let id = site.send(call("shop.limited", ())).await;
    let meta = site.ready(&id).await;
    assert_eq!(
        meta.result.as_str(),
        r#"{"exc_type":"TimeLimitExceeded","exc_message":[0.05],"exc_module":"billiard.exceptions"}"#
    );
    assert!(dropped.load(Ordering::SeqCst));
    worker.stop().await;
}

#[tokio::test]
async fn the_messages_limits_count_before_the_tasks_and_those_before_the_settings() {
    let site = Site::memory().set(|settings| {
        settings.task_time_limit = Some(Duration::from_millis(60));
    });
    let dropped = Arc::new(AtomicBool::new(false));
    let tasks = hangs(&LIMITED, &dropped).and(&hangs(&HANGS, &dropped));
    let worker = site.start(tasks);
    let own = site.send(call("shop.limited", ())).await;
    let of_settings = site.send(call("shop.hangs", ())).await;
    let of_message = call("shop.hangs", ())
        .id("message")
        .with(|headers| headers.timelimit = [Some(0.07), None]);
    let of_message = site.send(of_message).await;
    assert_eq!(site.failure(&own).await, "TimeLimitExceeded: 0.05");
    assert_eq!(site.failure(&of_settings).await, "TimeLimitExceeded: 0.06");
    assert_eq!(site.failure(&of_message).await, "TimeLimitExceeded: 0.07");
    let limits = TimeLimits {
        soft: Some(Duration::from_millis(20)),
        hard: None,
    };
    worker.handle.time_limit("shop.hangs", limits);
    let of_operator = site.send(call("shop.hangs", ()).id("operator")).await;
    assert_eq!(site.failure(&of_operator).await, "SoftTimeLimitExceeded");
    worker.stop().await;
}

#[tokio::test]
async fn a_task_that_watches_for_its_soft_limit_can_still_end_well() {
    let site = Site::memory();
    let tasks = Tasks::new().with(&HANGS, |context: Context, ()| async move {
        tokio::select! {
            () = context.soft_time_limit() => Ok(5),
            () = std::future::pending() => Ok(6),
        }
    });
    let worker = site.start(tasks);
    let soft = call("shop.hangs", ()).with(|headers| headers.timelimit = [None, Some(0.03)]);
    let id = site.send(soft).await;
    assert_eq!(site.result(&id).await, "5");
    worker.stop().await;
}

#[tokio::test]
async fn a_blocking_task_over_its_limit_has_failed_and_is_told_to_end() {
    let site = Site::memory();
    let (told, softly) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let tasks = {
        let (told, softly) = (told.clone(), softly.clone());
        Tasks::new().with_blocking(&BLOCKS, move |context: Context, ()| {
            while !context.is_revoked() {
                std::thread::sleep(Duration::from_millis(2));
            }
            softly.store(context.soft_time_limit_exceeded(), Ordering::SeqCst);
            told.store(true, Ordering::SeqCst);
            Ok(1)
        })
    };
    let worker = site.start(tasks);
    let limited =
        call("shop.blocks", ()).with(|headers| headers.timelimit = [Some(0.06), Some(0.03)]);
    let id = site.send(limited).await;
    assert_eq!(site.failure(&id).await, "TimeLimitExceeded: 0.06");
    until("the thread has ended", async || told.load(Ordering::SeqCst)).await;
    assert!(softly.load(Ordering::SeqCst));
    worker.stop().await;
}

#[tokio::test]
async fn a_thread_that_does_not_end_keeps_its_place() {
    let site = Site::memory();
    let go = Arc::new(AtomicBool::new(false));
    let tasks = {
        let go = go.clone();
        Tasks::new().with_blocking(&BLOCKS, move |_: Context, ()| {
            while !go.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(1)
        })
    };
    let worker = Running::start(site.worker(tasks).concurrency(1));
    let limited = call("shop.blocks", ()).with(|headers| headers.timelimit = [Some(0.02), None]);
    let first = site.send(limited).await;
    assert_eq!(site.failure(&first).await, "TimeLimitExceeded: 0.02");
    let second = site.send(call("shop.blocks", ()).id("second")).await;
    until("it is held", async || {
        worker.handle.state.reserved().len() == 1
    })
    .await;
    assert_eq!(site.state(&second).await, State::Pending);
    go.store(true, Ordering::SeqCst);
    assert_eq!(site.result(&second).await, "1");
    worker.stop().await;
}

#[tokio::test]
async fn tasks_begin_no_more_often_than_their_rate_and_others_are_not_held_up() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let begun = begun.clone();
        Tasks::new()
            .with_any("shop.mail", move |_, _| {
                begun.fetch_add(1, Ordering::SeqCst);
                async { Ok(1) }
            })
            .with_any("shop.free", |_, _| async { Ok(2) })
    };
    let worker = site.start(tasks);
    worker.handle.rate_limit("shop.mail", "20/s").unwrap();
    assert!(worker.handle.rate_limit("shop.mail", "20/d").is_err());
    let sent = Instant::now();
    let ids: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    for id in &ids {
        site.send(call("shop.mail", ()).id(id)).await;
    }
    let free = site.send(call("shop.free", ())).await;
    assert_eq!(site.result(&free).await, "2");
    for id in &ids {
        site.ready(id).await;
    }
    // The first at once, the others 50 ms apart.
    assert!(sent.elapsed() >= Duration::from_millis(240));

    worker.handle.rate_limit("shop.mail", "1/h").unwrap();
    site.send(call("shop.mail", ()).id("one")).await;
    let held = site.send(call("shop.mail", ()).id("held")).await;
    until("it waits", async || {
        !worker.handle.state.reserved().is_empty()
    })
    .await;
    worker.handle.rate_limit("shop.mail", "0").unwrap();
    site.ready(&held).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_limit_that_nobody_reaches_costs_a_task_nothing() {
    let site = Site::memory();
    let go = Arc::new(Notify::new());
    let tasks = {
        let go = go.clone();
        Tasks::new().with(&HANGS, move |_: Context, ()| {
            let go = go.clone();
            async move {
                go.notified().await;
                Err::<i64, _>(TaskError::failure("ValueError", "by itself"))
            }
        })
    };
    let worker = site.start(tasks);
    let limited =
        call("shop.hangs", ()).with(|headers| headers.timelimit = [Some(600.0), Some(300.0)]);
    let id = site.send(limited).await;
    go.notify_one();
    assert_eq!(site.failure(&id).await, "ValueError: by itself");
    worker.stop().await;
}
