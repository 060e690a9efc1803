//! `quintette tasks`, with a worker that runs in this process, on a file and on Redis.

use std::sync::Arc;
use std::time::Duration;

use quintette_tasks::brokers::Destination;
use quintette_tasks::worker::{Context, Shutdown, Tasks, Worker, WorkerHandle};
use quintette_tasks::{App, Signature, Task, TaskError, TaskSettings};
use quintette_testkit::servers::Redis;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::site::{Ran, Site};

static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);
static GREET: Task<(String, Option<bool>), String> = Task::new("shop.greet", &["name", "loudly?"]);
static FAIL: Task<(), ()> = Task::new("shop.fail", &[]);

fn tasks() -> Tasks {
    Tasks::new()
        .with(&ADD, |_: Context, (x, y)| async move { Ok(x + y) })
        .with(&GREET, |_: Context, (name, loudly)| async move {
            let end = if loudly == Some(true) { "!" } else { "." };
            Ok(format!("Hello, {name}{end}"))
        })
        .with(&FAIL, |_: Context, ()| async move {
            Err(TaskError::failure("ValueError", "no such \u{1b}[2Jorder"))
        })
}

/// A site without a `SECRET_KEY`, whose broker is a file.
fn on_a_file() -> Site {
    Site::empty()
        .with("CELERY_BROKER_URL", "sqla+sqlite:///tasks.sqlite3")
        .with("CELERY_RESULT_BACKEND", "db+sqlite:///tasks.sqlite3")
}

fn on_redis(server: &Redis) -> Site {
    Site::empty()
        .with("CELERY_BROKER_URL", server.url())
        .with("CELERY_RESULT_BACKEND", server.url())
}

/// The client of a site's settings, from another directory.
fn app(site: &Site) -> App {
    let variables = site.variables().map(|(name, value)| {
        let file = format!("sqlite:///{}", site.path("tasks.sqlite3").display());
        (name, value.replace("sqlite:///tasks.sqlite3", &file))
    });
    let settings = TaskSettings::loader().variables(variables);
    App::new(settings.load_celery().unwrap()).unwrap()
}

struct Working {
    handle: WorkerHandle,
    running: JoinHandle<()>,
}

impl Working {
    fn start(site: &Site) -> Self {
        let worker = Worker::new(app(site), tasks()).hostname("celery@here");
        let handle = worker.handle();
        let running = tokio::spawn(async move {
            worker.run_until(std::future::pending()).await.unwrap();
        });
        Self { handle, running }
    }

    async fn stop(self) {
        self.handle.shutdown(Shutdown::Warm);
        self.running.await.unwrap();
    }
}

/// Runs the command while tasks of this process go on.
async fn run(site: &Arc<Site>, arguments: &[&str]) -> Ran {
    let site = site.clone();
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let ran = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        site.run(&arguments)
    });
    ran.await.unwrap()
}

#[tokio::test]
async fn a_task_is_called_and_its_result_printed() {
    let site = Arc::new(on_a_file());
    let worker = Working::start(&site);
    let ran = run(
        &site,
        &["tasks", "send", "shop.add", "2", "-3", "--wait", "60"],
    )
    .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "-1"));
    let ran = run(&site, &["tasks", "result", lines[0]]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("SUCCESS "), "{ran:?}");
    assert!(ran.stdout.ends_with("\n-1\n"), "{ran:?}");

    let kwargs = [r#"{"loudly": true}"#, "--wait", "60", "--id", "greeting"];
    let send = ["tasks", "send", "shop.greet", r#""김""#, "--kwargs"];
    let ran = run(&site, &[&send[..], &kwargs].concat()).await;
    assert_eq!(ran.stdout, "greeting\n\"Hello, 김!\"\n", "{ran:?}");
    let ran = run(&site, &["tasks", "result", "greeting", "--json"]).await;
    let stored: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(stored["result"], "Hello, 김!");
    worker.stop().await;
}

#[tokio::test]
async fn a_failure_is_told_and_exits_with_1() {
    let site = Arc::new(on_a_file());
    let worker = Working::start(&site);
    let ran = run(
        &site,
        &["tasks", "send", "shop.fail", "--id", "f", "--wait", "60"],
    )
    .await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("ValueError: no such"), "{ran:?}");
    let ran = run(&site, &["tasks", "result", "f"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("FAILURE"), "{ran:?}");
    assert!(ran.stdout.contains("ValueError: no such"), "{ran:?}");
    worker.stop().await;
}

#[test]
fn what_nobody_takes_is_waited_for_no_longer_than_asked() {
    let site = on_a_file();
    let ran = site.run(&[
        "tasks", "send", "shop.add", "1", "1", "--id", "a", "--wait", "0.2",
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("quintette tasks result a"), "{ran:?}");
    let ran = site.run(&["tasks", "result", "a"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("PENDING"), "{ran:?}");
}

#[test]
fn a_queue_is_emptied_when_somebody_is_certain() {
    let site = on_a_file();
    for _ in 0..3 {
        let ran = site.run(&["tasks", "send", "shop.add", "1", "1", "--queue", "slow"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let ran = site.run(&["tasks", "purge", "slow"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("3 messages of slow: say --yes"),
        "{ran:?}"
    );
    let ran = site.run(&["tasks", "purge", "slow", "--yes"]);
    assert_eq!(ran.stdout, "Dropped 3 messages of slow.\n", "{ran:?}");
    let ran = site.run(&["tasks", "purge", "slow"]);
    assert_eq!(ran.stdout, "Dropped 0 messages of slow.\n", "{ran:?}");
}

#[tokio::test]
async fn what_was_set_aside_is_shown_and_sent_again() {
    let site = Arc::new(on_a_file());
    let worker = Working::start(&site);
    let call = Signature::new("shop.later")
        .task_id("poison")
        .args((1,))
        .unwrap();
    app(&site).send(&call).await.unwrap();
    let list = ["tasks", "dead", "list"];
    let ran = loop {
        let ran = run(&site, &list).await;
        if !ran.stdout.starts_with("Nothing") {
            break ran;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(ran.stdout.contains("poison"), "{ran:?}");
    assert!(ran.stdout.contains("shop.later"), "{ran:?}");
    assert!(ran.stdout.contains("is not registered"), "{ran:?}");
    worker.stop().await;

    let ran = run(&site, &["tasks", "dead", "show", "poison"]).await;
    assert!(ran.stdout.contains("[[1],"), "{ran:?}");
    let ran = run(&site, &["tasks", "dead", "show", "other"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let ran = run(&site, &["tasks", "dead", "replay", "--id", "other"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let ran = run(&site, &["tasks", "dead", "replay"]).await;
    assert_eq!(ran.stdout, "Sent 1 message back to celery.\n", "{ran:?}");
    assert_eq!(app(&site).broker().waiting("celery").await.unwrap(), 1);
    let ran = run(&site, &list).await;
    assert_eq!(ran.stdout, "Nothing of celery was set aside.\n", "{ran:?}");

    let dead = Destination::queue(app(&site).queue("celery.dead"));
    let message = quintette_tasks::protocol::Message::json("no task");
    app(&site).broker().publish(&message, &dead).await.unwrap();
    let ran = run(&site, &["tasks", "dead", "purge"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let ran = run(&site, &["tasks", "dead", "purge", "--yes"]).await;
    assert_eq!(ran.stdout, "Dropped 1 message of celery.dead.\n", "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_asked_and_told() {
    let server = Redis::start().unwrap();
    let site = Arc::new(on_redis(&server));
    let ran = run(&site, &["tasks", "inspect"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("no worker answered"), "{ran:?}");

    let worker = Working::start(&site);
    let ping = ["tasks", "inspect", "--worker", "celery@here", "--timeout"];
    while run(&site, &[&ping[..], &["1"]].concat()).await.code != 0 {}
    let ran = run(&site, &[&ping[..], &["60"]].concat()).await;
    assert_eq!(ran.stdout, "celery@here  pong\n\n1 worker.\n", "{ran:?}");

    let ask = async |question: &'static str| {
        let arguments = [
            "tasks",
            "inspect",
            question,
            "-d",
            "celery@here",
            "-t",
            "60",
        ];
        let ran = run(&site, &arguments).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.starts_with("celery@here\n"), "{ran:?}");
        ran.stdout
    };
    assert!(ask("registered").await.contains("  shop.add\n"));
    assert!(ask("queues").await.contains("  celery"));
    assert!(ask("stats").await.contains("  pid "));
    assert_eq!(ask("active").await, "celery@here\n  none\n");
    ask("reserved").await;
    ask("conf").await;

    run(
        &site,
        &[
            "tasks",
            "send",
            "shop.add",
            "1",
            "1",
            "--id",
            "later",
            "--countdown",
            "3600",
        ],
    )
    .await;
    while !ask("scheduled").await.contains("later  shop.add") {}
    let ran = run(&site, &["tasks", "revoke", "later"]).await;
    assert_eq!(
        ran.stdout, "Told the workers not to run 1 task.\n",
        "{ran:?}"
    );
    while !ask("revoked").await.contains("  later\n") {}

    let arguments = ["tasks", "inspect", "ping", "-d", "celery@here", "--json"];
    let ran = run(&site, &arguments).await;
    let answers: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answers["celery@here"]["ok"], "pong");
    worker.stop().await;
}

#[test]
fn a_broker_that_nobody_shares_is_an_error_that_says_what_to_set() {
    for site in [
        Site::empty(),
        Site::empty().with("CELERY_BROKER_URL", "memory://"),
    ] {
        let ran = site.run(&["tasks", "send", "shop.add"]);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("CELERY_BROKER_URL"), "{ran:?}");
        assert!(ran.stderr.contains("nothing is shared"), "{ran:?}");
    }
}

#[test]
fn settings_are_taken_from_a_file_and_what_is_missing_is_said() {
    let site = Site::empty();
    site.write(
        "other.toml",
        "CELERY_BROKER_URL = \"sqla+sqlite:///x.sqlite3\"\n",
    );
    let ran = site.run(&["tasks", "send", "shop.add", "--settings", "other.toml"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(site.path("x.sqlite3").exists());
    for arguments in [
        &["tasks", "send", "shop.add", "--wait", "1"][..],
        &["tasks", "result", "a"],
    ] {
        let ran = site.run(&[arguments, &["--settings", "other.toml"]].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("CELERY_RESULT_BACKEND"), "{ran:?}");
    }
    // A file knows no fanout.
    let ran = site.run(&["tasks", "inspect", "--settings", "other.toml"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("use RabbitMQ or Redis"), "{ran:?}");
}

#[test]
fn a_broker_that_is_away_is_named_without_its_password() {
    let site = Site::empty().with("CELERY_BROKER_URL", "redis://:hunter2@127.0.0.1:1/0");
    let ran = site.run(&["tasks", "send", "shop.add"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("127.0.0.1:1"), "{ran:?}");
}

#[test]
fn what_is_no_json_is_wrong_usage() {
    let site = on_a_file();
    for arguments in [
        &["send", "shop.greet", "Mei"][..],
        &["send", "shop.greet", "--kwargs", "x=1"],
        &["send", "shop.greet", "--countdown", "soon"],
        &["send", "shop.greet", "--eta", "tomorrow"],
        &["send", "shop.greet", "--priority", "256"],
        &["send"],
        &["revoke"],
        &["dead"],
        &["inspect", "everything"],
    ] {
        let ran = site.run(&[&["tasks"], arguments].concat());
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}
