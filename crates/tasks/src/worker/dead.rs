//! Messages that are set aside: `<queue>.dead` holds what is no task, what nobody knows, and what came back too often.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use quintette_core::json::escape_key;
use serde_json::{Map, Value};
use tracing::{debug, error, warn};

use super::acks::Fate;
use super::finish::{GaveUp, insist};
use super::request::Request;
use super::retry;
use super::shared::Shared;
use super::strategy::{DELIVERIES, Refused};
use crate::app::App;
use crate::brokers::{BrokerError, Channel, ConsumeOptions, Delivery, Destination};
use crate::protocol::Message;
use crate::send::SendError;

const REASON: &str = "x-quintette-dead-reason";
const AT: &str = "x-quintette-dead-at";
const QUEUE: &str = "x-quintette-dead-queue";
const WORKER: &str = "x-quintette-dead-worker";
const EXCHANGE: &str = "x-quintette-dead-exchange";
const ROUTING_KEY: &str = "x-quintette-dead-routing-key";

/// A message that was set aside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadMessage {
    /// The queue that it came from.
    pub queue: String,
    /// Why it was set aside.
    pub reason: String,
    /// When: ISO 8601.
    pub at: String,
    /// By which worker.
    pub worker: String,
    /// The task's id, where it has one.
    pub id: Option<String>,
    /// The task's name, where it has one.
    pub task: Option<String>,
    /// The message as it came.
    pub message: Message,
}

/// The queue that holds what was set aside of another.
pub fn dead_queue(queue: &str) -> String {
    format!("{queue}.dead")
}

/// The beginning of a message's body, for a log: in ASCII, on one line.
pub(crate) fn excerpt(message: &Message) -> String {
    let text = String::from_utf8_lossy(&message.body[..message.body.len().min(200)]);
    let bytes = message.body.len();
    format!(
        "{} ({bytes} bytes): {}",
        message.content_type,
        escape_key(&text)
    )
}

/// Sets aside what is no task, and acknowledges it then.
pub(crate) async fn set_aside_refused(
    shared: Arc<Shared>,
    channel: Arc<dyn Channel>,
    refused: Refused,
) {
    let why = Why {
        queue: &refused.queue,
        exchange: &refused.exchange,
        routing_key: &refused.routing_key,
        reason: refused.reason,
    };
    let kept = set_aside(&shared, refused.message, why).await;
    shared.acks.settle_message(
        &channel,
        refused.tag,
        if kept { Fate::Ack } else { Fate::Requeue },
    );
}

/// Sets aside a task that nobody knows here, and acknowledges it then.
pub(crate) async fn set_aside_unknown(shared: &Shared, request: &Arc<Request>, message: Message) {
    let reason = format!("the task {:?} is not registered", request.headers.task);
    settle(shared, request, message, reason).await;
}

/// Sets aside a task that came back too often, and acknowledges it then.
pub(crate) async fn set_aside_poison(shared: &Shared, request: &Arc<Request>, deliveries: u32) {
    let reason = format!("it was delivered {deliveries} times, and never finished");
    error!(
        "Task {request:?} is set aside in {:?}: {reason}",
        dead_queue(&request.delivery_info.queue)
    );
    match retry::message(request) {
        Ok(mut message) => {
            message.headers.remove(DELIVERIES);
            settle(shared, request, message, reason).await;
        }
        Err(error) => {
            error!("Task {request:?} cannot be set aside, and is rejected: {error}");
            shared.acks.settle_later(request, Fate::Reject);
        }
    }
}

async fn settle(shared: &Shared, request: &Arc<Request>, message: Message, reason: String) {
    let info = &request.delivery_info;
    let why = Why {
        queue: &info.queue,
        exchange: &info.exchange,
        routing_key: &info.routing_key,
        reason,
    };
    let kept = set_aside(shared, message, why).await;
    let fate = if kept { Fate::Ack } else { Fate::Requeue };
    shared.acks.settle_later(request, fate);
}

/// Counts a delivery in the message itself: publishes it again with the number, and acknowledges the old one then.
pub(crate) async fn count(shared: &Shared, request: &Arc<Request>, deliveries: u32) {
    let mut message = match retry::message(request) {
        Ok(message) => message,
        Err(error) => {
            error!("Task {request:?} cannot be counted, and is rejected: {error}");
            return shared.acks.settle_later(request, Fate::Reject);
        }
    };
    message
        .headers
        .insert(DELIVERIES.to_owned(), deliveries.into());
    let queue = shared.queue(&request.delivery_info.queue);
    if publish(shared, &message, &Destination::queue(queue)).await {
        request.held.acknowledged.store(true, Ordering::SeqCst);
        // Now, before the new one may begin here. Where the connection is lost, both are there, and one of them is too many.
        let acknowledged = request.held.channel.ack(&[request.held.tag]).await;
        if let Err(error) = acknowledged {
            debug!("Task {request:?} may be delivered twice: {error}");
        }
    } else {
        shared.acks.settle_later(request, Fate::Requeue);
    }
}

struct Why<'a> {
    queue: &'a str,
    exchange: &'a str,
    routing_key: &'a str,
    reason: String,
}

async fn set_aside(shared: &Shared, mut message: Message, why: Why<'_>) -> bool {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, false);
    let notes = [
        (REASON, why.reason.as_str()),
        (AT, &now),
        (QUEUE, why.queue),
        (WORKER, &shared.state().hostname),
        (EXCHANGE, why.exchange),
        (ROUTING_KEY, why.routing_key),
    ];
    // It is kept until somebody looks at it.
    message.properties.expiration = None;
    let mut noted = message.clone();
    for (name, value) in notes {
        noted.headers.insert(name.to_owned(), value.into());
    }
    let to = Destination::queue(shared.app().queue(&dead_queue(why.queue)));
    match send(shared, &noted, &to).await {
        // Headers that came in one frame may be too large for it with these.
        Ok(Err(error)) => {
            warn!("a message is set aside without the reason: {error}");
            publish(shared, &message, &to).await
        }
        sent => sent.is_ok(),
    }
}

async fn send(
    shared: &Shared,
    message: &Message,
    to: &Destination,
) -> Result<Result<(), SendError>, GaveUp> {
    insist(shared, async || {
        Ok(shared.app().broker().publish(message, to).await?)
    })
    .await
}

async fn publish(shared: &Shared, message: &Message, to: &Destination) -> bool {
    match send(shared, message, to).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            warn!("a message stays in its queue, since it cannot be set aside: {error}");
            // It comes again at once: not too often.
            tokio::time::sleep(Duration::from_secs(1)).await;
            false
        }
        Err(_) => false,
    }
}

/// What was set aside of a queue, at most `most` of it.
///
/// The messages are taken and given back, so that nobody else sees them meanwhile.
///
/// # Errors
///
/// Where the broker cannot be reached.
///
/// # Cancellation
///
/// Nothing is lost: what was taken goes back.
pub async fn list(app: &App, queue: &str, most: usize) -> Result<Vec<DeadMessage>, BrokerError> {
    let mut found = Vec::new();
    visit(app, queue, most, async |channel, delivery| {
        found.extend(read(&delivery, queue));
        channel.requeue(&[delivery.tag]).await
    })
    .await?;
    Ok(found)
}

/// Sends what was set aside of a queue back to it: the messages with these ids, or all of them. Returns how many.
///
/// # Errors
///
/// Where the broker cannot be reached.
///
/// # Cancellation
///
/// A message may be in both queues, and none is lost.
pub async fn replay(app: &App, queue: &str, ids: Option<&[String]>) -> Result<u64, BrokerError> {
    let wanted: Option<HashSet<&str>> = ids.map(|ids| ids.iter().map(String::as_str).collect());
    let mut replayed = 0;
    visit(app, queue, usize::MAX, async |channel, delivery| {
        let chosen = read(&delivery, queue).filter(|dead| match &wanted {
            None => true,
            Some(ids) => dead.id.as_deref().is_some_and(|id| ids.contains(id)),
        });
        let Some(dead) = chosen else {
            return channel.requeue(&[delivery.tag]).await;
        };
        let destination = Destination::queue(app.queue(&dead.queue));
        app.broker().publish(&dead.message, &destination).await?;
        channel.ack(&[delivery.tag]).await?;
        replayed += 1;
        Ok(())
    })
    .await?;
    Ok(replayed)
}

/// Drops what was set aside of a queue. Returns how many messages that were.
///
/// # Errors
///
/// Where the broker cannot be reached.
pub async fn purge(app: &App, queue: &str) -> Result<u64, BrokerError> {
    app.broker().purge(&dead_queue(queue)).await
}

/// How long a message that is there may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes as many messages as wait, each once, and does something with each.
async fn visit(
    app: &App,
    queue: &str,
    most: usize,
    mut each: impl AsyncFnMut(&dyn Channel, Delivery) -> Result<(), BrokerError>,
) -> Result<(), BrokerError> {
    let dead = app.queue(&dead_queue(queue));
    app.broker().declare(&dead).await?;
    let waiting = app.broker().waiting(&dead.name).await?;
    let waiting = usize::try_from(waiting).unwrap_or(usize::MAX).min(most);
    let mut taken = Vec::new();
    let options = ConsumeOptions {
        prefetch: u32::try_from(waiting).unwrap_or(0).max(1),
        no_ack: false,
    };
    if waiting == 0 {
        return Ok(());
    }
    let mut consumer = app.broker().consume(&[dead], options).await?;
    while taken.len() < waiting {
        // Somebody else may have taken the others.
        let Ok(batch) = tokio::time::timeout(PATIENCE, consumer.next()).await else {
            break;
        };
        taken.extend(batch?);
    }
    let channel = consumer.channel();
    for delivery in taken {
        each(&*channel, delivery).await?;
    }
    Ok(())
}

fn read(delivery: &Delivery, queue: &str) -> Option<DeadMessage> {
    let mut message = delivery.message.clone().ok()?;
    let headers = &mut message.headers;
    let reason = take(headers, REASON).unwrap_or_default();
    let at = take(headers, AT).unwrap_or_default();
    let worker = take(headers, WORKER).unwrap_or_default();
    let queue = take(headers, QUEUE).unwrap_or_else(|| queue.to_owned());
    take(headers, EXCHANGE);
    take(headers, ROUTING_KEY);
    let text = |name: &str| headers.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(DeadMessage {
        queue,
        reason,
        at,
        worker,
        id: text("id"),
        task: text("task"),
        message,
    })
}

fn take(headers: &mut Map<String, Value>, name: &str) -> Option<String> {
    match headers.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}
