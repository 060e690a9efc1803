//! What the broker in memory promises.

mod consuming;
mod routing;

use std::time::Duration;

use quintette_tasks::brokers::{
    Broker, ConsumeOptions, Consumer, Delivery, Destination, MemoryBroker, Queue,
};
use quintette_tasks::protocol::Message;

async fn send(broker: &MemoryBroker, queue: &str, body: &str) {
    send_message(broker, queue, &Message::json(body.to_owned())).await;
}

async fn send_message(broker: &MemoryBroker, queue: &str, message: &Message) {
    let to = Destination::queue(Queue::new(queue));
    broker.publish(message, &to).await.unwrap();
}

async fn consume(broker: &MemoryBroker, queue: &str, prefetch: u32) -> Box<dyn Consumer> {
    let options = ConsumeOptions {
        prefetch,
        no_ack: false,
    };
    broker.consume(&[Queue::new(queue)], options).await.unwrap()
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Vec<Delivery> {
    let waited = tokio::time::timeout(Duration::from_secs(30), consumer.next());
    waited.await.expect("a message comes").unwrap()
}

/// Whether nothing comes: everything here happens at once, so that a short while tells.
async fn is_quiet(consumer: &mut Box<dyn Consumer>) -> bool {
    let waited = tokio::time::timeout(Duration::from_millis(50), consumer.next());
    waited.await.is_err()
}

fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    let body = |delivery: &Delivery| {
        String::from_utf8(delivery.message.as_ref().unwrap().body.to_vec()).unwrap()
    };
    deliveries.iter().map(body).collect()
}
