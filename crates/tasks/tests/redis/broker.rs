//! What any broker promises.

use std::time::Duration;

use quintette_tasks::brokers::{
    Broker, BrokerErrorKind, Consumer, Destination, Exchange, ExchangeKind, Queue,
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
    assert_eq!(
        (taken[0].redelivered, taken[0].deliveries),
        (false, Some(0))
    );
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
