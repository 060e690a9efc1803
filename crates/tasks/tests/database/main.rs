//! What results in databases promise, on each kind of them.

mod celery;
mod django;

use std::sync::LazyLock;
use std::time::Duration;

use quintette_core::json::RawJson;
use quintette_tasks::Exception;
use quintette_tasks::results::{ResultBackend, State, StoreContext, TaskMeta};
use quintette_testkit::servers::{MariaDb, Postgres};

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().unwrap());
static MARIADB: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start().unwrap());

/// A new database of a server's own.
async fn postgres() -> String {
    tokio::task::spawn_blocking(|| POSTGRES.new_database().unwrap())
        .await
        .unwrap()
}

async fn mariadb() -> String {
    tokio::task::spawn_blocking(|| MARIADB.new_database().unwrap())
        .await
        .unwrap()
}

fn json(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

async fn store(results: &impl ResultBackend, meta: &TaskMeta) {
    results.store(meta, &StoreContext::default()).await.unwrap();
}

/// What any of them does.
async fn keeps_what_it_is_given(results: &impl ResultBackend) {
    assert_eq!(results.load("ok").await.unwrap(), None);

    store(results, &TaskMeta::new("ok", State::Started, json("null"))).await;
    assert_eq!(
        results.load("ok").await.unwrap().unwrap().status,
        State::Started
    );

    let mut done = TaskMeta::success("ok", json(r#"{"a":[1,2.5,"é",null]}"#));
    done.children = vec![serde_json::json!([["child", null], null])];
    let extra = [
        ("name", "probe.add".into()),
        ("worker", "w@host".into()),
        ("args", serde_json::json!([1, 2])),
        ("kwargs", serde_json::json!({"a": 1})),
    ];
    done.extra
        .extend(extra.map(|(name, value)| (name.to_owned(), value)));
    store(results, &done).await;
    let loaded = results.load("ok").await.unwrap().unwrap();
    let value = loaded.result.deserialize::<serde_json::Value>().unwrap();
    assert_eq!(value, serde_json::json!({"a": [1, 2.5, "é", null]}));
    assert_eq!(loaded.children, done.children);
    assert_eq!(loaded.extra, done.extra);
    assert!(loaded.date_done.unwrap().ends_with("+00:00"));

    store(results, &TaskMeta::new("ok", State::Retry, json("null"))).await;
    assert_eq!(
        results.load("ok").await.unwrap().unwrap().status,
        State::Success
    );

    let exception = Exception::new("ValueError", "no");
    let mut failed = TaskMeta::failure("failed", State::Failure, &exception);
    failed.traceback = Some("at the shop".to_owned());
    store(results, &failed).await;
    let loaded = results.load("failed").await.unwrap().unwrap();
    assert_eq!(loaded.traceback.as_deref(), Some("at the shop"));
    assert_eq!(loaded.exception().unwrap().exc_type, "ValueError");

    results.forget("failed").await.unwrap();
    assert_eq!(results.load("failed").await.unwrap(), None);
}

async fn wakes_who_waits(results: &(impl ResultBackend + Clone)) {
    let none = results.wait("late", Some(Duration::from_millis(50))).await;
    assert_eq!(none.unwrap(), None);
    let waiting = results.clone();
    let waiting = tokio::spawn(async move {
        let waited = waiting.wait("late", Some(Duration::from_mins(1))).await;
        waited.unwrap().unwrap().status
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    store(results, &TaskMeta::success("late", json("1"))).await;
    assert_eq!(waiting.await.unwrap(), State::Success);
}

async fn keeps_groups(results: &impl ResultBackend) {
    let children = json(r#"[["group",null],[[["a",null],null],[["b",null],null]]]"#);
    for _ in 0..2 {
        results.save_group("group", &children).await.unwrap();
    }
    let saved = results.load_group("group").await.unwrap().unwrap();
    assert_eq!(saved.as_str(), children.as_str());
    results.forget_group("group").await.unwrap();
    assert_eq!(results.load_group("group").await.unwrap(), None);
}

async fn deletes_what_is_old(results: &impl ResultBackend) {
    store(results, &TaskMeta::success("old", json("1"))).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(results.clean_up().await.unwrap() >= 1);
    assert_eq!(results.load("old").await.unwrap(), None);
    assert!(!results.expires_by_itself());
}

/// Everything, of results that live for a second.
async fn suite(results: &(impl ResultBackend + Clone)) {
    keeps_what_it_is_given(results).await;
    wakes_who_waits(results).await;
    keeps_groups(results).await;
    deletes_what_is_old(results).await;
}
