use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use quintette_tasks::brokers::{
    AmqpBroker, Broker, ConsumeOptions, Consumer, Delivery, Destination, Queue,
};
use quintette_tasks::protocol::Message;
use quintette_testkit::servers::RabbitMq;
use serde_json::json;

/// For what takes long at most on a slow machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);

static SHARED: LazyLock<RabbitMq> = LazyLock::new(|| RabbitMq::start().expect("RabbitMQ starts"));

/// The server that tests share that do it no harm.
pub(crate) fn shared() -> &'static RabbitMq {
    &SHARED
}

pub(crate) fn broker() -> AmqpBroker {
    AmqpBroker::new(&shared().url()).expect("a URL")
}

/// A queue of the test's own.
pub(crate) fn queue(name: &str) -> Queue {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let mut count = COUNT.lock().unwrap();
    *count += 1;
    Queue::new(format!("{name}-{count}"))
}

pub(crate) fn message(number: u64) -> Message {
    let mut message = Message::json(number.to_string());
    message
        .headers
        .insert("id".to_owned(), json!(number.to_string()));
    message
}

pub(crate) async fn send(broker: &AmqpBroker, queue: &Queue, numbers: impl Iterator<Item = u64>) {
    let to = Destination::queue(queue.clone());
    let sent = numbers.map(|number| {
        let to = to.clone();
        async move { broker.publish(&message(number), &to).await }
    });
    futures_util::future::try_join_all(sent)
        .await
        .expect("published");
}

pub(crate) async fn consume(
    broker: &AmqpBroker,
    queue: &Queue,
    prefetch: u32,
) -> Box<dyn Consumer> {
    let options = ConsumeOptions {
        prefetch,
        no_ack: false,
    };
    broker
        .consume(std::slice::from_ref(queue), options)
        .await
        .expect("consuming")
}

/// Takes so many deliveries.
pub(crate) async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = tokio::time::timeout(LONG, consumer.next()).await;
        taken.extend(
            batch
                .expect("deliveries come")
                .expect("the connection lives"),
        );
    }
    assert_eq!(taken.len(), count);
    taken
}

/// Whether nothing comes for a while.
pub(crate) async fn is_silent(consumer: &mut Box<dyn Consumer>) -> bool {
    let next = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
    next.is_err()
}

pub(crate) fn number(delivery: &Delivery) -> u64 {
    let message = delivery.message.as_ref().expect("a message");
    std::str::from_utf8(&message.body).unwrap().parse().unwrap()
}

pub(crate) fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(number).collect()
}

pub(crate) fn tags(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.tag).collect()
}

/// Waits until a queue holds so many messages that nobody was given.
pub(crate) async fn waiting(broker: &AmqpBroker, queue: &Queue, count: u64) {
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let waiting = broker.waiting(&queue.name).await.expect("counted");
        if waiting == count {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{waiting} wait, not {count}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
