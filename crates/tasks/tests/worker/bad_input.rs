use quintette_tasks::Task;
use quintette_tasks::protocol::Message;
use quintette_tasks::protocol::compression::Compression;
use quintette_tasks::worker::{Context, Tasks, dead};
use serde_json::Value;

use crate::site::{Running, Site, call, until};

static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);

fn start(site: &Site) -> Running {
    site.start(Tasks::new().with(&ADD, |_: Context, (x, y)| async move { Ok(x + y) }))
}

async fn still_works(site: &Site, worker: Running) {
    let id = site.send(call("shop.add", (2, 3)).id("after")).await;
    assert_eq!(site.result(&id).await, "5");
    worker.stop().await;
    assert_eq!(site.waiting("celery").await, 0);
}

#[tokio::test]
async fn wrong_arguments_are_a_type_error() {
    let site = Site::memory();
    let worker = start(&site);
    let cases = [
        (
            call("shop.add", [1]),
            "shop.add() missing 1 required positional argument: 'y'",
        ),
        (
            call("shop.add", (1, 2, 3)),
            "shop.add() takes 2 positional arguments but 3 were given",
        ),
        (
            call("shop.add", (1, 2)).kwarg("z", 3).id("z"),
            "shop.add() got an unexpected keyword argument 'z'",
        ),
    ];
    for (call, message) in cases {
        let id = site.send(call).await;
        assert_eq!(site.failure(&id).await, format!("TypeError: {message}"));
    }
    let id = site.send(call("shop.add", ("a", 2))).await;
    assert!(site.failure(&id).await.starts_with("TypeError: "));
    still_works(&site, worker).await;
}

#[tokio::test]
async fn an_unknown_task_is_not_registered_and_its_message_is_kept() {
    let site = Site::memory();
    let worker = start(&site);
    let id = site.send(call("shop.later", [1]).id("early bird")).await;
    let meta = site.ready(&id).await;
    assert_eq!(
        meta.result.as_str(),
        r#"{"exc_type":"NotRegistered","exc_message":["shop.later"],"exc_module":"celery.exceptions"}"#
    );
    until("it is kept", async || {
        site.waiting("celery.dead").await == 1
    })
    .await;
    let found = dead::list(&site.app(), "celery", 1).await.unwrap();
    assert_eq!(found[0].task.as_deref(), Some("shop.later"));
    assert_eq!(
        found[0].message.body,
        r#"[[1],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]"#
    );
    still_works(&site, worker).await;
}

#[tokio::test]
async fn an_unknown_task_is_not_registered_however_broken_its_body_is() {
    let site = Site::memory();
    let worker = start(&site);
    let mut broken = call("shop.later", [1]).id("early bird").message();
    broken.body = "{".into();
    site.publish(&broken, "celery").await;
    assert_eq!(
        site.failure("early bird").await,
        "NotRegistered: shop.later"
    );
    until("it is kept", async || {
        site.waiting("celery.dead").await == 1
    })
    .await;
    let found = dead::list(&site.app(), "celery", 1).await.unwrap();
    assert_eq!(found[0].message, broken);
    still_works(&site, worker).await;
}

fn plain(task: &str, body: impl Into<bytes::Bytes>) -> Message {
    let mut message = call(task, (1, 2)).message();
    message.body = body.into();
    message
}

fn header(name: &str, value: impl Into<Value>) -> Message {
    let mut message = call("shop.add", (1, 2)).message();
    message.headers.insert(name.to_owned(), value.into());
    message
}

#[tokio::test]
async fn what_is_no_task_is_set_aside_and_the_worker_goes_on() {
    let bomb = Compression::Gzip.compress(&vec![b' '; 3 << 20]).unwrap();
    let mut bombed = plain("shop.add", bomb);
    bombed
        .headers
        .insert("compression".into(), "application/x-gzip".into());
    let mut xml = plain("shop.add", "<add/>");
    xml.content_type = "application/xml".into();
    let mut pickle = plain("shop.add", b"\x80\x04N.".to_vec());
    pickle.content_type = "application/x-python-serialize".into();
    let mut headless = Message::json("[[1,2],{},{}]");
    headless.headers.insert("task".into(), 3.into());
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let messages = [
        plain("shop.add", "{"),
        plain("shop.add", "[]"),
        plain("shop.add", "[1,2,3]"),
        plain("shop.add", r#"[[1,2],{},{"chain":[[]]}]"#),
        plain("shop.add", b"\xff\xfe".to_vec()),
        plain("shop.add", deep),
        bombed,
        xml,
        pickle,
        headless,
        header("eta", "tomorrow"),
        header("expires", "never"),
        header("retries", -1),
        header("id", Value::Null),
        header("timelimit", "long"),
        header("compression", "application/x-nothing"),
    ];
    let site = Site::memory().set(|settings| settings.max_body_size = 2 << 20);
    let worker = start(&site);
    for message in &messages {
        site.publish(message, "celery").await;
    }
    let all = messages.len() as u64;
    until("all are set aside", async || {
        site.waiting("celery.dead").await == all
    })
    .await;
    let found = dead::list(&site.app(), "celery", 100).await.unwrap();
    assert_eq!(found.len(), messages.len());
    for dead in &found {
        assert!(!dead.reason.is_empty());
        assert!(messages.contains(&dead.message), "{:?}", dead.message);
    }
    assert_eq!(dead::purge(&site.app(), "celery").await.unwrap(), all);
    still_works(&site, worker).await;
}
