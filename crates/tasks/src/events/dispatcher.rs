use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::brokers::Broker;
use crate::control::mailbox::now;
use crate::protocol::Message;

/// Sends the events of a worker or a client.
///
/// Sending waits for nothing: events travel on a task of their own, and where the broker is away or slow, those that do not fit the buffer are
/// dropped and counted, since a monitor that misses some is better than a worker that stands still.
#[derive(Clone, Debug)]
pub struct EventDispatcher {
    hostname: Arc<str>,
    dropped: Arc<AtomicU64>,
    outbound: mpsc::Sender<Outbound>,
}

#[derive(Debug)]
enum Outbound {
    Event(Map<String, Value>),
    Flush(oneshot::Sender<()>),
}

/// At most so many events wait to be sent.
const BUFFER: usize = 10_000;
/// At most so many of tasks travel as one message. Celery sends 24.
const GROUP: usize = 100;
/// Celery's too: how long an event of a task waits for company.
const GROUP_DELAY: Duration = Duration::from_millis(200);
/// How long an event may take to be sent, before it is dropped.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

impl EventDispatcher {
    /// A dispatcher for the worker, or the client, of that name.
    ///
    /// It must be called within a runtime, and sends until its last clone is dropped.
    pub fn start(broker: Arc<dyn Broker>, hostname: Arc<str>) -> Self {
        let (outbound, waiting) = mpsc::channel(BUFFER);
        tokio::spawn(run(broker, hostname.clone(), waiting));
        Self {
            hostname,
            dropped: Arc::default(),
            outbound,
        }
    }

    /// How many events were dropped, since the broker did not take them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Sends an event, such as `worker-heartbeat` or `task-started`, with its fields (an object) and the sender's clock.
    pub fn send(&self, kind: &str, clock: u64, fields: Value) {
        let mut event = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let common = json!({
            "hostname": &*self.hostname,
            "utcoffset": 0,
            "pid": std::process::id(),
            "clock": clock,
            "timestamp": now(),
            "type": kind,
        });
        if let Value::Object(common) = common {
            event.extend(common);
        }
        if self.outbound.try_send(Outbound::Event(event)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was sent before has left, but not for long: the broker may be away.
    pub async fn flush(&self) {
        let (sent, left) = oneshot::channel();
        let flushed = async {
            if self.outbound.send(Outbound::Flush(sent)).await.is_ok() {
                left.await.ok();
            }
        };
        tokio::time::timeout(SEND_TIMEOUT, flushed).await.ok();
    }
}

async fn run(broker: Arc<dyn Broker>, hostname: Arc<str>, mut waiting: mpsc::Receiver<Outbound>) {
    let mut sender = Sender {
        broker,
        hostname,
        away: false,
    };
    let mut group: Vec<Value> = Vec::new();
    loop {
        let next = if group.is_empty() {
            waiting.recv().await
        } else {
            let Ok(next) = tokio::time::timeout(GROUP_DELAY, waiting.recv()).await else {
                sender.multi(&mut group).await;
                continue;
            };
            next
        };
        match next {
            Some(Outbound::Event(event)) if is_of_task(&event) => {
                group.push(event.into());
                if group.len() >= GROUP {
                    sender.multi(&mut group).await;
                }
            }
            Some(Outbound::Event(event)) => sender.one(event).await,
            Some(Outbound::Flush(sent)) => {
                sender.multi(&mut group).await;
                sent.send(()).ok();
            }
            None => return sender.multi(&mut group).await,
        }
    }
}

fn is_of_task(event: &Map<String, Value>) -> bool {
    let kind = event.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind.starts_with("task-"))
}

struct Sender {
    broker: Arc<dyn Broker>,
    hostname: Arc<str>,
    away: bool,
}

impl Sender {
    async fn one(&mut self, event: Map<String, Value>) {
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let routing_key = kind.replace('-', ".");
        self.publish(&routing_key, event.into()).await;
    }

    /// Events of tasks travel together, as a list.
    async fn multi(&mut self, group: &mut Vec<Value>) {
        if !group.is_empty() {
            self.publish("task.multi", std::mem::take(group).into())
                .await;
        }
    }

    async fn publish(&mut self, routing_key: &str, body: Value) {
        let mut message = Message::json(body.to_string());
        message
            .headers
            .insert("hostname".to_owned(), (*self.hostname).into());
        message.properties.transient = true;
        let destination = super::destination(self.broker.info().transport, routing_key);
        let sent =
            tokio::time::timeout(SEND_TIMEOUT, self.broker.publish(&message, &destination)).await;
        let failure = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the broker did not answer".to_owned()),
        };
        // One line for an outage, not one for each event.
        if let Some(failure) = &failure
            && !self.away
        {
            warn!("events are dropped until the broker takes them: {failure}");
        }
        self.away = failure.is_some();
    }
}
