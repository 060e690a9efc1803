use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quintette_tasks::results::State;
use quintette_tasks::worker::Tasks;

use crate::site::{Running, Site, call, until};

fn counts(begun: &Arc<AtomicUsize>) -> Tasks {
    let begun = begun.clone();
    Tasks::new().with_any("shop.remind", move |_, _| {
        begun.fetch_add(1, Ordering::SeqCst);
        async { Ok(1) }
    })
}

#[tokio::test]
async fn a_task_does_not_begin_before_its_time() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = site.start(counts(&begun));
    let sent = Instant::now();
    let id = site
        .send(call("shop.remind", ()).countdown(Duration::from_millis(300)))
        .await;
    until("it is held", async || {
        worker.handle.state.scheduled().len() == 1
    })
    .await;
    assert_eq!(site.result(&id).await, "1");
    assert!(sent.elapsed() >= Duration::from_millis(300));
    let past = call("shop.remind", ()).with(|headers| {
        headers.eta = Some("2001-01-01T00:00:00".to_owned());
        headers.id = "past".to_owned();
    });
    let past = site.send(past).await;
    assert_eq!(site.result(&past).await, "1");
    worker.stop().await;
}

#[tokio::test]
async fn tasks_that_wait_for_their_time_do_not_keep_others_from_running() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = Running::start(site.worker(counts(&begun)).concurrency(1));
    // Far more than the prefetch of four.
    for number in 0..50 {
        let later = call("shop.remind", [number]).countdown(Duration::from_mins(10));
        site.send(later).await;
    }
    let now = site.send(call("shop.remind", ()).id("now")).await;
    assert_eq!(site.result(&now).await, "1");
    until("all are held", async || {
        worker.handle.state.scheduled().len() == 50
    })
    .await;
    assert_eq!(worker.handle.state.prefetch(), 54);
    worker.stop().await;
    assert_eq!(site.waiting("celery").await, 50);
}

#[tokio::test]
async fn no_more_than_the_limit_are_held_and_the_others_wait_in_the_broker() {
    let site = Site::memory().set(|settings| settings.worker_eta_task_limit = 10);
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = site.start(counts(&begun));
    for number in 0..100 {
        let soon = call("shop.remind", [number]).countdown(Duration::from_secs(2));
        site.send(soon).await;
    }
    let now = site.send(call("shop.remind", ()).id("now")).await;
    assert_eq!(site.result(&now).await, "1");
    // A batch is received as a whole before the limit counts.
    assert!(worker.handle.state.scheduled().len() <= 10);
    until("all have run", async || begun.load(Ordering::SeqCst) == 101).await;
    worker.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 101);
}

#[tokio::test]
async fn a_task_that_comes_too_late_is_revoked() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = site.start(counts(&begun));
    let expired = call("shop.remind", ()).with(|headers| {
        headers.expires = Some("2001-01-01T00:00:00+00:00".to_owned());
    });
    let id = site.send(expired).await;
    let meta = site.ready(&id).await;
    assert_eq!(meta.status, State::Revoked);
    assert_eq!(
        meta.exception().unwrap().to_string(),
        "TaskRevokedError: expired"
    );

    // It expires while it waits for its time.
    let soon = (chrono::Utc::now() + Duration::from_millis(100)).to_rfc3339();
    let expires = call("shop.remind", ())
        .id("while it waits")
        .countdown(Duration::from_millis(300))
        .with(|headers| headers.expires = Some(soon));
    let id = site.send(expires).await;
    assert_eq!(site.ready(&id).await.status, State::Revoked);
    worker.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}
