use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quintette_tasks::Task;
use quintette_tasks::results::State;
use quintette_tasks::worker::{Context, Tasks};
use serde_json::json;

use crate::site::{PATIENCE, Running, Site, call, until};

static SLOW: Task<(), i64> = Task::new("shop.slow", &[]);

/// Begins, and never ends by itself.
fn hangs(begun: &Arc<AtomicUsize>) -> Tasks {
    let begun = begun.clone();
    Tasks::new()
        .with(&SLOW, move |_: Context, ()| {
            begun.fetch_add(1, Ordering::SeqCst);
            async {
                std::future::pending::<()>().await;
                Ok(1)
            }
        })
        .with_any("shop.quick", |_, _| async { Ok(1) })
}

#[tokio::test]
async fn a_revoked_task_does_not_begin() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = site.start(hangs(&begun));
    worker.handle.revoke(vec!["no".to_owned()], false).await;
    let id = site.send(call("shop.slow", ()).id("no")).await;
    let meta = site.ready(&id).await;
    assert_eq!(meta.status, State::Revoked);
    assert_eq!(
        meta.result.as_str(),
        r#"{"exc_type":"TaskRevokedError","exc_message":["revoked"],"exc_module":"celery.exceptions"}"#
    );
    worker.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 0);
    assert_eq!(site.waiting("celery").await, 0);
}

#[tokio::test]
async fn a_task_that_runs_is_ended_when_it_is_revoked_with_terminate() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = Running::start(site.worker(hangs(&begun)).concurrency(1));
    let id = site.send(call("shop.slow", ())).await;
    until("it runs", async || begun.load(Ordering::SeqCst) == 1).await;
    worker.handle.revoke(vec![id.clone()], true).await;
    assert_eq!(site.failure(&id).await, "TaskRevokedError: terminated");
    let next = site.send(call("shop.quick", ())).await;
    assert_eq!(site.result(&next).await, "1");
    worker.stop().await;
}

#[tokio::test]
async fn tasks_are_revoked_by_the_headers_that_they_are_stamped_with() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = site.start(hangs(&begun));
    let stamps = json!({"tenant": ["north", "east"]});
    let serde_json::Value::Object(stamps) = stamps else {
        unreachable!()
    };
    worker.handle.state.revoke_stamped(stamps);
    let stamped = |id: &str, tenant: &str| {
        let tenant = tenant.to_owned();
        call("shop.quick", ()).id(id).with(move |headers| {
            headers.stamped_headers = Some(vec!["tenant".to_owned()]);
            headers.stamps.insert("tenant".to_owned(), json!([tenant]));
        })
    };
    let east = site.send(stamped("a", "east")).await;
    let west = site.send(stamped("b", "west")).await;
    assert_eq!(site.ready(&east).await.status, State::Revoked);
    assert_eq!(site.result(&west).await, "1");
    worker.stop().await;
}

#[tokio::test]
async fn a_revocation_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.state");
    let site = Site::memory().set(|settings| settings.worker_state_db = Some(file));
    let begun = Arc::new(AtomicUsize::new(0));
    let first = site.start(hangs(&begun));
    let ids = vec!["a".to_owned(), "b".to_owned()];
    first.handle.revoke(ids.clone(), false).await;
    first.stop().await;
    let second = site.start(hangs(&begun));
    for id in &ids {
        site.send(call("shop.slow", ()).id(id)).await;
        assert_eq!(site.ready(id).await.status, State::Revoked);
    }
    assert_eq!(second.handle.state.revoked(), ids);
    second.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_state_file_that_cannot_be_read_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().to_owned();
    let site = Site::memory().set(|settings| settings.worker_state_db = Some(file));
    let mut worker = site.start(Tasks::new());
    let error = worker.ended().await.unwrap_err().to_string();
    assert!(error.starts_with("worker_state_db "), "{error}");
}

#[tokio::test]
async fn queues_are_added_and_cancelled_while_the_worker_runs() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let worker = site.start(hangs(&begun));
    let app = site.app();
    worker.handle.add_queue(app.queue("mail")).await.unwrap();
    site.publish(&call("shop.quick", [1]).id("mail").message(), "mail")
        .await;
    site.ready("mail").await;
    worker.handle.cancel_queue("celery").await.unwrap();
    let names: Vec<String> = worker
        .handle
        .state
        .queues()
        .into_iter()
        .map(|queue| queue.name)
        .collect();
    assert_eq!(names, ["mail"]);
    site.send(call("shop.quick", [2]).id("stays")).await;
    site.publish(&call("shop.quick", [3]).id("again").message(), "mail")
        .await;
    site.ready("again").await;
    assert_eq!(site.waiting("celery").await, 1);
    worker.stop().await;
}

async fn told(site: &Site, method: &str, arguments: serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(arguments) = arguments else {
        unreachable!()
    };
    let mut control = site
        .app()
        .control()
        .destination(["w1@test"])
        .timeout(PATIENCE);
    for (name, value) in arguments {
        control = control.argument(name, value);
    }
    let mut answers = control.ask(method).await.unwrap();
    answers.swap_remove("w1@test").unwrap()
}

#[tokio::test]
async fn rubbish_from_remote_control_changes_nothing_and_is_answered() {
    let site = Site::memory();
    let worker = site.start(hangs(&Arc::default()));
    let state = worker.handle.state.clone();
    let limits = json!({"task_name": "shop.slow", "rate_limit": "5/m"});
    until("remote control listens", async || {
        let ping = site.app().control().timeout(Duration::from_millis(100));
        !ping.ask("ping").await.unwrap().is_empty()
    })
    .await;
    assert!(told(&site, "rate_limit", limits).await["ok"].is_string());
    for (method, arguments) in [
        ("pool_grow", json!({"n": "many"})),
        ("pool_grow", json!({"n": -3})),
        ("pool_grow", json!({"n": u64::MAX})),
        ("pool_shrink", json!({"n": -1})),
        (
            "rate_limit",
            json!({"task_name": "shop.slow", "rate_limit": ["0"]}),
        ),
        (
            "rate_limit",
            json!({"task_name": "shop.slow", "rate_limit": "often"}),
        ),
        ("rate_limit", json!({"task_name": 5, "rate_limit": 0})),
        ("time_limit", json!({"task_name": "no.such", "hard": 1e308})),
        ("revoke", json!({"task_id": {"a": 1}})),
        ("revoke_by_stamped_headers", json!({"headers": 7})),
        ("add_consumer", json!({"queue": null})),
        ("cancel_consumer", json!({})),
        ("no_such_command", json!({})),
    ] {
        let answer = told(&site, method, arguments.clone()).await;
        assert!(
            answer["error"].is_string(),
            "{method} {arguments}: {answer}"
        );
    }
    assert_eq!(state.concurrency(), 4);
    assert_eq!(state.queues().len(), 1);
    assert!(state.rate("shop.slow").unwrap().interval().is_some());
    assert!(state.revoked().is_empty());
    worker.stop().await;
}
