//! Messages as JSON: `MessageEncoder` and `MessageDecoder` of `django/contrib/messages/storage/cookie.py`.

use quintette_core::json::{RawJson, escape_key, unescape_key};

use crate::messages::Message;

/// What marks an array as a message.
const MESSAGE_KEY: &str = "\"__json_message\"";
/// What ends the list in a cookie that has not all the messages.
pub(super) const NOT_FINISHED: &str = "\"__messagesnotfinished__\"";

/// How Python separates the items of an array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Separator {
    /// As in cookies, where each byte counts.
    Compact,
    /// As `json.dumps` does by itself, and Django in sessions.
    Spaced,
}

impl Separator {
    fn text(self) -> &'static str {
        match self {
            Self::Compact => ",",
            Self::Spaced => ", ",
        }
    }
}

/// One message.
pub(super) fn encode(message: &Message, separator: Separator) -> String {
    let comma = separator.text();
    let safe = u8::from(message.is_safe());
    let level = message.level();
    let text = escape_key(message.message());
    let mut json = format!("[{MESSAGE_KEY}{comma}{safe}{comma}{level}{comma}\"{text}\"");
    if let Some(tags) = message.extra_tags() {
        json.push_str(comma);
        json.push('"');
        json.push_str(&escape_key(tags));
        json.push('"');
    }
    json.push(']');
    json
}

/// A list of encoded messages.
pub(super) fn join<'a>(parts: impl IntoIterator<Item = &'a str>, separator: Separator) -> String {
    let mut json = String::from("[");
    for part in parts {
        if json.len() > 1 {
            json.push_str(separator.text());
        }
        json.push_str(part);
    }
    json.push(']');
    json
}

/// A list that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) messages: Vec<Message>,
    /// The list ends with [`NOT_FINISHED`].
    pub(super) is_cut: bool,
}

/// The messages of a list; `None` where it is none. What is no message in it is left out.
pub(super) fn decode(json: &RawJson) -> Option<Decoded> {
    let items: Vec<RawJson> = json.deserialize().ok()?;
    let is_cut = items
        .last()
        .is_some_and(|last| last.as_str() == NOT_FINISHED);
    let whole = items.len() - usize::from(is_cut);
    let messages = items[..whole].iter().filter_map(message).collect();
    Some(Decoded { messages, is_cut })
}

fn message(json: &RawJson) -> Option<Message> {
    let fields: Vec<RawJson> = json.deserialize().ok()?;
    let (key, safe, level, text, tags) = match &fields[..] {
        [key, safe, level, text] => (key, safe, level, text, None),
        [key, safe, level, text, tags] => (key, safe, level, text, Some(tags)),
        _ => return None,
    };
    if key.as_str() != MESSAGE_KEY {
        return None;
    }
    let mut message = Message::new(level.deserialize::<i64>().ok()?, string(text)?);
    if let Some(tags) = tags.and_then(string) {
        message = message.with_extra_tags(tags);
    }
    Some(match safe.as_str() {
        "1" | "true" => message.mark_safe(),
        _ => message,
    })
}

/// A string, in which a lone surrogate, which Python's can hold and Rust's cannot, becomes U+FFFD.
fn string(json: &RawJson) -> Option<String> {
    let quoted = json.as_str().strip_prefix('"')?.strip_suffix('"')?;
    Some(unescape_key(quoted).into_owned())
}
