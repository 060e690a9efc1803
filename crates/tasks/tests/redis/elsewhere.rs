//! Clusters, and masters behind Sentinels.

use std::sync::{Arc, Mutex};

use quintette_core::json::RawJson;
use quintette_tasks::brokers::{Broker, BrokerErrorKind, Queue, RedisBroker};
use quintette_tasks::results::{RedisResults, ResultBackend, StoreContext, TaskMeta};
use quintette_testkit::servers::{Redis, RedisCluster, RedisSentinel};

use crate::broker::ask;
use crate::support::*;

#[test]
fn a_cluster_needs_a_prefix_that_keeps_all_on_one_node() {
    let url = "redis+cluster://127.0.0.1:6379";
    for prefix in ["", "celery:", "{}"] {
        let error = RedisBroker::new(url, HOUR, prefix).unwrap_err();
        assert_eq!(error.kind(), BrokerErrorKind::Configuration);
        assert!(error.to_string().contains("{celery}"), "{error}");
    }
    assert!(RedisBroker::new(url, HOUR, "{celery}").is_ok());
}

#[test]
fn no_password_is_told() {
    let broker = RedisBroker::new("redis://me:secret@127.0.0.1:6379/3", HOUR, "").unwrap();
    let info = broker.info();
    assert_eq!((info.virtual_host.as_str(), info.port), ("3", Some(6379)));
    assert_eq!(info.userid.as_deref(), Some("me"));
    assert!(!format!("{broker:?} {info:?}").contains("secret"));
    let error = RedisBroker::new("redis://me:secret@127.0.0.1:x/3", HOUR, "").unwrap_err();
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_and_results_in_a_cluster_survive_the_death_of_their_node() {
    let cluster = tokio::task::spawn_blocking(|| RedisCluster::with_replicas().unwrap());
    let cluster = cluster.await.unwrap();
    let broker = RedisBroker::new(&cluster.url(), HOUR, "{celery}").unwrap();
    let results = RedisResults::new(&cluster.url(), None, "{celery}").unwrap();
    send_numbers(&broker, "celery", 0..100).await;
    let meta = TaskMeta::success("1", RawJson::from(1));
    results
        .store(&meta, &StoreContext::default())
        .await
        .unwrap();
    let waited = results.wait("1", Some(PATIENCE)).await.unwrap();
    assert_eq!(waited, Some(meta));

    let counts = Arc::new(Mutex::new(Counts::new()));
    work(&broker, "celery", |all| all.len() == 100, &counts).await;
    assert!(counts.lock().unwrap().values().all(|count| *count == 1));

    let cluster = tokio::task::spawn_blocking(move || {
        cluster.kill_master_of("{celery}celery").unwrap();
        cluster.wait_until_whole().unwrap();
        cluster
    });
    let _cluster = cluster.await.unwrap();
    until("the new node takes messages", async || {
        broker.publish(&message("new"), &to("celery")).await.is_ok()
    })
    .await;
    work(&broker, "celery", |all| all.contains_key("new"), &counts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_is_found() {
    let sentinels = tokio::task::spawn_blocking(|| RedisSentinel::start().unwrap());
    let sentinels = sentinels.await.unwrap();
    let broker = broker(&sentinels.url());
    send_numbers(&broker, "celery", 0..100).await;
    let mut consumer = consume(&broker, &["celery"], 10).await.unwrap();
    let taken = take(&mut consumer, 10).await;
    consumer.channel().ack(&tags(&taken)).await.unwrap();
    let sentinels = tokio::task::spawn_blocking(move || {
        let killed = sentinels.kill_master().unwrap();
        sentinels.wait_for_failover(killed).unwrap();
        sentinels
    });
    let _sentinels = sentinels.await.unwrap();
    let lost = async { while consumer.next().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, lost).await.unwrap();
    until("the new master takes messages", async || {
        broker.publish(&message("new"), &to("celery")).await.is_ok()
    })
    .await;
    let counts = Arc::new(Mutex::new(Counts::new()));
    work(&broker, "celery", |all| all.contains_key("new"), &counts).await;
}

#[tokio::test]
async fn all_keys_begin_with_the_prefix() {
    let redis = quintette_testkit::servers::Redis::start().unwrap();
    let broker = RedisBroker::new(&redis.url(), HOUR, "app:").unwrap();
    let results = RedisResults::new(&redis.url(), Some(HOUR), "app").unwrap();
    send(&broker, "celery", (0..2).map(|n| n.to_string())).await;
    let mut consumer = consume(&broker, &["celery"], 1).await.unwrap();
    take(&mut consumer, 1).await;
    let meta = TaskMeta::success("1", RawJson::from(1));
    results
        .store(&meta, &StoreContext::default())
        .await
        .unwrap();
    let keys: Vec<String> = crate::broker::ask(&redis, &["KEYS", "*"]).await;
    assert!(keys.len() > 5);
    for key in keys {
        assert!(
            key.starts_with("app:") || key.starts_with("app_celery-"),
            "{key}"
        );
    }
}

#[tokio::test]
async fn what_the_url_gets_wrong_is_refused_and_not_waited_for() {
    let redis = Redis::start().unwrap();
    let () = ask(&redis, &["CONFIG", "SET", "requirepass", "s3cret/@"]).await;
    let place = redis.address();
    for (login, db) in [
        ("", 0),
        (":wrong@", 0),
        ("nobody:s3cret%2F%40@", 0),
        (":s3cret%2F%40@", 99),
    ] {
        let broker = broker(&format!("redis://{login}{place}/{db}"));
        let error = broker.declare(&Queue::new("celery")).await.unwrap_err();
        assert_eq!(error.kind(), BrokerErrorKind::Refused, "{error}");
        let text = format!("{error} {error:?} {broker:?}");
        assert!(text.contains("URL") && !text.contains("s3cret"), "{text}");
    }
    let right = broker(&format!("redis://:s3cret%2F%40@{place}/0"));
    right.declare(&Queue::new("celery")).await.unwrap();
}

/// Something that answers as a server does that knows neither RESP3 nor the commands of today.
#[tokio::test]
async fn a_redis_of_long_ago_is_told_what_it_is() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                while let Ok(read @ 1..) = client.read(&mut asked).await {
                    // Commands are arrays, which begin so.
                    let commands = asked[..read].split(|byte| *byte == b'\n');
                    let count = commands.filter(|line| line.starts_with(b"*")).count();
                    let answer = b"-ERR unknown command 'HELLO'\r\n".repeat(count);
                    if client.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let broker = broker(&format!("redis://{place}/0"));
    let error = broker.declare(&Queue::new("celery")).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("6.2"), "{error}");
}
