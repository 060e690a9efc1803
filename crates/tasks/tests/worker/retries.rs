use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quintette_tasks::results::State;
use quintette_tasks::worker::{Context, Tasks};
use quintette_tasks::{Task, TaskError};
use serde_json::json;

use crate::site::{Site, call, until};

static FLAKY: Task<(u32,), u32> = Task::new("probe.flaky", &["times"]);
static AUTO: Task<(u32,), u32> = Task::new("shop.auto", &["times"])
    .autoretry()
    .retry_backoff(Duration::from_millis(1))
    .max_retries(5);

#[tokio::test]
async fn a_task_is_tried_again_under_the_same_id() {
    let site = Site::memory();
    let tasks = Tasks::new().with(&FLAKY, |context: Context, (times,)| async move {
        if context.retries() < times {
            return Err(context.retry(Some(Duration::ZERO), "not yet"));
        }
        assert_eq!(context.parent_id(), Some("flaky"));
        Ok(context.retries())
    });
    let worker = site.start(tasks);
    let id = site.send(call("probe.flaky", [2]).id("flaky")).await;
    assert_eq!(site.result(&id).await, "2");
    worker.stop().await;
    assert_eq!(site.waiting("celery").await, 0);
}

#[tokio::test]
async fn after_the_last_retry_the_original_exception_is_the_result() {
    let site = Site::memory();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let begun = begun.clone();
        Tasks::new().with(&FLAKY, move |_: Context, (_,)| {
            begun.fetch_add(1, Ordering::SeqCst);
            async { Err::<u32, _>(TaskError::retry_after(Duration::ZERO, "the bank is closed")) }
        })
    };
    let worker = site.start(tasks);
    let id = site.send(call("probe.flaky", [9])).await;
    assert_eq!(site.failure(&id).await, "Exception: the bank is closed");
    worker.stop().await;
    // Once, and three times more: Celery's default.
    assert_eq!(begun.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn failures_are_tried_again_where_the_task_says_so() {
    let site = Site::memory();
    let tasks = Tasks::new().with(&AUTO, |context: Context, (times,)| async move {
        if context.retries() < times {
            return Err(TaskError::failure("OSError", "no network"));
        }
        Ok(context.retries())
    });
    let worker = site.start(tasks);
    let recovers = site.send(call("shop.auto", [5])).await;
    let fails = site.send(call("shop.auto", [6])).await;
    assert_eq!(site.result(&recovers).await, "5");
    assert_eq!(site.failure(&fails).await, "OSError: no network");
    worker.stop().await;
}

#[tokio::test]
async fn while_it_waits_for_the_next_try_the_state_is_retry_with_the_reason() {
    let site = Site::memory();
    let tasks = Tasks::new().with(&FLAKY, |context: Context, (times,)| async move {
        if context.retries() < times {
            let cause = quintette_tasks::Exception::new("OSError", "no network");
            return Err(TaskError::Retry {
                cause,
                countdown: Some(Duration::from_mins(10)),
            });
        }
        Ok(0)
    });
    let worker = site.start(tasks);
    let id = site
        .send(call("probe.flaky", [2]).with(|headers| {
            headers.extra.insert("tenant".into(), json!("north"));
            headers.timelimit = [Some(12.5), None];
        }))
        .await;
    until("RETRY is stored", async || {
        site.state(&id).await == State::Retry
    })
    .await;
    let meta = site.results.load(&id).await.unwrap().unwrap();
    assert_eq!(
        meta.result.as_str(),
        r#"{"exc_type":"OSError","exc_message":["no network"],"exc_module":"builtins"}"#
    );
    until("it waits", async || {
        worker.handle.state.scheduled().len() == 1
    })
    .await;
    let held = worker.handle.state.scheduled().remove(0);
    assert_eq!(held.headers.retries, 1);
    assert_eq!(held.headers.extra["tenant"], "north");
    assert_eq!(held.headers.timelimit, [Some(12.5), None]);
    let wait = held.eta.unwrap() - chrono::Utc::now();
    assert!((500..=600).contains(&wait.num_seconds()), "{wait}");
    worker.stop().await;
    // It goes back, and is not lost.
    assert_eq!(site.waiting("celery").await, 1);
}
