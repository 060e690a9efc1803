//! Messages and deliveries as AMQP carries them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;
use serde_json::{Map, Value};

use crate::brokers::{Delivery, Malformed, Queue};
use crate::protocol::{JSON, Message, Properties};

use super::{delayed, table};

/// How often a quorum queue has delivered the message before.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// What the broker itself writes. Sent again with a retry, it would take the message for one that goes in circles, and drop it.
const BROKERS_OWN: [&str; 5] = [
    DELIVERY_COUNT,
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
];

/// A message's properties, or what of it AMQP cannot carry.
pub(super) fn properties(message: &Message) -> Result<BasicProperties, String> {
    let own = |name: &String| BROKERS_OWN.contains(&name.as_str());
    let headers = if message.headers.keys().any(own) {
        let mut headers = message.headers.clone();
        headers.retain(|name, _| !BROKERS_OWN.contains(&name.as_str()));
        table::write(&headers)
    } else {
        table::write(&message.headers)
    };
    let mut properties = BasicProperties::default()
        .with_headers(headers.map_err(|what| format!("a header: {what}"))?)
        .with_content_type(short("the content type", &message.content_type)?)
        .with_content_encoding(short("the content encoding", &message.content_encoding)?)
        .with_delivery_mode(if message.properties.transient { 1 } else { 2 });
    let given = &message.properties;
    if let Some(priority) = given.priority {
        properties = properties.with_priority(priority);
    }
    if let Some(id) = &given.correlation_id {
        properties = properties.with_correlation_id(short("the correlation id", id)?);
    }
    if let Some(reply_to) = &given.reply_to {
        properties = properties.with_reply_to(short("reply_to", reply_to)?);
    }
    if let Some(expiration) = given.expiration {
        properties = properties.with_expiration(short("the expiration", &expiration.to_string())?);
    }
    Ok(properties)
}

/// Refuses headers that fit into no frame: AMQP sends all properties in one.
pub(super) fn fits(message: &Message, frame_max: u32) -> Result<(), String> {
    // The frame's own bytes, what comes before the properties, the delivery mode and the priority.
    const BESIDE: usize = 8 + 14 + 2;
    let given = &message.properties;
    let expiration = given.expiration.map(|expiration| expiration.to_string());
    let texts = [
        Some(&*message.content_type),
        Some(&*message.content_encoding),
        given.correlation_id.as_deref(),
        given.reply_to.as_deref(),
        expiration.as_deref(),
    ];
    let texts: usize = texts.iter().flatten().map(|text| 1 + text.len()).sum();
    let length = BESIDE + texts + table::length(&message.headers);
    match usize::try_from(frame_max) {
        Ok(most) if length > most => Err(format!(
            "its headers take {length} bytes, and the broker's frames have room for {most}"
        )),
        _ => Ok(()),
    }
}

/// A text of at most 255 bytes.
pub(super) fn short(what: &str, text: &str) -> Result<ShortString, String> {
    ShortString::try_new(text).map_err(|_| format!("{what} is longer than 255 bytes: {text:.40}…"))
}

/// What a consumer of a queue was given.
pub(super) fn delivery(
    queue: &Queue,
    name: &Arc<str>,
    given: lapin::message::Delivery,
) -> Delivery {
    let headers = given.properties.headers().as_ref();
    let headers = headers.map_or_else(|| Ok(Map::new()), table::read);
    let mut delivery = Delivery {
        tag: given.delivery_tag,
        queue: Arc::clone(name),
        exchange: given.exchange.to_string(),
        routing_key: given.routing_key.to_string(),
        redelivered: given.redelivered,
        deliveries: None,
        message: Err(Malformed {
            reason: String::new(),
            raw: Bytes::new(),
        }),
    };
    delayed::restore(&mut delivery, queue);
    delivery.message = match headers {
        Ok(mut headers) => {
            // A quorum queue counts each delivery, also of what was held for long and never begun.
            headers.remove(DELIVERY_COUNT);
            Ok(message(headers, &given.properties, given.data))
        }
        Err(reason) => Err(Malformed {
            reason: reason.to_owned(),
            raw: Bytes::from(given.data),
        }),
    };
    delivery
}

fn message(headers: Map<String, Value>, given: &BasicProperties, body: Vec<u8>) -> Message {
    let text = |text: &Option<ShortString>| text.as_ref().map(ShortString::to_string);
    Message {
        headers,
        properties: Properties {
            correlation_id: text(given.correlation_id()),
            reply_to: text(given.reply_to()),
            priority: *given.priority(),
            expiration: text(given.expiration()).and_then(|milliseconds| milliseconds.parse().ok()),
            transient: *given.delivery_mode() != Some(2),
        },
        content_type: known(given.content_type().as_ref(), "application/data"),
        content_encoding: known(given.content_encoding().as_ref(), "utf-8"),
        body: Bytes::from(body),
    }
}

/// What kombu takes it for where nothing is said; without an allocation for what nearly every message says.
fn known(text: Option<&ShortString>, default: &'static str) -> Cow<'static, str> {
    match text.map(ShortString::as_str) {
        None | Some("") => Cow::Borrowed(default),
        Some(JSON) => Cow::Borrowed(JSON),
        Some("utf-8") => Cow::Borrowed("utf-8"),
        Some(other) => Cow::Owned(other.to_owned()),
    }
}
