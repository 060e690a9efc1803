//! `messages` and `DEFAULT_MESSAGE_LEVELS`.

use std::fmt;
use std::sync::Arc;

use minijinja::context;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};

use super::super::context::Page;
use super::super::later::Later;
use super::super::{TemplateError, TemplateRequest};
use crate::messages::{DEFAULT_LEVELS, Message, Messages};

pub(super) fn values(page: &Arc<Page>) -> Value {
    let messages = match page.request.extensions().get::<Messages>().cloned() {
        Some(messages) => Value::from_object(MessageList {
            messages: page.later(async move { Ok(Arc::from(messages.peek().await?)) }),
            page: Arc::clone(page),
        }),
        // Django gives an empty list, too, where its middleware is missing.
        None => Value::from(Vec::<Value>::new()),
    };
    let levels = DEFAULT_LEVELS.map(|(name, level)| (name, level.get()));
    let levels = Value::from_pairs(levels);
    context! { messages, DEFAULT_MESSAGE_LEVELS => levels }
}

/// After a page: the messages that it has shown are gone.
pub(in super::super) async fn shown(request: &TemplateRequest) -> Result<(), TemplateError> {
    if let Some(messages) = request.extensions().get::<Messages>() {
        messages.take().await?;
    }
    Ok(())
}

/// The visitor's messages. They are looked at once a template asks for them, and are shown once it goes through them.
#[derive(Debug)]
struct MessageList {
    messages: Arc<Later<Arc<[Message]>>>,
    page: Arc<Page>,
}

impl Object for MessageList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, index: &Value) -> Option<Value> {
        match self.messages.value() {
            Ok(messages) => {
                let message = messages.get(index.as_usize()?)?;
                Some(MessageObject::value(message))
            }
            Err(error) => Some(Value::from(error)),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.messages.value() {
            Ok(messages) => {
                self.page.shows_messages();
                Enumerator::Seq(messages.len())
            }
            Err(error) => Enumerator::Iter(Box::new(std::iter::once(Value::from(error)))),
        }
    }

    /// To count them, or to ask whether there are any, is not to show them.
    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        let messages = self.messages.value().ok()?;
        Some(messages.len())
    }
}

/// A message. It prints as its text.
#[derive(Debug)]
pub(in super::super) struct MessageObject(Message);

impl MessageObject {
    fn value(message: &Message) -> Value {
        Value::from_object(Self(message.clone()))
    }

    /// The text, and whether it is HTML that need not be escaped.
    pub(in super::super) fn text(&self) -> Value {
        if self.0.is_safe() {
            Value::from_safe_string(self.0.message().to_owned())
        } else {
            Value::from(self.0.message())
        }
    }
}

impl Object for MessageObject {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        Some(match name.as_str()? {
            "message" => self.text(),
            "level" => Value::from(self.0.level().get()),
            "level_tag" => Value::from(self.0.level_tag()),
            "tags" => Value::from(self.0.tags()),
            "extra_tags" => Value::from(self.0.extra_tags()),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["message", "level", "level_tag", "tags", "extra_tags"])
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}
