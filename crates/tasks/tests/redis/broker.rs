//! What any broker promises.

use std::time::Duration;

use quintette_tasks::brokers::{
    Broker, BrokerErrorKind, Destination, Exchange, ExchangeKind, Queue,
};
use quintette_testkit::servers::Redis;

use crate::support::*;

#[tokio::test]
async fn a_message_is_taken_once_and_acknowledged() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send(&broker, "celery", ["1".to_owned()]).await;
    assert_eq!(broker.waiting("celery").await.unwrap(), 1);

    let mut consumer = consume(&broker, &["celery"], 4).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    assert_eq!(texts(&taken), ["1"]);
    assert!(!taken[0].redelivered);
    assert_eq!(
        (&*taken[0].queue, &*taken[0].routing_key),
        ("celery", "celery")
    );
    assert_eq!(held(&redis).await, 1);

    consumer.channel().ack(&tags(&taken)).await.unwrap();
    assert_eq!(held(&redis).await, 0);
    nothing(&mut consumer, Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_waiting_consumer_hears_of_a_message_of_any_priority() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    let mut consumer = consume(&broker, &["one", "two"], 4).await.unwrap();
    nothing(&mut consumer, Duration::from_millis(50)).await;
    for (queue, priority) in [("one", 0), ("two", 9), ("one", 6), ("two", 3)] {
        let mut urgent = message("1");
        urgent.properties.priority = Some(priority);
        broker.publish(&urgent, &to(queue)).await.unwrap();
        let taken = take(&mut consumer, 1).await;
        assert_eq!(&*taken[0].queue, queue);
        consumer.channel().ack(&tags(&taken)).await.unwrap();
    }
}

pub(crate) async fn held(redis: &Redis) -> u64 {
    ask(redis, &["HLEN", "unacked"]).await
}

pub(crate) async fn ask<T: redis::FromRedisValue>(server: &Redis, words: &[&str]) -> T {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.unwrap()
}

#[tokio::test]
async fn the_lower_priority_runs_first_and_each_keeps_its_order() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    for (text, priority) in [("a", 9), ("b", 0), ("c", 3), ("d", 6), ("e", 0), ("f", 4)] {
        let mut message = message(text);
        message.properties.priority = Some(priority);
        broker.publish(&message, &to("celery")).await.unwrap();
    }
    let mut consumer = consume(&broker, &["celery"], 1).await.unwrap();
    let mut order = String::new();
    for _ in 0..6 {
        let taken = take(&mut consumer, 1).await;
        order.extend(texts(&taken));
        consumer.channel().ack(&tags(&taken)).await.unwrap();
    }
    assert_eq!(order, "becfda");
}

#[tokio::test]
async fn a_busy_queue_does_not_starve_another() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send_numbers(&broker, "busy", 0..1000).await;
    send(&broker, "quiet", ["quiet".to_owned()]).await;
    let mut consumer = consume(&broker, &["busy", "quiet"], 4).await.unwrap();
    let mut before = 0;
    loop {
        let taken = next(&mut consumer).await;
        consumer.channel().ack(&tags(&taken)).await.unwrap();
        if texts(&taken).contains(&"quiet".to_owned()) {
            break;
        }
        before += taken.len();
    }
    assert!(before <= 16, "{before} of the busy queue came first");
}

#[tokio::test]
async fn no_more_are_held_than_the_prefetch_allows() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send_numbers(&broker, "celery", 0..100).await;
    let mut consumer = consume(&broker, &["celery"], 10).await.unwrap();
    let first = take(&mut consumer, 10).await;
    nothing(&mut consumer, Duration::from_millis(100)).await;
    assert_eq!(held(&redis).await, 10);
    let channel = consumer.channel();
    channel.ack(&tags(&first[..4])).await.unwrap();
    assert_eq!(take(&mut consumer, 4).await.len(), 4);
    nothing(&mut consumer, Duration::from_millis(100)).await;
    channel.set_prefetch(15).await.unwrap();
    assert_eq!(take(&mut consumer, 5).await.len(), 5);
    nothing(&mut consumer, Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_consumers_one_gets_each_message() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    let counts = std::sync::Arc::new(std::sync::Mutex::new(Counts::new()));
    let workers = (0..5).map(|_| {
        let (broker, counts) = (broker.clone(), counts.clone());
        tokio::spawn(async move { work(&broker, "celery", |all| all.len() == 5000, &counts).await })
    });
    let workers: Vec<_> = workers.collect();
    send_numbers(&broker, "celery", 0..5000).await;
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(counts.lock().unwrap().values().all(|count| *count == 1));
}

#[tokio::test]
async fn a_message_that_is_given_back_comes_first() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    send(&broker, "celery", (0..3).map(|n| n.to_string())).await;
    let mut consumer = consume(&broker, &["celery"], 1).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    consumer.channel().requeue(&tags(&taken)).await.unwrap();
    let again = take(&mut consumer, 1).await;
    assert_eq!(texts(&again), ["0"]);
    assert!(again[0].redelivered);
    consumer.channel().reject(again[0].tag).await.unwrap();
    assert_eq!(texts(&take(&mut consumer, 1).await), ["1"]);
    assert_eq!(held(&redis).await, 1);
}

#[tokio::test]
async fn a_parked_message_comes_once_when_it_is_due() {
    let redis = Redis::start().unwrap();
    // Due long after what the visibility timeout would allow a message to be held.
    let visibility = Duration::from_secs(1);
    let broker = quintette_tasks::brokers::RedisBroker::new(&redis.url(), visibility, "").unwrap();
    send(&broker, "celery", (0..2).map(|n| n.to_string())).await;
    let mut consumer = consume(&broker, &["celery"], 2).await.unwrap();
    let taken = take(&mut consumer, 2).await;
    let due = chrono::Utc::now() + chrono::TimeDelta::seconds(4);
    let far = due + chrono::TimeDelta::hours(2);
    let channel = consumer.channel();
    assert!(channel.park(&taken[0], due).await.unwrap());
    assert!(channel.park(&taken[1], far).await.unwrap());
    let again = take(&mut consumer, 1).await;
    assert!(chrono::Utc::now() >= due);
    assert_eq!(texts(&again), ["0"]);
    assert!(!again[0].redelivered);
    channel.ack(&tags(&again)).await.unwrap();
    nothing(&mut consumer, Duration::from_millis(1500)).await;
    assert_eq!(held(&redis).await, 1);
}

#[tokio::test]
async fn what_is_no_message_is_delivered_as_such() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    let () = ask(
        &redis,
        &["LPUSH", "celery", "no JSON", "{\"body\": \"\"}", "[]"],
    )
    .await;
    let mut consumer = consume(&broker, &["celery"], 3).await.unwrap();
    let taken = take(&mut consumer, 3).await;
    assert!(taken.iter().all(|delivery| delivery.message.is_err()));
    // It can be given back as it is.
    consumer.channel().requeue(&[taken[0].tag]).await.unwrap();
    let again = take(&mut consumer, 1).await;
    assert_eq!(again[0].message, taken[0].message);
    let tags: Vec<_> = tags(&taken).into_iter().chain(tags(&again)).collect();
    consumer.channel().ack(&tags).await.unwrap();
    assert_eq!(held(&redis).await, 0);
}

#[tokio::test]
async fn a_broadcast_reaches_all_who_listen() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    let exchange = Exchange {
        name: "celery.pidbox".to_owned(),
        kind: ExchangeKind::Fanout,
        durable: false,
    };
    let mut consumers = Vec::new();
    for node in ["one", "two"] {
        let mut queue = Queue::new(format!("{node}.celery.pidbox"));
        queue.exchange = exchange.clone();
        queue.routing_key = String::new();
        queue.auto_delete = true;
        let options = quintette_tasks::brokers::ConsumeOptions {
            prefetch: 0,
            no_ack: true,
        };
        consumers.push(broker.consume(&[queue], options).await.unwrap());
    }
    let everybody = Destination {
        exchange,
        may_be_dropped: true,
        ..Destination::default()
    };
    broker.publish(&message("ping"), &everybody).await.unwrap();
    for (consumer, node) in consumers.iter_mut().zip(["one", "two"]) {
        let heard = next(consumer).await;
        assert_eq!(texts(&heard), ["ping"]);
        assert_eq!(*heard[0].queue, *format!("{node}.celery.pidbox"));
        consumer.channel().ack(&tags(&heard)).await.unwrap();
    }
    drop(consumers);
    until("their bindings go with them", async || {
        ask::<u64>(&redis, &["EXISTS", "_kombu.binding.celery.pidbox"]).await == 0
    })
    .await;
}

#[tokio::test]
async fn an_exchange_leads_to_the_queues_that_are_bound() {
    let redis = Redis::start().unwrap();
    let broker = broker(&redis.url());
    let bound = |name: &str, kind, key: &str| {
        let mut queue = Queue::new(name);
        queue.exchange.name = format!("{kind:?}");
        queue.exchange.kind = kind;
        queue.routing_key = key.to_owned();
        queue
    };
    for queue in [
        bound("a", ExchangeKind::Topic, "task.*"),
        bound("b", ExchangeKind::Topic, "task.#"),
        bound("c", ExchangeKind::Direct, "task.one"),
    ] {
        broker.declare(&queue).await.unwrap();
    }
    let send = async |kind, key: &str| {
        let queue = bound("", kind, key);
        let to = Destination {
            exchange: queue.exchange,
            routing_key: queue.routing_key,
            ..Destination::default()
        };
        broker.publish(&message("1"), &to).await
    };
    send(ExchangeKind::Topic, "task.one").await.unwrap();
    send(ExchangeKind::Topic, "task.one.two").await.unwrap();
    send(ExchangeKind::Direct, "task.one").await.unwrap();
    let lost = send(ExchangeKind::Direct, "task.two").await.unwrap_err();
    assert_eq!(lost.kind(), BrokerErrorKind::Unroutable);
    let mut waiting = Vec::new();
    for queue in ["a", "b", "c"] {
        waiting.push(broker.waiting(queue).await.unwrap());
    }
    assert_eq!(waiting, [1, 2, 1]);
    assert_eq!(broker.purge("b").await.unwrap(), 2);
    assert_eq!(broker.waiting("b").await.unwrap(), 0);
}
