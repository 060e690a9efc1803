use std::time::Duration;

use chrono::Utc;
use quintette_tasks::brokers::{
    Broker, BrokerErrorKind, ConsumeOptions, Destination, ExchangeKind, Queue, SqlaBroker,
};
use quintette_tasks::protocol::Message;

use crate::{bodies, broker, consume, is_quiet, next, send};

#[tokio::test]
async fn what_one_process_sends_another_takes_in_order_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let (sender, taker) = (broker(directory.path()), broker(directory.path()));
    for body in ["a", "b", "c"] {
        send(&sender, "celery", body).await;
    }
    assert_eq!(taker.waiting("celery").await.unwrap(), 3);
    let mut consumer = consume(&taker, "celery", 2).await;
    let held = next(&mut consumer).await;
    assert_eq!(bodies(&held), ["a", "b"]);
    assert_eq!(held[0].deliveries, Some(0));
    assert!(is_quiet(&mut consumer).await);
    consumer.channel().ack(&[held[0].tag]).await.unwrap();
    assert_eq!(bodies(&next(&mut consumer).await), ["c"]);
    assert_eq!(sender.waiting("celery").await.unwrap(), 0);
}

#[tokio::test]
async fn a_waiting_consumer_is_woken_by_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let (sender, taker) = (broker(directory.path()), broker(directory.path()));
    let mut consumer = consume(&taker, "celery", 0).await;
    assert!(is_quiet(&mut consumer).await);
    send(&sender, "celery", "a").await;
    assert_eq!(bodies(&next(&mut consumer).await), ["a"]);
}

#[tokio::test]
async fn what_is_given_back_comes_first_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    for body in ["a", "b"] {
        send(&broker, "celery", body).await;
    }
    let mut first = consume(&broker, "celery", 1).await;
    let held = next(&mut first).await;
    first.channel().requeue(&[held[0].tag]).await.unwrap();
    let again = next(&mut first).await;
    assert_eq!(bodies(&again), ["a"]);
    assert!(again[0].redelivered);
    assert_eq!(again[0].deliveries, Some(1));

    let channel = first.channel();
    drop(first);
    let mut second = consume(&broker, "celery", 1).await;
    let other = next(&mut second).await;
    second.channel().ack(&[other[0].tag]).await.unwrap();
    let last = next(&mut second).await;
    let mut seen = bodies(&[other, last].concat());
    seen.sort_unstable();
    assert_eq!(seen, ["a", "b"]);
    let error = channel.ack(&[again[0].tag]).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unavailable);
}

#[tokio::test]
async fn a_parked_message_waits_in_the_file_for_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    send(&broker, "celery", "later").await;
    let mut consumer = consume(&broker, "celery", 1).await;
    let held = next(&mut consumer).await;
    let until = Utc::now() + Duration::from_millis(1_500);
    assert!(consumer.channel().park(&held[0], until).await.unwrap());
    drop(consumer);
    let other = crate::broker(directory.path());
    let mut consumer = consume(&other, "celery", 1).await;
    let again = next(&mut consumer).await;
    assert!(Utc::now() >= until - Duration::from_millis(1));
    assert_eq!(bodies(&again), ["later"]);
    assert!(!again[0].redelivered);
}

#[tokio::test]
async fn queues_are_added_cancelled_purged_and_read_without_acknowledgement() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    let options = ConsumeOptions {
        prefetch: 0,
        no_ack: true,
    };
    let mut consumer = broker.consume(&[Queue::new("a")], options).await.unwrap();
    let channel = consumer.channel();
    channel.add_queue(&Queue::new("b")).await.unwrap();
    send(&broker, "b", "from b").await;
    let taken = next(&mut consumer).await;
    assert_eq!(bodies(&taken), ["from b"]);
    assert_eq!(&*taken[0].queue, "b");
    channel.cancel_queue("b").await.unwrap();
    send(&broker, "b", "nobody takes it").await;
    assert!(is_quiet(&mut consumer).await);
    assert_eq!(broker.purge("b").await.unwrap(), 1);
    assert_eq!(broker.waiting("b").await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_file_cannot_do_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    let mut inbox = Queue::new("worker.celery.pidbox");
    inbox.exchange.kind = ExchangeKind::Fanout;
    let error = broker.declare(&inbox).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unsupported);
    assert!(error.to_string().contains("remote control"), "{error}");

    let nowhere = Destination {
        routing_key: "nowhere".to_owned(),
        ..Destination::default()
    };
    let error = broker
        .publish(&Message::json("x"), &nowhere)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unroutable);

    for url in ["sqla+sqlite://", "sqla+postgresql://a:hunter2@b/c"] {
        let error = SqlaBroker::new(url).unwrap_err();
        assert_eq!(error.kind(), BrokerErrorKind::Configuration, "{url}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_and_consumers_share_a_file_and_each_message_comes_once() {
    const EACH: usize = 200;
    let directory = tempfile::tempdir().unwrap();
    let (seen, mut all) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..3 {
        let mut consumer = consume(&broker(directory.path()), "celery", 7).await;
        let seen = seen.clone();
        tokio::spawn(async move {
            while let Ok(deliveries) = consumer.next().await {
                let tags: Vec<_> = deliveries.iter().map(|delivery| delivery.tag).collect();
                consumer.channel().ack(&tags).await.unwrap();
                for body in bodies(&deliveries) {
                    seen.send(body).unwrap();
                }
            }
        });
    }
    for sender in 0..3 {
        let broker = broker(directory.path());
        tokio::spawn(async move {
            let sends = (0..EACH).map(|number| {
                let broker = broker.clone();
                async move { send(&broker, "celery", &format!("{sender}-{number}")).await }
            });
            futures_util::future::join_all(sends).await;
        });
    }
    let mut bodies = Vec::new();
    while bodies.len() < 3 * EACH {
        let next = tokio::time::timeout(Duration::from_mins(1), all.recv());
        bodies.push(next.await.unwrap().unwrap());
    }
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 3 * EACH);
}

#[tokio::test]
async fn a_file_that_cannot_be_one_is_told_at_once_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let none = directory.path().join("none");
    let garbage = directory.path().join("garbage.db");
    std::fs::write(&garbage, "this is no database, whatever its name says").unwrap();
    for (path, advice) in [(none.join("tasks.db"), "folder"), (garbage, "another")] {
        let broker = SqlaBroker::new(&format!("sqla+sqlite:///{}", path.display())).unwrap();
        let error = broker.declare(&Queue::new("celery")).await.unwrap_err();
        assert_eq!(error.kind(), BrokerErrorKind::Configuration, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(advice) && text.contains(&*path.to_string_lossy()),
            "{text}"
        );
    }
}
