use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quintette_core::json::RawJson;
use quintette_tasks::results::State;
use quintette_tasks::worker::{Context, Event, EventSink, Tasks};
use quintette_tasks::{Arguments, Task, TaskError};
use serde_json::json;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::site::{Running, Site, call, until};

static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);
static SQUARE: Task<(i64,), i64> = Task::new("shop.square", &["x"]);
static WAIT: Task<(), ()> = Task::new("shop.wait", &[]);

#[tokio::test]
async fn a_task_runs_and_its_result_is_stored() {
    let site = Site::memory();
    let tasks = Tasks::new().with(&ADD, |_: Context, (x, y)| async move { Ok(x + y) });
    let worker = site.start(tasks);
    let positional = site.send(call("shop.add", (2, 3))).await;
    let named = site
        .send(call("shop.add", [2]).kwarg("y", 40).id("named"))
        .await;
    assert_eq!(site.result(&positional).await, "5");
    assert_eq!(site.result(&named).await, "42");
    let meta = site.ready(&positional).await;
    assert!(meta.date_done.unwrap().ends_with("+00:00"));
    until("both are counted", async || {
        worker.handle.state.totals().get("shop.add") == Some(&2)
    })
    .await;
    worker.stop().await;
    assert_eq!(site.waiting("celery").await, 0);
}

#[tokio::test]
async fn a_blocking_task_runs_on_a_thread_of_its_own() {
    let site = Site::memory();
    let tasks = Tasks::new()
        .with_blocking(&SQUARE, |_: Context, (x,)| {
            // On a runtime of one thread, this would be a deadlock.
            std::thread::sleep(Duration::from_millis(5));
            Ok(x * x)
        })
        .with(&ADD, |_: Context, (x, y)| async move { Ok(x + y) });
    let worker = site.start(tasks);
    let blocking = site.send(call("shop.square", [7])).await;
    let waiting = site.send(call("shop.add", (1, 1))).await;
    assert_eq!(site.result(&blocking).await, "49");
    assert_eq!(site.result(&waiting).await, "2");
    worker.stop().await;
}

#[tokio::test]
async fn a_task_may_take_whatever_it_is_called_with() {
    let site = Site::memory();
    let tasks = Tasks::new().with_any("probe.echo", |_, arguments: Arguments| async move {
        let kwargs: Vec<String> = arguments.kwargs.keys().map(ToString::to_string).collect();
        Ok((arguments.args, kwargs))
    });
    let worker = site.start(tasks);
    let id = site
        .send(call("probe.echo", (1, "a")).kwarg("z", true))
        .await;
    assert_eq!(site.result(&id).await, r#"[[1,"a"],["z"]]"#);
    worker.stop().await;
}

#[tokio::test]
async fn a_failure_is_an_exception_that_python_knows() {
    let site = Site::memory();
    let tasks = Tasks::new().with(&WAIT, |_: Context, ()| async {
        Err::<(), _>(TaskError::failure("ValueError", "no such order"))
    });
    let worker = site.start(tasks);
    let id = site.send(call("shop.wait", ())).await;
    let meta = site.ready(&id).await;
    assert_eq!(meta.status, State::Failure);
    assert_eq!(
        meta.result.as_str(),
        r#"{"exc_type":"ValueError","exc_message":["no such order"],"exc_module":"builtins"}"#
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_failure_and_the_worker_goes_on() {
    let site = Site::memory();
    let tasks = Tasks::new()
        .with(&ADD, |_: Context, (x, y): (i64, i64)| async move {
            assert!(x < 100, "x is {x}");
            Ok(x + y)
        })
        .with_blocking(&SQUARE, |_: Context, (x,): (i64,)| {
            assert!(x < 100, "x is {x}");
            Ok(x * x)
        });
    let worker = site.start(tasks);
    for number in 100..110 {
        let id = site.send(call("shop.add", (number, 0))).await;
        assert_eq!(
            site.failure(&id).await,
            format!("RuntimeError: panicked: x is {number}")
        );
        let id = site.send(call("shop.square", [number])).await;
        assert_eq!(
            site.failure(&id).await,
            format!("RuntimeError: panicked: x is {number}")
        );
    }
    let id = site.send(call("shop.add", (2, 3))).await;
    assert_eq!(site.result(&id).await, "5");
    assert_eq!(worker.handle.state.active_count(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn no_more_tasks_run_at_once_than_the_concurrency_and_no_more_are_held_than_the_prefetch() {
    let site = Site::memory();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let tasks = {
        let (running, most, gate) = (running.clone(), most.clone(), gate.clone());
        Tasks::new().with_any("shop.wait", move |_, _| {
            let (running, most, gate) = (running.clone(), most.clone(), gate.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let passed = gate.acquire().await.map(SemaphorePermit::forget);
                running.fetch_sub(1, Ordering::SeqCst);
                passed.map_err(TaskError::from)
            }
        })
    };
    for number in 0..100 {
        site.send(call("shop.wait", [number])).await;
    }
    let worker = Running::start(site.worker(tasks).concurrency(3));
    until("three run", async || running.load(Ordering::SeqCst) == 3).await;
    // Three that run are acknowledged; twelve wait here for their turn.
    until("the others stay", async || {
        site.waiting("celery").await == 85
    })
    .await;
    assert_eq!(worker.handle.state.reserved().len(), 12);
    assert_eq!(worker.handle.state.active().len(), 3);
    worker.handle.pool_grow(2);
    until("five run", async || running.load(Ordering::SeqCst) == 5).await;
    until("more are held", async || site.waiting("celery").await == 75).await;
    worker.handle.pool_shrink(3);
    gate.add_permits(1_000);
    let last = call("shop.wait", [99]).headers.id;
    site.ready(&last).await;
    assert_eq!(most.load(Ordering::SeqCst), 5);
    assert_eq!(worker.handle.state.concurrency(), 2);
    worker.stop().await;
}

#[tokio::test]
async fn what_a_task_says_of_itself_while_it_runs_can_be_asked() {
    let site = Site::memory().set(|settings| {
        settings.task_track_started = true;
        settings.result_extended = true;
    });
    let (reported, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let tasks = {
        let (reported, go) = (reported.clone(), go.clone());
        Tasks::new().with_any("shop.import", move |context: Context, _| {
            let (reported, go) = (reported.clone(), go.clone());
            async move {
                reported.notify_one();
                go.notified().await;
                context.update_state("PROGRESS", json!({"done": 3})).await?;
                reported.notify_one();
                go.notified().await;
                Ok(context.hostname().to_owned())
            }
        })
    };
    let worker = site.start(tasks);
    let id = site
        .send(call("shop.import", ["prices.csv"]).with(|headers| {
            headers.group = Some("bulk".to_owned());
            headers.parent_id = Some("parent".to_owned());
        }))
        .await;
    reported.notified().await;
    assert_eq!(site.state(&id).await, State::Started);
    go.notify_one();
    reported.notified().await;
    let meta = site.results.load(&id).await.unwrap().unwrap();
    assert_eq!(meta.status_name(), "PROGRESS");
    assert_eq!(meta.result.as_str(), r#"{"done":3}"#);
    go.notify_one();
    assert_eq!(site.result(&id).await, r#""w1@test""#);
    let meta = site.ready(&id).await;
    assert_eq!(meta.group_id.as_deref(), Some("bulk"));
    assert_eq!(meta.parent_id.as_deref(), Some("parent"));
    assert_eq!(meta.extra["name"], "shop.import");
    assert_eq!(meta.extra["args"], json!(["prices.csv"]));
    assert_eq!(meta.extra["worker"], "w1@test");
    assert_eq!(meta.extra["queue"], "celery");
    worker.stop().await;
}

#[tokio::test]
async fn a_task_whose_result_is_ignored_stores_nothing_but_runs() {
    let site = Site::memory();
    let ran = Arc::new(Notify::new());
    let tasks = {
        let ran = ran.clone();
        Tasks::new().with_any("shop.wait", move |_, _| {
            ran.notify_one();
            async { Ok(1) }
        })
    };
    let worker = site.start(tasks);
    let id = site
        .send(call("shop.wait", ()).with(|headers| headers.ignore_result = Some(true)))
        .await;
    ran.notified().await;
    worker.stop().await;
    assert_eq!(site.state(&id).await, State::Pending);
}

#[tokio::test]
async fn a_task_ignores_its_result_whoever_calls_it_unless_the_call_says_otherwise() {
    static QUIET: Task<(), i64> = Task::new("shop.quiet", &[]).ignore_result();
    let site = Site::memory();
    let worker = site.start(Tasks::new().with(&QUIET, |_: Context, ()| async { Ok(1) }));
    let quiet = site.send(call("shop.quiet", ())).await;
    let asked = call("shop.quiet", ()).id("asked");
    let asked = site
        .send(asked.with(|headers| headers.ignore_result = Some(false)))
        .await;
    assert_eq!(site.result(&asked).await, "1");
    worker.stop().await;
    assert_eq!(site.state(&quiet).await, State::Pending);
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl EventSink for Seen {
    fn send(&self, event: &Event<'_>) {
        let line = match event {
            Event::Received(request) => format!("received {}", request.id()),
            Event::Started(request) => format!("started {}", request.id()),
            Event::Succeeded {
                request, result, ..
            } => format!("succeeded {} {result}", request.id()),
            Event::Failed { request, exception } => format!("failed {} {exception}", request.id()),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn whoever_watches_sees_a_task_arrive_begin_and_end() {
    let site = Site::memory();
    let tasks = Tasks::new().with(&ADD, |_: Context, (x, y): (i64, i64)| async move {
        if x == 0 {
            return Err(TaskError::failure("ValueError", "nothing"));
        }
        Ok(x + y)
    });
    let worker = site.worker(tasks).concurrency(1);
    let seen = Seen::default();
    let handle = worker.handle();
    handle.state.events.set_sink(Box::new(seen.clone()));
    let worker = Running::start(worker);
    let unseen = site.send(call("shop.add", (9, 9))).await;
    site.ready(&unseen).await;
    assert!(handle.enable_events());
    assert!(!handle.enable_events());
    let first = site.send(call("shop.add", (2, 3)).id("a")).await;
    site.ready(&first).await;
    let second = site.send(call("shop.add", (0, 3)).id("b")).await;
    site.ready(&second).await;
    worker.stop().await;
    let seen = seen.0.lock().unwrap();
    assert_eq!(
        *seen,
        [
            "received a",
            "started a",
            "succeeded a 5",
            "received b",
            "started b",
            "failed b ValueError: nothing"
        ]
    );
}

#[tokio::test]
async fn a_request_is_shown_as_celery_shows_it() {
    let site = Site::memory();
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let tasks = {
        let (begun, go) = (begun.clone(), go.clone());
        Tasks::new().with_any("shop.wait", move |_, _| {
            let (begun, go) = (begun.clone(), go.clone());
            async move {
                begun.notify_one();
                go.notified().await;
                Ok(RawJson::from(1))
            }
        })
    };
    let worker = site.start(tasks);
    let id = site
        .send(call("shop.wait", [1]).kwarg("é", 2).id("a"))
        .await;
    begun.notified().await;
    let active = worker.handle.state.active();
    let mut shown = active[0].to_json();
    assert!(shown["time_start"].as_f64().unwrap() > 1e9);
    shown["time_start"] = json!(null);
    assert_eq!(
        shown,
        json!({
            "id": "a", "name": "shop.wait", "type": "shop.wait", "args": [1], "kwargs": {"é": 2}, "hostname": "w1@test",
            "time_start": null, "acknowledged": true, "worker_pid": std::process::id(),
            "delivery_info": {"exchange": "", "routing_key": "celery", "priority": null, "redelivered": false},
        })
    );
    go.notify_one();
    site.ready(&id).await;
    worker.stop().await;
}
