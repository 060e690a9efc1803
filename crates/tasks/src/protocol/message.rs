use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};

/// The content type of nearly every message.
pub const JSON: &str = "application/json";

/// One message: what a broker carries, of a task or of anything else.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The application's headers. Those of a task are read with [`TaskHeaders::read`](super::TaskHeaders::read).
    pub headers: Map<String, Value>,
    /// What AMQP knows of a message.
    pub properties: Properties,
    /// Such as `application/json`.
    pub content_type: Cow<'static, str>,
    /// Such as `utf-8`; `binary` where the body is no text.
    pub content_encoding: Cow<'static, str>,
    /// The body as it travels, compressed where a header says so.
    pub body: Bytes,
}

/// A message's AMQP properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The task's id.
    pub correlation_id: Option<String>,
    /// The queue that the client reads RPC results from.
    pub reply_to: Option<String>,
    /// 0 to 255. `RabbitMQ` runs the higher first, Redis the lower.
    pub priority: Option<u8>,
    /// After how many milliseconds in a queue the message is dropped.
    pub expiration: Option<u64>,
    /// Whether the message is kept in memory alone (`delivery_mode` 1).
    pub transient: bool,
}

impl Message {
    /// A JSON message without headers: an event, a command or a reply.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self {
            headers: Map::new(),
            properties: Properties::default(),
            content_type: Cow::Borrowed(JSON),
            content_encoding: Cow::Borrowed("utf-8"),
            body: body.into(),
        }
    }
}
