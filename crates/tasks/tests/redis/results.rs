//! Results, those who wait for them, and chords.

use std::time::Duration;

use quintette_core::json::RawJson;
use quintette_tasks::Signature;
use quintette_tasks::brokers::{Broker, BrokerErrorKind};
use quintette_tasks::results::{
    ChordPart, ChordProgress, RedisResults, ResultBackend, ResultErrorKind, State, StoreContext,
    TaskMeta,
};
use quintette_testkit::servers::{Proxy, Redis};
use tokio::time::sleep;

use crate::broker::ask;
use crate::support::*;

fn results(url: &str) -> RedisResults {
    RedisResults::new(url, Some(Duration::from_hours(24)), "").unwrap()
}

fn json(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

async fn store(results: &RedisResults, meta: &TaskMeta) {
    results.store(meta, &StoreContext::default()).await.unwrap();
}

#[tokio::test]
async fn a_result_is_kept_as_celery_keeps_it() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    assert_eq!(results.load("1").await.unwrap(), None);
    let meta = TaskMeta::success("1", json("[3, \"é\"]"));
    store(&results, &meta).await;
    assert_eq!(results.load("1").await.unwrap(), Some(meta.clone()));
    let stored: String = ask(&redis, &["GET", "celery-task-meta-1"]).await;
    assert_eq!(stored, meta.to_json().as_str());
    let ttl: i64 = ask(&redis, &["TTL", "celery-task-meta-1"]).await;
    assert!((86_300..=86_400).contains(&ttl), "{ttl}");
    results.forget("1").await.unwrap();
    assert_eq!(results.load("1").await.unwrap(), None);
}

#[tokio::test]
async fn a_success_is_never_overwritten() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let started = TaskMeta::new("1", State::Started, json("null"));
    let done = TaskMeta::success("1", json("1"));
    store(&results, &started).await;
    store(&results, &done).await;
    store(&results, &started).await;
    assert_eq!(results.load("1").await.unwrap(), Some(done));
    // As another serializer of the same JSON might order it.
    let other = r#"{"task_id": "2", "result": 2, "status": "SUCCESS"}"#;
    let () = ask(&redis, &["SET", "celery-task-meta-2", other]).await;
    store(&results, &TaskMeta::new("2", State::Started, json("null"))).await;
    let kept = results.load("2").await.unwrap().unwrap();
    assert_eq!(kept.status, State::Success);
}

#[tokio::test]
async fn whoever_waits_is_woken_at_once() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let waiting: Vec<_> = (0..200)
        .map(|n| {
            let results = results.clone();
            tokio::spawn(async move { results.wait(&n.to_string(), Some(PATIENCE)).await })
        })
        .collect();
    until("all are subscribed", async || {
        let channels: Vec<String> =
            ask(&redis, &["PUBSUB", "CHANNELS", "celery-task-meta-*"]).await;
        channels.len() == 200
    })
    .await;
    for n in 0..200 {
        store(&results, &TaskMeta::success(n.to_string(), json("1"))).await;
    }
    for waiting in waiting {
        assert!(waiting.await.unwrap().unwrap().is_some());
    }
    until("nobody is subscribed any more", async || {
        let channels: Vec<String> = ask(&redis, &["PUBSUB", "CHANNELS", "*"]).await;
        channels.is_empty()
    })
    .await;
    let nothing = results.wait("x", Some(Duration::from_millis(50))).await;
    assert_eq!(nothing.unwrap(), None);
}

#[tokio::test]
async fn whoever_waits_survives_a_lost_connection() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    let beyond = results(&format!("redis://{}/0", proxy.address()));
    let direct = results(&redis.url());
    let waiting = tokio::spawn(async move { beyond.wait("1", Some(PATIENCE)).await });
    until("it waits", async || proxy.connections() >= 2).await;
    proxy.cut();
    sleep(Duration::from_millis(100)).await;
    store(&direct, &TaskMeta::success("1", json("1"))).await;
    proxy.heal();
    assert!(waiting.await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_result_is_told() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let () = ask(&redis, &["SET", "celery-task-meta-1", "\u{1}pickle"]).await;
    let error = results.load("1").await.unwrap_err();
    assert_eq!(error.kind(), ResultErrorKind::Corrupt);
}

#[tokio::test]
async fn a_group_is_saved_and_forgotten() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let children = json(r#"[["g",null],[[["a",null],null]]]"#);
    results.save_group("g", &children).await.unwrap();
    assert_eq!(results.load_group("g").await.unwrap(), Some(children));
    results.forget_group("g").await.unwrap();
    assert_eq!(results.load_group("g").await.unwrap(), None);
}

async fn part(results: &RedisResults, index: i64, state: State, result: &str) -> ChordProgress {
    let result = json(result);
    let (id, body) = (format!("t{index}"), Signature::new("body"));
    let part = ChordPart {
        group: "g",
        index: Some(index),
        task_id: &id,
        state,
        result: &result,
        body: &body,
    };
    results.chords().unwrap().part_done(&part).await.unwrap()
}

#[tokio::test]
async fn a_chord_is_complete_once_and_in_order() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let chords = results.chords().unwrap();
    chords.set_size("g", 3).await.unwrap();
    let success = State::Success;
    assert_eq!(
        part(&results, 2, success, "22").await,
        ChordProgress::Waiting
    );
    assert_eq!(
        part(&results, 0, success, "[0]").await,
        ChordProgress::Waiting
    );
    // It ran twice, and returned something else.
    assert_eq!(
        part(&results, 0, success, "[1]").await,
        ChordProgress::Waiting
    );
    let failure = r#"{"exc_type":"ValueError","exc_message":["x"],"exc_module":"builtins"}"#;
    let complete = part(&results, 1, State::Failure, failure).await;
    let expected = vec![
        ("t0".to_owned(), success, json("[0]")),
        ("t1".to_owned(), State::Failure, json(failure)),
        ("t2".to_owned(), success, json("22")),
    ];
    assert_eq!(complete, ChordProgress::Complete(expected));
    assert_eq!(
        part(&results, 1, success, "1").await,
        ChordProgress::Waiting
    );
    chords.finish("g").await.unwrap();
    assert_eq!(
        part(&results, 1, success, "1").await,
        ChordProgress::Waiting
    );
    let keys: Vec<String> = ask(&redis, &["KEYS", "celery-taskset-meta-g*"]).await;
    assert_eq!(keys, ["celery-taskset-meta-g.c"]);
    // The same chord, sent again.
    chords.set_size("g", 1).await.unwrap();
    assert!(matches!(
        part(&results, 0, success, "0").await,
        ChordProgress::Complete(_)
    ));
}

#[tokio::test]
async fn a_chord_whose_sender_died_can_be_completed_again() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    results.chords().unwrap().set_size("g", 1).await.unwrap();
    assert!(matches!(
        part(&results, 0, State::Success, "1").await,
        ChordProgress::Complete(_)
    ));
    until("its part, delivered again, completes it", async || {
        matches!(
            part(&results, 0, State::Success, "1").await,
            ChordProgress::Complete(_)
        )
    })
    .await;
}

#[tokio::test]
async fn a_chord_whose_body_could_not_be_sent_is_complete_again_at_once() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let chords = results.chords().unwrap();
    chords.set_size("g", 1).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(
            part(&results, 0, State::Success, "1").await,
            ChordProgress::Complete(_)
        ));
        chords.give_back("g");
    }
}

#[tokio::test]
async fn a_group_in_a_chord_is_a_list() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let chords = results.chords().unwrap();
    let shape = r#"[["g",null],[[["t0",null],null],[["inner",null],[[["t1",null],null],[["t2",null],null]]]]]"#;
    results.save_group("g", &json(shape)).await.unwrap();
    chords.set_size("g", 3).await.unwrap();
    let mut progress = ChordProgress::Waiting;
    for n in 0..3 {
        store(
            &results,
            &TaskMeta::success(format!("t{n}"), json(&n.to_string())),
        )
        .await;
        progress = part(&results, n, State::Success, &n.to_string()).await;
    }
    let expected = vec![
        ("t0".to_owned(), State::Success, json("0")),
        ("inner".to_owned(), State::Success, json("[1,2]")),
    ];
    assert_eq!(progress, ChordProgress::Complete(expected));
}

#[tokio::test]
async fn a_server_without_memory_is_waited_for() {
    let redis = Redis::start().unwrap();
    let results = results(&redis.url());
    let broker = broker(&redis.url());
    let () = ask(&redis, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let meta = TaskMeta::success("1", json("1"));
    let error = results.store(&meta, &StoreContext::default()).await;
    assert_eq!(
        error.unwrap_err().kind(),
        ResultErrorKind::Unavailable,
        "a result that is not stored yet, and not one that never can be"
    );
    let error = broker.publish(&message("1"), &to("celery")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unavailable);
    assert!(error.to_string().contains("maxmemory"), "{error}");
    let () = ask(&redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
    store(&results, &meta).await;
}
