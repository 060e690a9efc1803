//! The exchanges and queues of remote control, and the form of a command and of a reply (`kombu/pidbox.py`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::brokers::{Destination, Exchange, ExchangeKind, Queue};
use crate::protocol::Message;

/// Commands go to everybody; each worker looks whether they are for it.
pub(crate) fn commands() -> Destination {
    Destination {
        exchange: exchange("celery.pidbox", ExchangeKind::Fanout),
        routing_key: String::new(),
        may_be_dropped: true,
        declare: None,
    }
}

/// Where a worker reads commands.
pub(crate) fn inbox(node: &str) -> Queue {
    Queue {
        exchange: exchange("celery.pidbox", ExchangeKind::Fanout),
        routing_key: String::new(),
        message_ttl: Some(Duration::from_mins(5)),
        ..temporary(format!("{node}.celery.pidbox"))
    }
}

const REPLIES: &str = "reply.celery.pidbox";

/// Where a client reads replies.
pub(crate) fn replies(oid: &str) -> Queue {
    Queue {
        exchange: exchange(REPLIES, ExchangeKind::Direct),
        routing_key: oid.to_owned(),
        ..temporary(format!("{oid}.{REPLIES}"))
    }
}

/// A queue of one process, that goes with it. kombu's arguments, since a queue that is declared with others is refused.
fn temporary(name: String) -> Queue {
    Queue {
        durable: false,
        exclusive: true,
        auto_delete: true,
        expires: Some(Duration::from_secs(10)),
        ..Queue::new(name)
    }
}

fn exchange(name: &str, kind: ExchangeKind) -> Exchange {
    Exchange {
        name: name.to_owned(),
        kind,
        durable: false,
    }
}

/// A command, as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) arguments: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) destination: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) pattern: Option<String>,
    #[serde(default)]
    pub(crate) matcher: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ticket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<ReplyTo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReplyTo {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
}

impl Command {
    /// The message of a command, which nobody obeys any more after `lifetime`.
    pub(crate) fn message(
        &self,
        clock: u64,
        lifetime: Option<Duration>,
    ) -> Result<Message, serde_json::Error> {
        let expires = lifetime.map_or(json!(0), |lifetime| json!(now() + lifetime.as_secs_f64()));
        let mut message = Message::json(serde_json::to_vec(self)?);
        message.headers.insert("clock".to_owned(), clock.into());
        message.headers.insert("expires".to_owned(), expires);
        message.properties.transient = true;
        Ok(message)
    }

    /// Whether this worker is meant.
    pub(crate) fn is_for(&self, node: &str) -> bool {
        let named = match &self.destination {
            Some(nodes) => nodes.iter().any(|name| name == node),
            None => true,
        };
        // Python's `pcre` is left out: nothing here reads regular expressions, and a worker that guesses might shut down.
        let matched = match (&self.pattern, self.matcher.as_deref()) {
            (None, _) => true,
            (Some(pattern), None | Some("glob")) => glob(pattern.as_bytes(), node.as_bytes()),
            (Some(_), Some(_)) => false,
        };
        named && matched
    }
}

/// Whether a command or a reply is still to be read.
pub(crate) fn is_current(headers: &Map<String, Value>) -> bool {
    let expires = headers.get("expires").and_then(Value::as_f64);
    expires.is_none_or(|expires| expires == 0.0 || now() <= expires)
}

/// Where a reply goes, and what it is.
pub(crate) fn reply(
    to: &ReplyTo,
    ticket: &str,
    clock: u64,
    node: &str,
    answer: &Value,
) -> (Message, Destination) {
    let mut message = Message::json(json!({ node: answer }).to_string());
    message.headers.insert("ticket".to_owned(), ticket.into());
    message.headers.insert("clock".to_owned(), clock.into());
    message.properties.transient = true;
    let destination = Destination {
        exchange: exchange(&to.exchange, ExchangeKind::Direct),
        routing_key: to.routing_key.clone(),
        may_be_dropped: true,
        declare: None,
    };
    (message, destination)
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// `*` is any text and `?` any character, as in Python's `fnmatch`; it takes time in proportion to both lengths at most.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut to, mut star) = (0, 0, None);
    while to < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, to));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[to] => {
                at += 1;
                to += 1;
            }
            _ => {
                let Some((seen, taken)) = star else {
                    return false;
                };
                star = Some((seen, taken + 1));
                at = seen + 1;
                to = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(
        destination: Option<&[&str]>,
        pattern: Option<&str>,
        matcher: Option<&str>,
    ) -> Command {
        Command {
            method: "ping".to_owned(),
            arguments: None,
            destination: destination
                .map(|names| names.iter().map(|&name| name.to_owned()).collect()),
            pattern: pattern.map(str::to_owned),
            matcher: matcher.map(str::to_owned),
            ticket: None,
            reply_to: None,
        }
    }

    #[test]
    fn a_command_is_for_everybody_or_for_those_it_names() {
        assert!(command(None, None, None).is_for("w1@host"));
        assert!(command(Some(&["w2@host", "w1@host"]), None, None).is_for("w1@host"));
        assert!(!command(Some(&["w2@host"]), None, None).is_for("w1@host"));
        assert!(!command(Some(&[]), None, None).is_for("w1@host"));
    }

    #[test]
    fn a_pattern_names_workers_as_a_glob() {
        assert!(command(None, Some("w?@*"), Some("glob")).is_for("w1@host"));
        assert!(!command(None, Some("x*"), Some("glob")).is_for("w1@host"));
        assert!(!command(None, Some("w.*"), Some("pcre")).is_for("w1@host"));
        assert!(glob(b"a*b*c", b"a__b_b__c"));
        assert!(!glob(b"a*b*c", b"a__b_b__"));
        assert!(glob(b"*", b""));
    }

    #[test]
    fn a_command_that_is_too_old_is_not_obeyed() {
        let message = |lifetime| command(None, None, None).message(1, lifetime).unwrap();
        assert!(is_current(&message(None).headers));
        assert!(is_current(&message(Some(Duration::from_mins(1))).headers));
        assert!(!is_current(
            &json!({"expires": now() - 1.0}).as_object().unwrap().clone()
        ));
    }
}
