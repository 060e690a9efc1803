use std::time::Duration;

use chrono::Utc;
use quintette_tasks::brokers::{Broker, BrokerErrorKind, ConsumeOptions, MemoryBroker, Queue};
use quintette_tasks::protocol::Message;

use crate::{bodies, consume, is_quiet, next, send, send_message};

#[tokio::test]
async fn messages_come_in_the_order_they_were_sent_and_higher_priorities_first() {
    let broker = MemoryBroker::default();
    for (body, priority) in [("a", None), ("b", Some(9)), ("c", Some(0)), ("d", Some(9))] {
        let mut message = Message::json(body);
        message.properties.priority = priority;
        send_message(&broker, "celery", &message).await;
    }
    let mut consumer = consume(&broker, "celery", 0).await;
    assert_eq!(bodies(&next(&mut consumer).await), ["b", "d", "a", "c"]);
}

#[tokio::test]
async fn no_more_is_taken_than_may_be_held() {
    let broker = MemoryBroker::default();
    let mut consumer = consume(&broker, "celery", 2).await;
    for body in ["a", "b", "c", "d"] {
        send(&broker, "celery", body).await;
    }
    let channel = consumer.channel();
    let held = next(&mut consumer).await;
    assert_eq!(bodies(&held), ["a", "b"]);
    assert!(is_quiet(&mut consumer).await);
    channel.ack(&[held[0].tag]).await.unwrap();
    assert_eq!(bodies(&next(&mut consumer).await), ["c"]);
    channel.set_prefetch(3).await.unwrap();
    assert_eq!(bodies(&next(&mut consumer).await), ["d"]);
    assert_eq!(broker.waiting("celery").await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_given_back_comes_first_and_says_so() {
    let broker = MemoryBroker::default();
    for body in ["a", "b", "c"] {
        send(&broker, "celery", body).await;
    }
    let mut consumer = consume(&broker, "celery", 2).await;
    let held = next(&mut consumer).await;
    assert!(!held[0].redelivered);
    let channel = consumer.channel();
    channel.requeue(&[held[0].tag, held[1].tag]).await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!(bodies(&again), ["a", "b"]);
    assert!(again[0].redelivered);
    assert_eq!(again[0].deliveries, Some(1));
    channel.reject(again[0].tag).await.unwrap();
    channel.ack(&[again[1].tag]).await.unwrap();
    assert_eq!(bodies(&next(&mut consumer).await), ["c"]);
}

#[tokio::test]
async fn what_a_dropped_consumer_held_goes_to_another() {
    let broker = MemoryBroker::default();
    let mut first = consume(&broker, "celery", 0).await;
    send(&broker, "celery", "a").await;
    let held = next(&mut first).await;
    let mut second = consume(&broker, "celery", 0).await;
    assert!(is_quiet(&mut second).await);
    let channel = first.channel();
    drop(first);
    let again = next(&mut second).await;
    assert_eq!(bodies(&again), ["a"]);
    assert!(again[0].redelivered);
    let error = channel.ack(&[held[0].tag]).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unavailable);
}

#[tokio::test]
async fn a_parked_message_comes_when_it_is_due_and_to_whoever_is_there() {
    let broker = MemoryBroker::default();
    let mut first = consume(&broker, "celery", 1).await;
    let mut second = consume(&broker, "celery", 1).await;
    for body in ["later", "now"] {
        send(&broker, "celery", body).await;
    }
    let held = next(&mut first).await;
    let until = Utc::now() + Duration::from_millis(300);
    assert!(first.channel().park(&held[0], until).await.unwrap());
    assert_eq!(bodies(&next(&mut first).await), ["now"]);
    drop(first);
    assert_eq!(bodies(&next(&mut second).await), ["now"]);
    let channel = second.channel();
    channel.set_prefetch(0).await.unwrap();
    let parked = next(&mut second).await;
    assert!(Utc::now() >= until);
    assert_eq!(bodies(&parked), ["later"]);
    assert!(!parked[0].redelivered);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_not_delivered() {
    let broker = MemoryBroker::default();
    let mut short = Message::json("short");
    short.properties.expiration = Some(1_000);
    send_message(&broker, "celery", &short).await;
    send(&broker, "celery", "long").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(broker.waiting("celery").await.unwrap(), 1);
    let mut consumer = consume(&broker, "celery", 0).await;
    assert_eq!(bodies(&next(&mut consumer).await), ["long"]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_goes_when_nobody_has_used_it_for_long() {
    let broker = MemoryBroker::default();
    let mut replies = Queue::new("replies");
    replies.expires = Some(Duration::from_secs(10));
    let options = ConsumeOptions {
        prefetch: 0,
        no_ack: true,
    };
    let consumer = broker.consume(&[replies], options).await.unwrap();
    drop(consumer);
    let to = quintette_tasks::brokers::Destination {
        routing_key: "replies".to_owned(),
        ..Default::default()
    };
    broker.publish(&Message::json("x"), &to).await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    broker.declare(&Queue::new("another")).await.unwrap();
    broker.publish(&Message::json("x"), &to).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_consumers_share_a_queue_and_each_message_comes_once() {
    let broker = MemoryBroker::default();
    let (seen, mut all) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..4 {
        let mut consumer = consume(&broker, "celery", 3).await;
        let seen = seen.clone();
        tokio::spawn(async move {
            loop {
                for delivery in consumer.next().await.unwrap() {
                    consumer.channel().ack(&[delivery.tag]).await.unwrap();
                    seen.send(bodies(&[delivery]).remove(0)).unwrap();
                }
            }
        });
    }
    for number in 0..2_000 {
        send(&broker, "celery", &number.to_string()).await;
    }
    let mut numbers = Vec::new();
    while numbers.len() < 2_000 {
        let next = tokio::time::timeout(Duration::from_secs(30), all.recv());
        numbers.push(next.await.unwrap().unwrap().parse::<u32>().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
}
