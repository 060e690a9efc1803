use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quintette_tasks::Task;
use quintette_tasks::results::State;
use quintette_tasks::worker::{Context, Shutdown, Tasks};
use tokio::sync::Notify;

use crate::site::{Running, Site, call, until};

static SLOW: Task<(), i64> = Task::new("shop.slow", &[]);

fn waits(begun: &Arc<AtomicUsize>, go: &Arc<Notify>) -> Tasks {
    let (begun, go) = (begun.clone(), go.clone());
    Tasks::new().with(&SLOW, move |_: Context, ()| {
        begun.fetch_add(1, Ordering::SeqCst);
        let go = go.clone();
        async move {
            go.notified().await;
            Ok(1)
        }
    })
}

#[tokio::test]
async fn a_warm_shutdown_finishes_what_runs_and_gives_the_rest_back() {
    let site = Site::memory();
    let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut worker = Running::start(site.worker(waits(&begun, &go)).concurrency(2));
    for number in 0..20 {
        site.send(call("shop.slow", ()).id(&number.to_string()))
            .await;
    }
    let later = call("shop.slow", ())
        .id("later")
        .countdown(Duration::from_mins(10));
    site.send(later).await;
    until("two run", async || begun.load(Ordering::SeqCst) == 2).await;
    worker.ask_to_stop();
    until("the rest is back", async || {
        site.waiting("celery").await == 19
    })
    .await;
    go.notify_waiters();
    worker.ended().await.unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    assert_eq!(site.state("0").await, State::Success);
    assert_eq!(site.state("1").await, State::Success);
    assert_eq!(site.waiting("celery").await, 19);
}

#[tokio::test]
async fn asked_a_second_time_the_worker_ends_at_once() {
    let site = Site::memory();
    let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut worker = site.start(waits(&begun, &go));
    site.send(call("shop.slow", ())).await;
    until("it runs", async || begun.load(Ordering::SeqCst) == 1).await;
    worker.handle.shutdown(Shutdown::Warm);
    worker.handle.shutdown(Shutdown::Warm);
    worker.ended().await.unwrap();
}

#[tokio::test]
async fn a_soft_shutdown_lets_tasks_end_for_a_while() {
    let site = Site::memory();
    let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let worker = site
        .worker(waits(&begun, &go))
        .soft_shutdown_timeout(Duration::from_millis(200));
    let mut worker = Running::start(worker);
    let id = site.send(call("shop.slow", ()).id("ends")).await;
    site.send(call("shop.slow", ()).id("hangs")).await;
    until("both run", async || begun.load(Ordering::SeqCst) == 2).await;
    worker.handle.shutdown(Shutdown::Cold);
    go.notify_one();
    assert_eq!(site.result(&id).await, "1");
    worker.ended().await.unwrap();
    assert_eq!(site.state("hangs").await, State::Pending);
}

#[tokio::test]
async fn a_blocking_task_does_not_hold_up_a_cold_shutdown() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let begun = begun.clone();
        Tasks::new().with_blocking(&SLOW, move |context: Context, ()| {
            begun.fetch_add(1, Ordering::SeqCst);
            while !context.is_revoked() {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(1)
        })
    };
    let mut worker = site.start(tasks);
    site.send(call("shop.slow", ())).await;
    until("it runs", async || begun.load(Ordering::SeqCst) == 1).await;
    worker.handle.shutdown(Shutdown::Cold);
    worker.ended().await.unwrap();
}

#[tokio::test]
async fn a_worker_without_work_ends_at_once() {
    let site = Site::memory();
    let worker = site.start(Tasks::new());
    worker.stop().await;
}
