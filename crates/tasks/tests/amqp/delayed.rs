use std::time::Duration;

use chrono::{TimeDelta, Utc};
use quintette_tasks::brokers::{
    Broker, ConsumeOptions, Destination, ExchangeKind, Queue, QueueKind,
};
use quintette_tasks::{App, SecretUrl, Signature, TaskSettings};
use serde_json::json;

use crate::support::{
    broker, consume, is_silent, message, number, numbers, queue, send, shared, tags, take, waiting,
};

/// As Celery needs it for native delayed delivery: a quorum queue behind an exchange that is not direct.
fn delayed(name: &str) -> Queue {
    let mut queue = queue(name);
    queue.kind = QueueKind::Quorum;
    queue.exchange.kind = ExchangeKind::Topic;
    queue.delayed_delivery = true;
    queue
}

fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

#[tokio::test]
async fn a_quorum_queue_delivers_again_and_keeps_the_prefetch() {
    let broker = broker();
    let mut queue = queue("quorum");
    queue.kind = QueueKind::Quorum;
    send(&broker, &queue, 0..10).await;
    let mut consumer = consume(&broker, &queue, 4).await;
    let taken = take(&mut consumer, 4).await;
    assert!(!taken.iter().any(|delivery| delivery.redelivered));
    assert!(is_silent(&mut consumer).await);
    let channel = consumer.channel();
    channel.requeue(&tags(&taken[..1])).await.unwrap();
    let again = take(&mut consumer, 1).await;
    assert!(is_silent(&mut consumer).await);
    // Where it goes back to depends on RabbitMQ's version.
    channel.ack(&tags(&taken[1..])).await.unwrap();
    let mut come = again;
    while !come.iter().any(|delivery| number(delivery) == 0) {
        channel.ack(&tags(&come)).await.unwrap();
        come = consumer.next().await.unwrap();
    }
    let first = come.iter().find(|delivery| number(delivery) == 0).unwrap();
    assert!(first.redelivered);
    let headers = &first.message.as_ref().unwrap().headers;
    assert!(!headers.contains_key("x-delivery-count"));
}

#[tokio::test]
async fn the_prefetch_of_quorum_queues_changes_at_once() {
    let broker = broker();
    let (classic, mut quorum) = (queue("classic"), queue("quorum"));
    quorum.kind = QueueKind::Quorum;
    let mut consumer = consume(&broker, &classic, 2).await;
    let channel = consumer.channel();
    // A channel of classic queues takes a quorum queue.
    send(&broker, &quorum, 0..9).await;
    channel.add_queue(&quorum).await.unwrap();
    take(&mut consumer, 2).await;
    assert!(is_silent(&mut consumer).await);
    channel.set_prefetch(5).await.unwrap();
    let more = take(&mut consumer, 5).await;
    assert!(is_silent(&mut consumer).await);
    channel.ack(&tags(&more)).await.unwrap();
    take(&mut consumer, 2).await;
}

#[tokio::test]
async fn a_message_with_an_eta_reaches_its_queue_when_it_is_due_and_not_before() {
    let broker = broker();
    let queue = delayed("eta");
    let to = Destination::queue(queue.clone());
    let mut later = message(1);
    let due = Utc::now() + seconds(4);
    later.headers.insert("eta".into(), json!(due.to_rfc3339()));
    later.properties.expiration = Some(60_000);
    broker.publish(&later, &to).await.unwrap();
    let mut past = message(2);
    past.headers
        .insert("eta".into(), json!("2020-01-01T00:00:00+00:00"));
    broker.publish(&past, &to).await.unwrap();

    let mut consumer = consume(&broker, &queue, 0).await;
    assert_eq!(numbers(&take(&mut consumer, 1).await), [2]);
    let taken = take(&mut consumer, 1).await;
    // Whole seconds are counted: up to one too early.
    assert!(Utc::now() > due - seconds(2), "too early");
    assert_eq!(number(&taken[0]), 1);
    assert_eq!(taken[0].routing_key, queue.routing_key);
    assert_eq!(taken[0].exchange, queue.exchange.name);

    // Sent again with what the broker wrote on it, it is not taken for one that goes in circles.
    let mut again = taken[0].message.clone().unwrap();
    assert!(again.headers.contains_key("x-death"));
    let due = Utc::now() + seconds(4);
    again.headers.insert("eta".into(), json!(due.to_rfc3339()));
    broker.publish(&again, &to).await.unwrap();
    assert_eq!(numbers(&take(&mut consumer, 1).await), [1]);
}

#[tokio::test]
async fn by_settings_a_task_with_a_countdown_waits_in_the_broker() {
    let name = queue("by-settings").name;
    let mut settings = TaskSettings::default();
    settings.broker_url = SecretUrl::new(shared().url());
    settings.task_default_queue.clone_from(&name);
    settings.task_default_queue_type = "quorum".to_owned();
    settings.task_default_exchange_type = "topic".to_owned();
    let app = App::new(settings).unwrap();
    let other = app.queue("another");
    assert!(other.kind == QueueKind::Classic && !other.delayed_delivery);

    let later = Signature::new("shop.later").countdown(Duration::from_secs(4));
    let sent = Utc::now();
    app.send(&later).await.unwrap();
    let broker = broker();
    let delayed = app.queue(&name);
    assert_eq!(broker.waiting(&name).await.unwrap(), 0);
    let mut consumer = consume(&broker, &delayed, 0).await;
    let taken = take(&mut consumer, 1).await;
    assert!(Utc::now() > sent + seconds(2), "too early");
    assert_eq!(taken[0].routing_key, name);
}

#[tokio::test]
async fn a_message_of_a_classic_queue_can_be_parked_and_comes_back_to_it_alone() {
    let broker = broker();
    let queue = queue("parked.shop");
    // By a pattern of Celery's, `#.shop` would take what goes to `parked.shop`, too.
    let other = Queue::new("shop");
    send(&broker, &other, 0..0).await;
    broker.declare(&other).await.unwrap();
    send(&broker, &queue, 0..3).await;
    let mut consumer = consume(&broker, &queue, 2).await;
    let taken = take(&mut consumer, 2).await;
    let channel = consumer.channel();
    let soon = Utc::now() + TimeDelta::milliseconds(500);
    assert!(
        !channel.park(&taken[0], soon).await.unwrap(),
        "less than a second is for the worker"
    );
    assert!(
        channel
            .park(&taken[0], Utc::now() + seconds(3))
            .await
            .unwrap()
    );
    // It does not count as held any more.
    assert_eq!(numbers(&take(&mut consumer, 1).await), [2]);
    channel.ack(&[taken[1].tag]).await.unwrap();
    assert!(is_silent(&mut consumer).await);
    let back = take(&mut consumer, 1).await;
    assert_eq!(number(&back[0]), 0);
    assert_eq!(back[0].exchange, "");
    assert_eq!(back[0].routing_key, queue.name);
    channel.ack(&tags(&back)).await.unwrap();
    drop((consumer, channel));
    waiting(&broker, &queue, 1).await;
    assert_eq!(broker.waiting(&other.name).await.unwrap(), 0);
}

#[tokio::test]
async fn queues_for_events_need_no_acknowledgement_and_go_with_their_connection() {
    let broker = broker();
    let mut events = queue("events");
    events.exchange.name = "celeryev".to_owned();
    events.exchange.kind = ExchangeKind::Topic;
    events.routing_key = "#".to_owned();
    (events.durable, events.exclusive) = (false, true);
    events.expires = Some(Duration::from_mins(1));
    events.message_ttl = Some(Duration::from_secs(5));
    let options = ConsumeOptions {
        prefetch: 0,
        no_ack: true,
    };
    let mut consumer = broker
        .consume(std::slice::from_ref(&events), options)
        .await
        .unwrap();
    let to = Destination {
        exchange: events.exchange.clone(),
        routing_key: "task.multi".to_owned(),
        may_be_dropped: true,
        declare: None,
    };
    for number in 0..100 {
        broker.publish(&message(number), &to).await.unwrap();
    }
    let taken = take(&mut consumer, 100).await;
    assert_eq!(numbers(&taken), (0..100).collect::<Vec<_>>());
    assert_eq!(taken[0].routing_key, "task.multi");
}
