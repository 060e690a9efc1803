//! What the broker in an `SQLite` file promises.

mod consuming;
mod crash;
mod garbage;

use std::path::Path;
use std::time::Duration;

use quintette_tasks::brokers::{
    Broker, ConsumeOptions, Consumer, Delivery, Destination, Queue, SqlaBroker,
};
use quintette_tasks::protocol::Message;

/// A broker as another process would have it: nothing is shared but the file.
fn broker(directory: &Path) -> SqlaBroker {
    let url = format!("sqla+sqlite:///{}", directory.join("tasks.db").display());
    SqlaBroker::new(&url).unwrap()
}

async fn send(broker: &SqlaBroker, queue: &str, body: &str) {
    let to = Destination::queue(Queue::new(queue));
    let message = Message::json(body.to_owned());
    broker.publish(&message, &to).await.unwrap();
}

async fn consume(broker: &SqlaBroker, queue: &str, prefetch: u32) -> Box<dyn Consumer> {
    let options = ConsumeOptions {
        prefetch,
        no_ack: false,
    };
    broker.consume(&[Queue::new(queue)], options).await.unwrap()
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Vec<Delivery> {
    let waited = tokio::time::timeout(Duration::from_mins(1), consumer.next());
    waited.await.expect("a message comes").unwrap()
}

/// Whether nothing comes for as long as it takes to look at the file several times.
async fn is_quiet(consumer: &mut Box<dyn Consumer>) -> bool {
    let waited = tokio::time::timeout(Duration::from_secs(1), consumer.next());
    waited.await.is_err()
}

fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    let body = |delivery: &Delivery| {
        String::from_utf8(delivery.message.as_ref().unwrap().body.to_vec()).unwrap()
    };
    deliveries.iter().map(body).collect()
}
