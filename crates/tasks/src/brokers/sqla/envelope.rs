//! A message in a row: the JSON of kombu's virtual transports.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::brokers::{Destination, Malformed};
use crate::protocol::{Message, Properties};

/// A message as it was in a row, and where it was sent.
pub(super) struct Opened {
    pub(super) message: Result<Message, Malformed>,
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) redelivered: bool,
}

/// The row's text.
pub(super) fn seal(message: &Message, to: &Destination) -> String {
    let Properties {
        correlation_id,
        reply_to,
        priority,
        expiration,
        transient,
    } = &message.properties;
    let mut properties = json!({
        "delivery_mode": if *transient { 1 } else { 2 },
        "delivery_info": {"exchange": to.exchange.name, "routing_key": to.routing_key},
        "priority": priority.unwrap_or(0),
        "body_encoding": "base64",
        "delivery_tag": uuid::Uuid::new_v4().to_string(),
    });
    let optional = [
        ("correlation_id", correlation_id.clone()),
        ("reply_to", reply_to.clone()),
        ("expiration", expiration.map(|ms| ms.to_string())),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            properties[name] = text.into();
        }
    }
    json!({
        "body": STANDARD.encode(&message.body),
        "content-encoding": message.content_encoding,
        "content-type": message.content_type,
        "headers": message.headers,
        "properties": properties,
    })
    .to_string()
}

/// Reads a row's text.
pub(super) fn open(text: &str) -> Opened {
    let malformed = |reason: String| Opened {
        message: Err(Malformed {
            reason,
            raw: text.as_bytes().to_vec().into(),
        }),
        exchange: String::new(),
        routing_key: String::new(),
        redelivered: false,
    };
    let written: Written = match serde_json::from_str(text) {
        Ok(written) => written,
        Err(error) => return malformed(format!("it is not JSON as kombu writes it: {error}")),
    };
    let body = match written.properties.body_encoding.as_deref() {
        Some("base64") => match STANDARD.decode(&written.body) {
            Ok(body) => body,
            Err(error) => return malformed(format!("its body is not base64: {error}")),
        },
        None => written.body.into_bytes(),
        Some(other) => return malformed(format!("its body is encoded as {other:?}")),
    };
    let delivery_info = written.properties.delivery_info;
    let properties = Properties {
        correlation_id: written.properties.correlation_id,
        reply_to: written.properties.reply_to,
        priority: written.properties.priority,
        expiration: written.properties.expiration.and_then(milliseconds),
        transient: written.properties.delivery_mode == Some(1),
    };
    Opened {
        exchange: delivery_info.exchange.unwrap_or_default(),
        routing_key: delivery_info.routing_key.unwrap_or_default(),
        // Celery reads the one, and kombu writes the other.
        redelivered: delivery_info.redelivered == Some(true) || written.redelivered == Some(true),
        message: Ok(Message {
            headers: written.headers.unwrap_or_default(),
            properties,
            content_type: Cow::Owned(written.content_type.unwrap_or_default()),
            content_encoding: Cow::Owned(written.content_encoding.unwrap_or_default()),
            body: body.into(),
        }),
    }
}

/// Text from Celery, and from others a number.
fn milliseconds(value: Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    body: String,
    content_type: Option<String>,
    content_encoding: Option<String>,
    headers: Option<Map<String, Value>>,
    redelivered: Option<bool>,
    #[serde(default)]
    properties: WrittenProperties,
}

#[derive(Default, Deserialize)]
struct WrittenProperties {
    correlation_id: Option<String>,
    reply_to: Option<String>,
    priority: Option<u8>,
    expiration: Option<Value>,
    delivery_mode: Option<u8>,
    body_encoding: Option<String>,
    #[serde(default)]
    delivery_info: DeliveryInfo,
}

#[derive(Default, Deserialize)]
struct DeliveryInfo {
    exchange: Option<String>,
    routing_key: Option<String>,
    redelivered: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brokers::Queue;

    #[test]
    fn what_is_sealed_is_opened_again() {
        let mut message = Message::json("[[1], {}, null]");
        message
            .headers
            .insert("task".to_owned(), "probe.add".into());
        message.properties = Properties {
            correlation_id: Some("id".to_owned()),
            reply_to: Some("oid".to_owned()),
            priority: Some(3),
            expiration: Some(1_500),
            transient: true,
        };
        let opened = open(&seal(&message, &Destination::queue(Queue::new("celery"))));
        assert_eq!(opened.message.unwrap(), message);
        assert_eq!(opened.routing_key, "celery");
        assert!(!opened.redelivered);
    }

    #[test]
    fn what_is_no_message_says_why() {
        for (text, reason) in [
            ("é".repeat(500).as_str(), "JSON"),
            (
                r#"{"body": "!", "properties": {"body_encoding": "base64"}}"#,
                "base64",
            ),
            (
                r#"{"body": "", "properties": {"body_encoding": "rot13"}}"#,
                "rot13",
            ),
            (r#"{"properties": {}}"#, "body"),
        ] {
            let malformed = open(text).message.unwrap_err();
            assert!(malformed.reason.contains(reason), "{malformed:?}");
            assert_eq!(malformed.raw, text);
        }
    }
}
