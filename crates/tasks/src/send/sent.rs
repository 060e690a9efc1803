//! The event `task-sent`, where `task_send_sent_event` asks for it.

use serde_json::{Map, Value};

use super::Call;
use crate::app::App;

/// What it says, by the names of the headers that say so.
const FIELDS: [(&str, &str); 9] = [
    ("uuid", "id"),
    ("root_id", "root_id"),
    ("parent_id", "parent_id"),
    ("name", "task"),
    ("args", "argsrepr"),
    ("kwargs", "kwargsrepr"),
    ("retries", "retries"),
    ("eta", "eta"),
    ("expires", "expires"),
];

/// Tells monitors that a task was sent. It waits for nothing.
pub(super) fn tell(app: &App, call: &Call) {
    if !app.settings().task_send_sent_event {
        return;
    }
    let header = |name: &str| call.message.headers.get(name).cloned();
    let mut event: Map<String, Value> = FIELDS
        .iter()
        .map(|(field, name)| ((*field).to_owned(), header(name).unwrap_or(Value::Null)))
        .collect();
    let to = &call.destination;
    let queue = to.declare.as_ref().map(|queue| queue.name.clone());
    event.insert("queue".to_owned(), queue.into());
    event.insert("exchange".to_owned(), to.exchange.name.clone().into());
    event.insert("routing_key".to_owned(), to.routing_key.clone().into());
    app.events().send("task-sent", 0, event.into());
}
