use quintette_core::json::RawJson;
use serde_json::Value;

use super::serializer::{ContentError, ContentPolicy};
use super::v1::{self, InvalidV1};
use super::{Body, InvalidBody, InvalidHeader, Message, TaskHeaders};

/// A task's message, read: protocol 2, and protocol 1 as if it were 2.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskMessage {
    /// Which task, and how.
    pub headers: TaskHeaders,
    /// With which arguments, and what comes after.
    pub body: Body,
}

impl TaskMessage {
    /// Reads a message: its content type, its compression and its protocol.
    ///
    /// ```
    /// use quintette_tasks::protocol::serializer::ContentPolicy;
    /// use quintette_tasks::protocol::{Message, TaskMessage};
    ///
    /// // As Celery 3 wrote it, and a Celery with `task_protocol = 1` still does.
    /// let message = Message::json(r#"{"task": "shop.add", "id": "1", "args": [2, 3], "kwargs": {}, "taskset": "9"}"#);
    /// let task = TaskMessage::read(&message, &ContentPolicy::default())?;
    /// assert_eq!(task.headers.task, "shop.add");
    /// assert_eq!(task.headers.group.as_deref(), Some("9"));
    /// assert_eq!(task.headers.argsrepr.as_deref(), Some("(2, 3)"));
    /// # Ok::<(), quintette_tasks::protocol::InvalidMessage>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where Celery would reject the message: see [`InvalidMessage`].
    pub fn read(message: &Message, policy: &ContentPolicy) -> Result<Self, InvalidMessage> {
        let compression = match message.headers.get("compression") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.as_str()),
            Some(_) => {
                return Err(InvalidMessage::Header(InvalidHeader {
                    name: "compression".to_owned(),
                }));
            }
        };
        let body = policy.decode(&message.body, &message.content_type, compression)?;
        Self::of_body(message, &body)
    }

    fn of_body(message: &Message, body: &RawJson) -> Result<Self, InvalidMessage> {
        if body.as_str().trim_start().starts_with('{') {
            return Ok(v1::read(message.headers.clone(), body)?);
        }
        // Without these, neither a name nor an id could be told.
        let headers = TaskHeaders::read(message.headers.clone())?;
        Ok(Self {
            headers,
            body: Body::parse(body)?,
        })
    }
}

/// A message that is no task's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// A content type that is not accepted, or a body that is not of it.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A header that is missing or of a wrong type.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// A body of another shape.
    #[error(transparent)]
    Body(#[from] InvalidBody),
    /// A body of protocol 1 that is none.
    #[error(transparent)]
    V1(#[from] InvalidV1),
}

#[cfg(test)]
mod tests;
