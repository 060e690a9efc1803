use quintette_tasks::brokers::{
    Broker, BrokerErrorKind, ConsumeOptions, Destination, Exchange, ExchangeKind, MemoryBroker,
    Queue,
};
use quintette_tasks::protocol::Message;

use crate::{bodies, consume, is_quiet, next, send};

fn exchange(name: &str, kind: ExchangeKind) -> Exchange {
    Exchange {
        name: name.to_owned(),
        kind,
        durable: false,
    }
}

fn bound(name: &str, exchange: &Exchange, key: &str) -> Queue {
    let mut queue = Queue::new(name);
    queue.exchange = exchange.clone();
    key.clone_into(&mut queue.routing_key);
    queue.auto_delete = true;
    queue
}

fn destination(exchange: &Exchange, key: &str) -> Destination {
    Destination {
        exchange: exchange.clone(),
        routing_key: key.to_owned(),
        ..Destination::default()
    }
}

const OPTIONS: ConsumeOptions = ConsumeOptions {
    prefetch: 0,
    no_ack: true,
};

#[tokio::test]
async fn a_fanout_reaches_everybody() {
    let broker = MemoryBroker::default();
    let pidbox = exchange("celery.pidbox", ExchangeKind::Fanout);
    let queues = ["a", "b"].map(|name| bound(name, &pidbox, ""));
    let mut first = broker.consume(&queues[..1], OPTIONS).await.unwrap();
    let mut second = broker.consume(&queues[1..], OPTIONS).await.unwrap();
    let message = Message::json("ping");
    broker
        .publish(&message, &destination(&pidbox, ""))
        .await
        .unwrap();
    assert_eq!(bodies(&next(&mut first).await), ["ping"]);
    assert_eq!(bodies(&next(&mut second).await), ["ping"]);
}

#[tokio::test]
async fn a_topic_reaches_whom_it_concerns_and_may_concern_nobody() {
    let broker = MemoryBroker::default();
    let events = exchange("celeryev", ExchangeKind::Topic);
    let queue = bound("listener", &events, "task.#");
    let mut listener = broker.consume(&[queue], OPTIONS).await.unwrap();
    for key in ["worker.online", "task.sent"] {
        let message = Message::json(key);
        broker
            .publish(&message, &destination(&events, key))
            .await
            .unwrap();
    }
    assert_eq!(bodies(&next(&mut listener).await), ["task.sent"]);
    drop(listener);
    let message = Message::json("late");
    broker
        .publish(&message, &destination(&events, "task.sent"))
        .await
        .unwrap();
    assert_eq!(broker.waiting("listener").await.unwrap(), 0);
}

#[tokio::test]
async fn a_task_that_no_queue_takes_is_an_error_and_not_lost_in_silence() {
    let broker = MemoryBroker::default();
    let mut to = destination(&exchange("tasks", ExchangeKind::Direct), "video");
    let error = broker.publish(&Message::json("x"), &to).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unroutable);
    assert!(error.to_string().contains("\"video\""), "{error}");
    to.may_be_dropped = true;
    broker.publish(&Message::json("x"), &to).await.unwrap();
}

#[tokio::test]
async fn brokers_of_one_name_are_one_and_those_without_are_their_owners() {
    let (one, other) = (MemoryBroker::named("shop"), MemoryBroker::named("shop"));
    send(&one, "celery", "here").await;
    assert_eq!(other.waiting("celery").await.unwrap(), 1);
    for stranger in [MemoryBroker::named("another"), MemoryBroker::named("")] {
        assert_eq!(stranger.waiting("celery").await.unwrap(), 0);
    }
}

#[tokio::test]
async fn queues_are_added_and_cancelled_while_a_consumer_waits() {
    let broker = MemoryBroker::default();
    let mut consumer = consume(&broker, "a", 0).await;
    let channel = consumer.channel();
    let waiting = tokio::spawn(async move {
        let deliveries = next(&mut consumer).await;
        (consumer, deliveries)
    });
    channel.add_queue(&Queue::new("b")).await.unwrap();
    send(&broker, "b", "from b").await;
    let (mut consumer, deliveries) = waiting.await.unwrap();
    assert_eq!(bodies(&deliveries), ["from b"]);
    assert_eq!(&*deliveries[0].queue, "b");

    channel.cancel_queue("b").await.unwrap();
    send(&broker, "b", "nobody takes it").await;
    assert!(is_quiet(&mut consumer).await);
    assert_eq!(broker.waiting("b").await.unwrap(), 1);
    assert_eq!(broker.purge("b").await.unwrap(), 1);
    assert_eq!(broker.waiting("b").await.unwrap(), 0);
}
