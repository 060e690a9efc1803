use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quintette_tasks::brokers::{
    Broker, BrokerError, Channel, ConsumeOptions, Consumer, Delivery, Destination, Queue,
    RedisBroker,
};
use quintette_tasks::protocol::Message;
use tokio::time::{Instant, sleep, timeout};

/// Nothing that works takes so long, on however slow a machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn broker(url: &str) -> RedisBroker {
    RedisBroker::new(url, HOUR, "").unwrap()
}

pub(crate) fn message(text: &str) -> Message {
    Message::json(text.to_owned())
}

pub(crate) fn to(queue: &str) -> Destination {
    Destination::queue(Queue::new(queue))
}

pub(crate) async fn send(
    broker: &RedisBroker,
    queue: &str,
    texts: impl IntoIterator<Item = String>,
) {
    for text in texts {
        broker.publish(&message(&text), &to(queue)).await.unwrap();
    }
}

/// Sends the numbers, many at once.
pub(crate) async fn send_numbers(broker: &RedisBroker, queue: &str, numbers: std::ops::Range<u64>) {
    let numbers: Vec<_> = numbers.collect();
    for numbers in numbers.chunks(500) {
        let sent = numbers.iter().map(|number| {
            let (broker, to) = (broker.clone(), to(queue));
            let message = message(&number.to_string());
            tokio::spawn(async move { broker.publish(&message, &to).await })
        });
        for sent in sent.collect::<Vec<_>>() {
            sent.await.unwrap().unwrap();
        }
    }
}

pub(crate) async fn consume(
    broker: &RedisBroker,
    queues: &[&str],
    prefetch: u32,
) -> Result<Box<dyn Consumer>, BrokerError> {
    let queues: Vec<_> = queues.iter().map(|name| Queue::new(*name)).collect();
    let options = ConsumeOptions {
        prefetch,
        no_ack: false,
    };
    broker.consume(&queues, options).await
}

/// The same, trying until the broker is to be reached.
pub(crate) async fn consume_at_last(
    broker: &RedisBroker,
    queues: &[&str],
    prefetch: u32,
) -> Box<dyn Consumer> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match consume(broker, queues, prefetch).await {
            Ok(consumer) => return consumer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn next(consumer: &mut Box<dyn Consumer>) -> Vec<Delivery> {
    timeout(PATIENCE, consumer.next())
        .await
        .expect("there is a message")
        .unwrap()
}

/// So many deliveries, none of them acknowledged.
pub(crate) async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(next(consumer).await);
    }
    taken
}

pub(crate) fn text(delivery: &Delivery) -> String {
    let message = delivery.message.as_ref().unwrap();
    String::from_utf8(message.body.to_vec()).unwrap()
}

pub(crate) fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(text).collect()
}

pub(crate) fn tags(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.tag).collect()
}

/// Nothing comes for so long.
pub(crate) async fn nothing(consumer: &mut Box<dyn Consumer>, during: Duration) {
    if let Ok(taken) = timeout(during, consumer.next()).await {
        panic!("{:?} came", taken.map(|taken| texts(&taken)));
    }
}

/// Waits until this holds.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// How often each text was acknowledged.
pub(crate) type Counts = BTreeMap<String, usize>;

/// Takes and acknowledges until `done`, through any failure.
pub(crate) async fn work(
    broker: &RedisBroker,
    queue: &str,
    done: impl Fn(&Counts) -> bool,
    counts: &Arc<std::sync::Mutex<Counts>>,
) {
    let mut consumer = consume_at_last(broker, &[queue], 50).await;
    let deadline = Instant::now() + PATIENCE;
    while !done(&counts.lock().unwrap()) {
        assert!(Instant::now() < deadline, "messages are missing");
        match timeout(Duration::from_millis(200), consumer.next()).await {
            Err(_) => {}
            Ok(Ok(taken)) => {
                let acked = ack(&*consumer.channel(), &tags(&taken)).await;
                if acked {
                    let mut counts = counts.lock().unwrap();
                    for text in texts(&taken) {
                        *counts.entry(text).or_default() += 1;
                    }
                }
            }
            Ok(Err(_)) => consumer = consume_at_last(broker, &[queue], 50).await,
        }
    }
}

async fn ack(channel: &dyn Channel, tags: &[u64]) -> bool {
    for _ in 0..20 {
        if channel.ack(tags).await.is_ok() {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}

/// A runtime that ends as a killed process does: without a goodbye.
pub(crate) struct Doomed(Option<tokio::runtime::Runtime>);

impl Doomed {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self(Some(runtime.unwrap()))
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.0.as_ref().unwrap().spawn(work).await.unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
