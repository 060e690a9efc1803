//! Nothing is lost, whoever dies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quintette_tasks::brokers::{Broker, BrokerErrorKind, RedisBroker};
use quintette_testkit::servers::{Proxy, Redis};
use tokio::time::sleep;

use crate::broker::held;
use crate::support::*;

#[tokio::test]
async fn what_a_killed_worker_held_is_taken_by_another_within_seconds() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send_numbers(&broker, "celery", 0..2000).await;

    let doomed = Doomed::new();
    let url = redis.url();
    let acked = doomed
        .run(async move {
            let broker = crate::support::broker(&url);
            let mut consumer = consume(&broker, &["celery"], 300).await.unwrap();
            let taken = take(&mut consumer, 300).await;
            let acked = &taken[..100];
            let channel = consumer.channel();
            channel.ack(&tags(acked)).await.unwrap();
            let far = chrono::Utc::now() + chrono::TimeDelta::hours(2);
            assert!(channel.park(&taken[100], far).await.unwrap());
            let acked = texts(acked);
            // It would give back what it holds if it could.
            std::mem::forget(consumer);
            acked
        })
        .await;
    doomed.kill();
    assert!(held(&redis).await >= 200);

    let counts = Arc::new(Mutex::new(Counts::new()));
    work(&broker, "celery", |counts| counts.len() >= 1899, &counts).await;
    let counts = counts.lock().unwrap().clone();
    assert_eq!(counts.len(), 1899);
    assert!(counts.values().all(|count| *count == 1));
    assert!(acked.iter().all(|text| !counts.contains_key(text)));
    // What waits for its time goes on waiting.
    assert_eq!(held(&redis).await, 1);
}

#[tokio::test]
async fn a_message_of_a_dead_worker_keeps_the_headers_that_it_was_given() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    let mut important = message("1");
    important.properties.priority = Some(6);
    broker.publish(&important, &to("celery")).await.unwrap();
    for deliveries in 0..2 {
        let doomed = Doomed::new();
        let url = redis.url();
        let taken = doomed
            .run(async move {
                let broker = crate::support::broker(&url);
                let mut consumer = consume(&broker, &["celery"], 1).await.unwrap();
                let taken = take(&mut consumer, 1).await;
                let count = (deliveries + 1).into();
                let channel = consumer.channel();
                assert!(
                    channel
                        .set_header(taken[0].tag, "count", &count)
                        .await
                        .unwrap()
                );
                std::mem::forget(consumer);
                taken
            })
            .await;
        doomed.kill();
        assert_eq!(taken[0].redelivered, deliveries > 0);
        assert_eq!(taken[0].message.as_ref(), Ok(&important));
        let count = (deliveries + 1).into();
        important.headers.insert("count".to_owned(), count);
    }
}

#[tokio::test]
async fn what_others_have_taken_over_is_claimed_by_nobody_else() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send_numbers(&broker, "celery", 0..4).await;
    let mut one = consume(&broker, &["celery"], 4).await.unwrap();
    let taken = tags(&take(&mut one, 4).await);
    let channel = one.channel();
    channel.claim(&taken[..1]).await.unwrap();
    // As if it had given no sign of life for long, which another worker finds out.
    let workers: Vec<String> =
        crate::broker::ask(&redis, &["ZRANGE", "quintette.workers", "0", "-1"]).await;
    let () = crate::broker::ask(&redis, &["ZADD", "quintette.workers", "0", &workers[0]]).await;
    let mut other = consume(&broker, &["celery"], 2).await.unwrap();
    take(&mut other, 2).await;
    for tags in [&taken[1..2], &taken[2..], &taken[..]] {
        assert!(channel.claim(tags).await.is_err());
    }
    let count = 1.into();
    assert!(channel.set_header(taken[1], "count", &count).await.is_err());
    assert_eq!(held(&redis).await, 2);
    assert_eq!(broker.waiting("celery").await.unwrap(), 1);
}

#[tokio::test]
async fn a_worker_that_ends_in_order_gives_back_at_once_and_in_order() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send(&broker, "celery", (0..20).map(|n| n.to_string())).await;
    let mut consumer = consume(&broker, &["celery"], 10).await.unwrap();
    let taken = take(&mut consumer, 10).await;
    consumer.channel().ack(&tags(&taken[..2])).await.unwrap();
    drop(consumer);
    until("all are back", async || {
        broker.waiting("celery").await.unwrap() == 18
    })
    .await;

    let mut consumer = consume(&broker, &["celery"], 18).await.unwrap();
    let again = take(&mut consumer, 18).await;
    let expected: Vec<_> = (2..20).map(|n| n.to_string()).collect();
    assert_eq!(texts(&again), expected);
    assert!(again[0].redelivered);
    let workers: u64 = crate::broker::ask(&redis, &["ZCARD", "quintette.workers"]).await;
    assert_eq!(workers, 1);
}

#[tokio::test]
async fn a_task_may_take_longer_than_the_visibility_timeout() {
    let redis = Redis::start().unwrap();
    let broker = RedisBroker::new(&redis.url(), Duration::from_secs(2), "").unwrap();
    send(&broker, "celery", ["1".to_owned()]).await;
    let mut one = consume(&broker, &["celery"], 1).await.unwrap();
    let mut other = consume(&broker, &["celery"], 1).await.unwrap();
    // Whoever has it, the other one does not get it.
    let taken = tokio::select! {
        taken = one.next() => taken,
        taken = other.next() => taken,
    };
    let first = taken.unwrap().len();
    assert_eq!(first, 1);
    let both = async {
        tokio::select! {
            taken = one.next() => taken,
            taken = other.next() => taken,
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(5), both)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_a_python_worker_left_comes_after_the_visibility_timeout() {
    let redis = Redis::start().unwrap();
    let broker = RedisBroker::new(&redis.url(), Duration::from_secs(2), "").unwrap();
    send(&broker, "celery", ["1".to_owned()]).await;
    // As kombu takes it.
    let raw: String = crate::broker::ask(&redis, &["RPOP", "celery"]).await;
    let record = format!("[{raw}, \"\", \"celery\"]");
    let () = crate::broker::ask(&redis, &["HSET", "unacked", "its-tag", &record]).await;
    let () = crate::broker::ask(&redis, &["ZADD", "unacked_index", "1.5", "its-tag"]).await;

    let mut consumer = consume(&broker, &["celery"], 1).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    assert_eq!(texts(&taken), ["1"]);
    assert!(taken[0].redelivered);
    consumer.channel().ack(&tags(&taken)).await.unwrap();
    assert_eq!(held(&redis).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_lose_nothing() {
    let redis = Redis::start().unwrap();
    let proxy = Arc::new(Proxy::before(redis.address()).unwrap());
    let url = format!("redis://{}/0", proxy.address());
    let direct = broker(&redis.url());
    send_numbers(&direct, "celery", 0..4000).await;

    let breaking = proxy.clone();
    let breaker = tokio::spawn(async move {
        for _ in 0..10 {
            sleep(Duration::from_millis(60)).await;
            breaking.cut_before_answer_to("EVALSHA");
            sleep(Duration::from_millis(60)).await;
            breaking.cut();
            breaking.heal();
        }
    });
    let counts = Arc::new(Mutex::new(Counts::new()));
    let broker = broker(&url);
    work(&broker, "celery", |counts| counts.len() == 4000, &counts).await;
    breaker.await.unwrap();
    assert!(counts.lock().unwrap().values().all(|count| *count == 1));
    until("nothing is held any more", async || held(&redis).await == 0).await;
    assert_eq!(direct.waiting("celery").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_hangs_is_noticed_and_loses_nothing() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    let url = format!("redis://{}/0", proxy.address());
    let direct = broker(&redis.url());
    let broker = broker(&url);
    let mut consumer = consume(&broker, &["celery"], 100).await.unwrap();
    proxy.hang();
    send_numbers(&direct, "celery", 0..500).await;
    let error = tokio::time::timeout(PATIENCE, consumer.next()).await;
    assert!(error.expect("it is noticed").is_err());
    assert!(broker.publish(&message("x"), &to("celery")).await.is_err());
    drop(consumer);
    // What was asked for before arrives now.
    proxy.heal();
    let counts = Arc::new(Mutex::new(Counts::new()));
    let all = |counts: &Counts| counts.keys().filter(|text| *text != "x").count() == 500;
    work(&broker, "celery", all, &counts).await;
    let counts = counts.lock().unwrap().clone();
    assert!(
        counts
            .iter()
            .all(|(text, count)| text == "x" || *count == 1)
    );
    until("nothing is held any more", async || held(&redis).await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_has_lost_nothing() {
    let redis = Redis::durable().unwrap();
    let broker = broker(&redis.url());
    send_numbers(&broker, "celery", 0..3000).await;
    let counts = Arc::new(Mutex::new(Counts::new()));
    let seen = counts.clone();
    let working = tokio::spawn({
        let broker = broker.clone();
        async move { work(&broker, "celery", |counts| counts.len() >= 3000, &seen).await }
    });
    until("some are done", async || counts.lock().unwrap().len() > 200).await;
    redis.kill();
    sleep(Duration::from_millis(300)).await;
    let redis = tokio::task::spawn_blocking(move || {
        redis.restart().unwrap();
        redis
    })
    .await
    .unwrap();
    working.await.unwrap();
    assert_eq!(counts.lock().unwrap().len(), 3000);
    until("nothing is held any more", async || held(&redis).await == 0).await;
}

#[tokio::test]
async fn a_server_that_takes_nothing_for_now_is_no_reason_to_give_up() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send(&broker, "celery", ["1".to_owned()]).await;
    for (setting, refusing, taking) in
        [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")]
    {
        let set = async |value| {
            let () = crate::broker::ask(&redis, &["CONFIG", "SET", setting, value]).await;
        };
        set(refusing).await;
        let error = broker
            .publish(&message("2"), &to("celery"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), BrokerErrorKind::Unavailable, "{error}");
        set(taking).await;
    }
    let mut consumer = consume(&broker, &["celery"], 2).await.unwrap();
    assert_eq!(texts(&take(&mut consumer, 1).await), ["1"]);
}

#[tokio::test]
async fn what_could_not_be_acknowledged_comes_again_soon() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    let direct = broker(&redis.url());
    let broken = broker(&format!("redis://{}/0", proxy.address()));
    send(&direct, "celery", ["1".to_owned()]).await;
    let mut consumer = consume(&broken, &["celery"], 1).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    let channel = consumer.channel();
    proxy.cut();
    assert!(channel.ack(&tags(&taken)).await.is_err());
    proxy.heal();
    // Its worker lives, and renews what it still means to hold: not this.
    let mut other = consume(&direct, &["celery"], 1).await.unwrap();
    assert_eq!(texts(&take(&mut other, 1).await), ["1"]);
    drop(channel);
}

#[tokio::test]
async fn a_consumer_that_ends_gives_back_what_nobody_asked_for() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send_numbers(&broker, "celery", 0..10).await;
    let mut consumer = consume(&broker, &["celery"], 1).await.unwrap();
    let channel = consumer.channel();
    let taken = take(&mut consumer, 1).await;
    channel.set_prefetch(8).await.unwrap();
    until("more are taken", async || held(&redis).await == 8).await;
    drop(consumer);
    until("they are back", async || held(&redis).await == 1).await;
    assert_eq!(broker.waiting("celery").await.unwrap(), 9);
    channel.ack(&tags(&taken)).await.unwrap();
    assert_eq!(held(&redis).await, 0);
}

/// Takes a message, stands still until it is told to go on, and says how it is acknowledged then.
fn stands_still(
    url: String,
    go_on: std::sync::mpsc::Receiver<()>,
) -> std::thread::JoinHandle<[bool; 2]> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let broker = crate::support::broker(&url);
            let mut consumer = consume(&broker, &["celery"], 1).await.unwrap();
            let taken = take(&mut consumer, 1).await;
            // As if the process were stopped.
            go_on.recv().unwrap();
            let channel = consumer.channel();
            let early = channel.claim(&tags(&taken)).await;
            let late = channel.ack(&tags(&taken)).await;
            [early.is_ok(), late.is_ok()]
        })
    })
}

#[tokio::test]
async fn what_others_took_over_from_a_worker_that_stood_still_does_not_begin_there() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send(&broker, "celery", ["1".to_owned()]).await;
    let (go_on, told) = std::sync::mpsc::channel();
    let still = stands_still(redis.url(), told);
    until("it is taken", async || held(&redis).await == 1).await;
    let mut other = consume(&broker, &["celery"], 1).await.unwrap();
    let taken = take(&mut other, 1).await;
    assert_eq!(texts(&taken), ["1"]);
    go_on.send(()).unwrap();
    assert_eq!(still.join().unwrap(), [false, true]);
    // It is the other's still.
    assert_eq!(held(&redis).await, 1);
    other.channel().claim(&tags(&taken)).await.unwrap();
    assert_eq!(held(&redis).await, 0);
}

#[tokio::test]
async fn of_what_begins_together_none_does_where_one_was_taken_over() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send(&broker, "celery", ["1".to_owned(), "2".to_owned()]).await;
    let mut consumer = consume(&broker, &["celery"], 2).await.unwrap();
    let taken = take(&mut consumer, 2).await;
    // As a worker in Python restores it.
    let names: Vec<String> = crate::broker::ask(&redis, &["HKEYS", "unacked"]).await;
    let () = crate::broker::ask(&redis, &["HDEL", "unacked", &names[0]]).await;
    let channel = consumer.channel();
    assert!(channel.claim(&tags(&taken)).await.is_err());
    assert_eq!(held(&redis).await, 1);
    channel.requeue(&tags(&taken)).await.unwrap();
    assert_eq!(take(&mut consumer, 1).await.len(), 1);
}
