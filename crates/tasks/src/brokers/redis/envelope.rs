//! Messages as kombu writes them into lists: one JSON object each, the body in base64.

use std::borrow::Cow;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quintette_core::json::{RawJson, escape_key, parse_object, write_object};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::keys::step;
use crate::brokers::Malformed;
use crate::protocol::{Message, Properties};

/// The header by which kombu tells that it delivers again.
const REDELIVERED: &str = "redelivered";

/// The message as kombu would write it.
pub(super) fn write(message: &Message, exchange: &str, routing_key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.body.len() * 4 / 3 + 1536);
    out.extend_from_slice(b"{\"body\": \"");
    let start = out.len();
    out.resize(start + message.body.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(&message.body, &mut out[start..]);
    out.truncate(start + written.expect("the room that base64 needs is there"));
    out.extend_from_slice(b"\", \"content-encoding\": ");
    json(&mut out, &message.content_encoding);
    out.extend_from_slice(b", \"content-type\": ");
    json(&mut out, &message.content_type);
    out.extend_from_slice(b", \"headers\": ");
    json(&mut out, &message.headers);
    out.extend_from_slice(b", \"properties\": {");
    let properties = &message.properties;
    for (name, value) in [
        ("correlation_id", &properties.correlation_id),
        ("reply_to", &properties.reply_to),
    ] {
        if let Some(value) = value {
            put(&mut out, format_args!("\"{name}\": "));
            json(&mut out, value);
            out.extend_from_slice(b", ");
        }
    }
    if let Some(expiration) = properties.expiration {
        put(&mut out, format_args!("\"expiration\": \"{expiration}\", "));
    }
    let mode = if properties.transient { 1 } else { 2 };
    put(
        &mut out,
        format_args!("\"delivery_mode\": {mode}, \"delivery_info\": {{\"exchange\": "),
    );
    json(&mut out, &exchange);
    out.extend_from_slice(b", \"routing_key\": ");
    json(&mut out, &routing_key);
    let priority = properties.priority.unwrap_or(0);
    let tag = Uuid::new_v4();
    put(
        &mut out,
        format_args!(
            "}}, \"priority\": {priority}, \"body_encoding\": \"base64\", \"delivery_tag\": \"{tag}\"}}}}"
        ),
    );
    out
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("strings, and maps of strings, are JSON");
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory can be written to");
}

/// What was in a list.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) message: Result<Message, Malformed>,
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) redelivered: bool,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    body: Option<Cow<'a, str>>,
    #[serde(rename = "content-encoding")]
    content_encoding: Option<String>,
    #[serde(rename = "content-type")]
    content_type: Option<String>,
    headers: Option<Map<String, Value>>,
    properties: Map<String, Value>,
}

/// Reads what was in a list.
pub(super) fn read(raw: &[u8]) -> Envelope {
    let written: Written<'_> = match serde_json::from_slice(raw) {
        Ok(written) => written,
        Err(error) => return malformed(raw, error.to_string()),
    };
    let body = written.body.unwrap_or_default();
    let encoding = written.properties.get("body_encoding");
    let body = match encoding.and_then(Value::as_str) {
        Some("base64") => match STANDARD.decode(body.as_bytes()) {
            Ok(body) => Bytes::from(body),
            Err(error) => return malformed(raw, format!("its body is no base64: {error}")),
        },
        _ => Bytes::from(body.into_owned()),
    };
    let mut headers = written.headers.unwrap_or_default();
    let properties = &written.properties;
    let info = properties.get("delivery_info");
    let detail = |name: &str| info.and_then(|info| info.get(name));
    let text = |name: &str| {
        let value = detail(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    // What tells of this delivery is no header of the application's, and must not go along with a retry.
    let is_true = |value: &Value| value.as_bool() == Some(true);
    let redelivered = headers.remove(REDELIVERED).as_ref().is_some_and(is_true)
        || detail(REDELIVERED).is_some_and(is_true);
    Envelope {
        exchange: text("exchange"),
        routing_key: text("routing_key"),
        redelivered,
        message: Ok(Message {
            headers,
            properties: read_properties(properties),
            content_type: owned_or(written.content_type, crate::protocol::JSON),
            content_encoding: owned_or(written.content_encoding, "utf-8"),
            body,
        }),
    }
}

fn read_properties(properties: &Map<String, Value>) -> Properties {
    let text = |name: &str| properties.get(name)?.as_str().map(str::to_owned);
    let number = |name: &str| match properties.get(name)? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    Properties {
        correlation_id: text("correlation_id"),
        reply_to: text("reply_to"),
        priority: number("priority").map(|priority| u8::try_from(priority).unwrap_or(u8::MAX)),
        expiration: number("expiration"),
        transient: number("delivery_mode") == Some(1),
    }
}

fn owned_or(text: Option<String>, otherwise: &'static str) -> Cow<'static, str> {
    text.filter(|text| text != otherwise)
        .map_or(Cow::Borrowed(otherwise), Cow::Owned)
}

fn malformed(raw: &[u8], reason: String) -> Envelope {
    Envelope {
        message: Err(Malformed {
            reason,
            raw: Bytes::copy_from_slice(raw),
        }),
        exchange: String::new(),
        routing_key: String::new(),
        redelivered: false,
    }
}

/// Which list of its queue a message belongs into.
pub(super) fn step_of(raw: &RawJson) -> u8 {
    #[derive(Deserialize)]
    struct Read {
        properties: Priority,
    }
    #[derive(Deserialize)]
    struct Priority {
        priority: Value,
    }
    let priority = match raw.deserialize::<Read>() {
        Ok(read) => read.properties.priority,
        Err(_) => return 0,
    };
    let text = |text: &str| text.trim().parse().ok();
    step(
        priority
            .as_i64()
            .or(priority.as_str().and_then(text))
            .unwrap_or(0),
    )
}

/// The message with another value of a header. The rest of it keeps its text.
pub(super) fn with_header(raw: &RawJson, name: &str, value: RawJson) -> Option<RawJson> {
    let mut message = parse_object(raw.as_str().as_bytes()).ok()?;
    let mut headers = parse_object(message.get("headers")?.as_str().as_bytes()).ok()?;
    headers.insert(escape_key(name).into(), value);
    message.insert("headers".into(), object(&headers)?);
    object(&message)
}

/// The message as it is delivered again. The rest of it keeps its text.
pub(super) fn redelivered(raw: &RawJson) -> Option<String> {
    let yes = RawJson::from_value(&true).ok()?;
    let raw = with_header(raw, REDELIVERED, yes.clone())?;
    let mut message = parse_object(raw.as_str().as_bytes()).ok()?;
    let mut properties = parse_object(message.get("properties")?.as_str().as_bytes()).ok()?;
    if let Some(info) = properties.get("delivery_info")
        && let Ok(mut info) = parse_object(info.as_str().as_bytes())
    {
        info.insert(REDELIVERED.into(), yes);
        properties.insert("delivery_info".into(), object(&info)?);
        message.insert("properties".into(), object(&properties)?);
    }
    Some(object(&message)?.as_str().to_owned())
}

fn object(members: &indexmap::IndexMap<Box<str>, RawJson>) -> Option<RawJson> {
    let members = members.iter().map(|(name, value)| (&**name, value));
    RawJson::parse(&write_object(members)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let mut message = Message::json("[[1], {}, {}]");
        message.headers.insert("task".into(), "probe.add".into());
        message.properties.priority = Some(6);
        message.properties.correlation_id = Some("é\"".into());
        message
    }

    #[test]
    fn what_is_written_is_read() {
        let read = read(&write(&message(), "", "celery"));
        assert_eq!(read.message, Ok(message()));
        assert_eq!(read.routing_key, "celery");
        assert!(!read.redelivered);
    }

    #[test]
    fn a_message_delivered_again_says_so() {
        let raw = String::from_utf8(write(&message(), "", "celery")).unwrap();
        let raw = RawJson::parse(&raw).unwrap();
        let once = RawJson::parse(&redelivered(&raw).unwrap()).unwrap();
        let twice = redelivered(&once).unwrap();
        let read = read(twice.as_bytes());
        assert!(read.redelivered);
        assert_eq!(read.message, Ok(message()));
        assert_eq!(step_of(&raw), 6);
    }

    #[test]
    fn a_header_of_a_message_can_be_changed() {
        let raw = String::from_utf8(write(&message(), "", "celery")).unwrap();
        let mut changed = RawJson::parse(&raw).unwrap();
        for count in 1..3 {
            changed = with_header(&changed, "count", RawJson::from(count)).unwrap();
        }
        let mut expected = message();
        expected.headers.insert("count".into(), 2.into());
        assert_eq!(read(changed.as_str().as_bytes()).message, Ok(expected));
    }

    #[test]
    fn what_is_no_message_is_told() {
        for raw in [
            &b"\xff\x00"[..],
            b"",
            b"[]",
            b"{}",
            b"{\"body\": 1, \"properties\": {}}",
        ] {
            assert_eq!(read(raw).message.unwrap_err().raw, raw);
        }
    }
}
