use std::collections::HashMap;

use quintette_core::json::RawJson;
use quintette_core::session::{Session, SessionError};

use super::format::{self, Separator};
use super::{Held, Loaded, Unread};
use crate::messages::Message;

/// Django's `session_key`.
const KEY: &str = "_messages";

/// Messages in the session: `django.contrib.messages.storage.session.SessionStorage`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionStorage;

/// What to do where there is no session.
pub(super) const NO_SESSION: &str = "messages are stored in the session, but the MessagesLayer found none: add \
    `.layer(quintette::sessions::SessionLayer::new(sessions))` to the Router after (that is, outside of) the \
    MessagesLayer, or set MESSAGE_STORAGE to \"django.contrib.messages.storage.cookie.CookieStorage\"";

/// What a session held.
#[derive(Debug, Default)]
pub(super) struct InSession {
    pub(super) messages: Vec<Message>,
}

impl SessionStorage {
    pub(super) async fn load(self, session: &Session) -> Result<InSession, SessionError> {
        let stored = session.raw(KEY).await?;
        Ok(InSession {
            messages: decode(stored.as_ref()),
        })
    }

    /// Stores these in place of those that the session holds in this request; where `read` says that this request has not
    /// looked at them, after them.
    pub(super) async fn store(
        self,
        unread: Unread,
        read: bool,
        session: &Session,
    ) -> Result<(), SessionError> {
        let seen = if read {
            self.load(session).await?.messages
        } else {
            Vec::new()
        };
        let update = move |stored: Option<RawJson>| {
            let messages = rebase(&unread, &seen, &decode(stored.as_ref()));
            (!messages.is_empty()).then(|| encode(&messages))
        };
        session.update_or_remove(KEY, update).await.map(drop)
    }
}

impl From<InSession> for Loaded {
    fn from(session: InSession) -> Self {
        Self {
            held: Held {
                session: !session.messages.is_empty(),
                session_read: true,
                ..Held::default()
            },
            messages: session.messages,
            damaged: false,
        }
    }
}

/// A JSON text, which the session's own JSON then quotes.
fn encode(messages: &[Message]) -> String {
    let parts: Vec<String> = messages
        .iter()
        .map(|message| format::encode(message, Separator::Spaced))
        .collect();
    format::join(parts.iter().map(String::as_str), Separator::Spaced)
}

fn decode(stored: Option<&RawJson>) -> Vec<Message> {
    let Some(stored) = stored else {
        return Vec::new();
    };
    let list = stored.deserialize().ok().and_then(|text: String| {
        let json = RawJson::parse(&text).ok()?;
        format::decode(&json)
    });
    let Some(list) = list else {
        tracing::warn!(target: "quintette::messages", "session[{KEY:?}] is no list of messages, and is ignored");
        return Vec::new();
    };
    list.messages
}

/// What is to be stored over `stored`, where this request has seen `seen`: what others have shown meanwhile is gone, and
/// what they have added stays.
fn rebase(unread: &Unread, seen: &[Message], stored: &[Message]) -> Vec<Message> {
    let gone = without(seen, stored);
    let mut messages = without(&unread.old, &gone);
    messages.extend(without(stored, seen));
    messages.extend(unread.new.iter().cloned());
    messages
}

/// The messages without one of its equals for each of `others`.
fn without(messages: &[Message], others: &[Message]) -> Vec<Message> {
    let mut counts = HashMap::<&Message, usize>::new();
    for other in others {
        *counts.entry(other).or_default() += 1;
    }
    let mut left = Vec::new();
    for message in messages {
        match counts.get_mut(message) {
            Some(count) if *count > 0 => *count -= 1,
            _ => left.push(message.clone()),
        }
    }
    left
}
