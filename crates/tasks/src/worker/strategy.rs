//! From a delivery to a request.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::request::{DeliveryInfo, Parts, Request};
use super::shared::Shared;
use crate::arguments::Arguments;
use crate::brokers::{Channel, Delivery};
use crate::protocol::{Body, Message, TaskHeaders, TaskMessage};
use crate::task::TaskOptions;

/// How often a message has been delivered without being finished, where the broker does not count.
pub(crate) const DELIVERIES: &str = "x-quintette-deliveries";

/// What a delivery is.
pub(crate) enum Arrival {
    /// A call of a task that is known.
    Request(Arc<Request>),
    /// A call of a task that is not.
    Unknown(Arc<Request>, Message),
    /// No call at all.
    Refused(Refused),
}

/// A message that no task can be made of.
pub(crate) struct Refused {
    pub(crate) queue: Arc<str>,
    pub(crate) tag: u64,
    pub(crate) reason: String,
    /// The message as it came, to be set aside.
    pub(crate) message: Message,
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
}

pub(crate) fn read(delivery: Delivery, channel: &Arc<dyn Channel>, shared: &Shared) -> Arrival {
    let message = match delivery.message {
        Ok(message) => message,
        Err(malformed) => {
            return Arrival::Refused(Refused {
                queue: delivery.queue,
                tag: delivery.tag,
                reason: malformed.reason,
                message: Message {
                    content_type: "application/data".into(),
                    content_encoding: "binary".into(),
                    ..Message::json(malformed.raw)
                },
                exchange: delivery.exchange,
                routing_key: delivery.routing_key,
            });
        }
    };
    let read = TaskMessage::read(&message, &shared.policy)
        .or_else(|error| unheard_of(&message, shared).ok_or_else(|| error.to_string()))
        .and_then(|task| {
            let eta = time("eta", task.headers.eta.as_deref())?;
            let expires = time("expires", task.headers.expires.as_deref())?;
            Ok((task, eta, expires))
        });
    let (task, eta, expires) = match read {
        Ok(read) => read,
        Err(reason) => {
            return Arrival::Refused(Refused {
                queue: delivery.queue,
                tag: delivery.tag,
                reason,
                message,
                exchange: delivery.exchange,
                routing_key: delivery.routing_key,
            });
        }
    };
    let TaskMessage { headers, body } = task;
    let known = shared.handle.tasks.find(&headers.task);
    let counted = headers
        .extra
        .get(DELIVERIES)
        .and_then(serde_json::Value::as_u64);
    let delivery_info = DeliveryInfo {
        queue: delivery.queue,
        exchange: delivery.exchange,
        routing_key: delivery.routing_key,
        priority: message.properties.priority,
        redelivered: delivery.redelivered,
        deliveries: delivery
            .deliveries
            .or_else(|| counted.and_then(|counted| counted.try_into().ok())),
    };
    let is_known = known.is_some();
    let request = Arc::new(Request::new(Parts {
        options: known.map_or(TaskOptions::DEFAULT, |task| task.options),
        headers,
        arguments: Arguments {
            args: body.args,
            kwargs: body.kwargs,
        },
        embed: body.embed,
        properties: message.properties.clone(),
        broker_counts: delivery.deliveries.is_some(),
        delivery_info,
        eta,
        expires,
        hostname: shared.state().hostname.clone(),
        tag: delivery.tag,
        channel: channel.clone(),
    }));
    if is_known {
        Arrival::Request(request)
    } else {
        Arrival::Unknown(request, message)
    }
}

/// A call of a task that nobody here knows, whose body cannot be read. Celery looks at the name first: who sent it is told.
fn unheard_of(message: &Message, shared: &Shared) -> Option<TaskMessage> {
    let headers = TaskHeaders::read(message.headers.clone()).ok()?;
    let known = shared.handle.tasks.find(&headers.task);
    known.is_none().then(|| TaskMessage {
        headers,
        body: Body::default(),
    })
}

/// A time of a header: ISO 8601. Without an offset it is UTC, as with Celery's `enable_utc`.
fn time(header: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    let naive = |text: &str| {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|error| naive(text).map(|time| time.and_utc()).ok_or(error))
        .map(Some)
        .map_err(|error| {
            let text: String = text.chars().take(60).collect();
            format!("invalid {header} value {text:?}: {error}")
        })
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_is_read_as_python_writes_it() {
        let read = |text| time("eta", Some(text)).unwrap().unwrap().to_rfc3339();
        assert_eq!(
            read("2026-11-26T13:00:00.250000+09:00"),
            "2026-11-26T04:00:00.250+00:00"
        );
        assert_eq!(read("2026-11-26T13:00:00"), "2026-11-26T13:00:00+00:00");
        assert_eq!(read("2026-11-26T13:00:00Z"), "2026-11-26T13:00:00+00:00");
        assert!(
            time("eta", Some("tomorrow"))
                .unwrap_err()
                .contains("invalid eta value")
        );
    }
}
