//! The commands that change something.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::{error, info, warn};

use super::super::handle::Shutdown;
use super::super::state::TimeLimits;
use super::Remote;
use super::events::heartbeat;
use super::inspect::ids;
use crate::app::App;
use crate::brokers::{Exchange, ExchangeKind, Queue};
use crate::error::Exception;
use crate::results::{State, StoreContext, TaskMeta};

/// Up to which remote control lets a pool grow: with as many, a worker would take whatever its queues hold into its memory.
const MOST_AT_ONCE: usize = 10_000;

#[expect(
    clippy::unnecessary_wraps,
    reason = "an answer; other commands have none"
)]
fn ok(what: impl Into<String>) -> Option<Value> {
    Some(json!({ "ok": what.into() }))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "an answer; other commands have none"
)]
fn not_ok(what: impl Into<String>) -> Option<Value> {
    Some(json!({ "error": what.into() }))
}

/// Does it, and says what is answered.
pub(super) async fn obey(
    remote: &Remote,
    method: &str,
    arguments: Map<String, Value>,
) -> Option<Value> {
    let handle = &remote.handle;
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    // Celery's default is one. What is no number from 0 is nobody's wish.
    let count = |name: &str| match arguments.get(name) {
        None | Some(Value::Null) => Some(1),
        Some(count) => count.as_u64().and_then(|count| count.try_into().ok()),
    };
    match method {
        "revoke" => {
            revoke(
                remote,
                &arguments,
                arguments.get("terminate").is_some_and(is_true),
            )
            .await
        }
        "terminate" => revoke(remote, &arguments, true).await,
        "revoke_by_stamped_headers" => revoke_stamped(remote, &arguments).await,
        "rate_limit" => rate_limit(remote, text("task_name"), arguments.get("rate_limit")),
        "time_limit" => time_limit(remote, text("task_name"), &arguments),
        "enable_events" if handle.enable_events() => ok("task events enabled"),
        "enable_events" => ok("task events already enabled"),
        "disable_events" if handle.disable_events() => ok("task events disabled"),
        "disable_events" => ok("task events already disabled"),
        "heartbeat" => {
            heartbeat(&handle.state, &remote.events, "worker-heartbeat");
            Some(Value::Null)
        }
        "hello" => hello(remote, &arguments).await,
        "pool_grow" | "pool_shrink" => match (method, count("n")) {
            (_, None) => not_ok("n is no number of tasks"),
            ("pool_grow", Some(n))
                if handle.state.concurrency().saturating_add(n) > MOST_AT_ONCE =>
            {
                not_ok(format!(
                    "no worker runs more than {MOST_AT_ONCE} tasks at once"
                ))
            }
            ("pool_grow", Some(n)) => {
                handle.pool_grow(n);
                ok("pool will grow")
            }
            (_, Some(n)) => {
                handle.pool_shrink(n);
                ok("pool will shrink")
            }
        },
        "shutdown" => {
            warn!("told to shut down by remote control");
            handle.shutdown(Shutdown::Warm);
            None
        }
        "add_consumer" => add_consumer(remote, &arguments),
        "cancel_consumer" => cancel_consumer(remote, text("queue")),
        // Gossip is Python's workers' own affair.
        "election" => None,
        "pool_restart" | "autoscale" => not_ok(format!(
            "{method} is not there: tasks here share one process, whose size pool_grow changes"
        )),
        _ => {
            error!("there is no control command {method:?}");
            not_ok(format!("there is no control command {method:?}"))
        }
    }
}

/// `true`, or what `celery control` makes of a word.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "yes" | "on" | "1"
        ),
        _ => false,
    }
}

async fn revoke(remote: &Remote, arguments: &Map<String, Value>, terminate: bool) -> Option<Value> {
    let handle = &remote.handle;
    let ids = ids(arguments.get("task_id"));
    if ids.is_empty() {
        return not_ok("task_id is missing: name a task's id, or a list of them");
    }
    info!("revoked: {}", ids.join(", "));
    let known = handle.state.find(&ids);
    handle.revoke(ids.clone(), terminate).await;
    let running: Vec<String> = known
        .iter()
        .filter(|request| request.started().is_some())
        .map(|request| request.id().to_owned())
        .collect();
    let waiting: Vec<String> = ids
        .iter()
        .filter(|id| !running.contains(id))
        .cloned()
        .collect();
    // The store may be slow or away; the operator is answered now.
    tokio::spawn(mark_revoked(handle.app.clone(), waiting));
    if !terminate {
        return ok(format!("tasks {} flagged as revoked", ids.join(", ")));
    }
    if running.is_empty() {
        return ok("terminate: tasks unknown");
    }
    ok(format!("terminate: {}", running.join(", ")))
}

/// Whoever waits for a task that will not run is told now, and not when a worker meets its message. What has a result, or runs elsewhere, is
/// left alone. Celery does so from 5.7 on.
async fn mark_revoked(app: App, ids: Vec<String>) {
    let Some(results) = app.results() else { return };
    for id in ids {
        let stored = match results.load(&id).await {
            Ok(stored) => stored.map_or(State::Pending, |meta| meta.status),
            Err(away) => return warn!("{id} is revoked, and its state not stored: {away}"),
        };
        if matches!(
            stored,
            State::Pending | State::Received | State::Retry | State::Rejected
        ) {
            let exception = Exception::new("TaskRevokedError", "revoked");
            let meta = TaskMeta::failure(&id, State::Revoked, &exception);
            if let Err(away) = results.store(&meta, &StoreContext::default()).await {
                return warn!("{id} is revoked, and its state not stored: {away}");
            }
        }
    }
}

async fn revoke_stamped(remote: &Remote, arguments: &Map<String, Value>) -> Option<Value> {
    let headers: Map<String, Value> = match arguments.get("headers") {
        Some(Value::Object(headers)) => headers.clone(),
        Some(Value::Array(pairs)) => {
            let pairs = pairs
                .iter()
                .filter_map(|pair| pair.as_str()?.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect()
        }
        _ => return not_ok("headers are missing: write name=value"),
    };
    let named = Value::Object(headers.clone());
    let state = &remote.handle.state;
    state.revoke_stamped(headers);
    if !arguments.get("terminate").is_some_and(is_true) {
        return ok(format!(
            "headers {named} flagged as revoked, but not terminated"
        ));
    }
    let running = state
        .active()
        .into_iter()
        .filter(|request| state.is_revoked(request));
    let ids: Vec<String> = running.map(|request| request.id().to_owned()).collect();
    if ids.is_empty() {
        return ok(format!("headers {named} were not terminated"));
    }
    remote.handle.revoke(ids, true).await;
    ok(format!("headers {named} revoked"))
}

fn rate_limit(remote: &Remote, task: Option<&str>, rate: Option<&Value>) -> Option<Value> {
    let Some(task) = task.filter(|task| remote.handle.tasks.options(task).is_some()) else {
        return not_ok("unknown task");
    };
    let rate = match rate {
        Some(Value::String(rate)) if !rate.is_empty() => rate.clone(),
        Some(Value::Number(rate)) => rate.to_string(),
        None | Some(Value::Null | Value::String(_)) => "0".to_owned(),
        Some(other) => other.to_string(),
    };
    match remote.handle.rate_limit(task, &rate) {
        Ok(()) if rate == "0" => ok("rate limit disabled successfully"),
        Ok(()) => ok("new rate limit set successfully"),
        Err(invalid) => not_ok(format!("Invalid rate limit string: {invalid}")),
    }
}

fn time_limit(
    remote: &Remote,
    task: Option<&str>,
    arguments: &Map<String, Value>,
) -> Option<Value> {
    let Some(task) = task.filter(|task| remote.handle.tasks.options(task).is_some()) else {
        return not_ok("unknown task");
    };
    let seconds = |name: &str| {
        let seconds = arguments.get(name).and_then(Value::as_f64);
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    };
    let limits = TimeLimits {
        soft: seconds("soft"),
        hard: seconds("hard"),
    };
    remote.handle.time_limit(task, limits);
    ok("time limits set successfully")
}

/// A worker that starts asks the others what is revoked (Celery's `mingle`).
async fn hello(remote: &Remote, arguments: &Map<String, Value>) -> Option<Value> {
    let state = &remote.handle.state;
    let from = arguments.get("from_node").and_then(Value::as_str);
    if from == Some(&*state.hostname) {
        return None;
    }
    let theirs = match arguments.get("revoked") {
        // Until 5.6 it is a table from ids to times.
        Some(Value::Object(ids)) => ids.keys().cloned().collect(),
        list => ids(list),
    };
    if !theirs.is_empty() {
        remote.handle.revoke(theirs, false).await;
    }
    Some(json!({ "revoked": state.revoked(), "clock": state.clock.forward() }))
}

fn add_consumer(remote: &Remote, arguments: &Map<String, Value>) -> Option<Value> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let Some(name) = text("queue") else {
        return not_ok("queue is missing: name the queue to take from");
    };
    let mut queue: Queue = remote.handle.app.queue(name);
    if let Some(exchange) = text("exchange") {
        let kind = match text("exchange_type") {
            Some("topic") => ExchangeKind::Topic,
            Some("fanout") => ExchangeKind::Fanout,
            _ => ExchangeKind::Direct,
        };
        queue.exchange = Exchange {
            name: exchange.to_owned(),
            kind,
            durable: true,
        };
    }
    if let Some(key) = text("routing_key") {
        key.clone_into(&mut queue.routing_key);
    }
    // Not awaited: the broker may be away, and remote control must go on.
    let handle = remote.handle.clone();
    let answer = ok(format!("add consumer {name}"));
    tokio::spawn(async move {
        if let Err(refused) = handle.add_queue(queue).await {
            error!("remote control: a queue cannot be taken from: {refused}");
        }
    });
    answer
}

fn cancel_consumer(remote: &Remote, queue: Option<&str>) -> Option<Value> {
    let Some(name) = queue.map(str::to_owned) else {
        return not_ok("queue is missing: name the queue to take no more from");
    };
    let handle = remote.handle.clone();
    let answer = ok(format!("no longer consuming from {name}"));
    tokio::spawn(async move {
        if let Err(refused) = handle.cancel_queue(&name).await {
            error!("remote control: {name} is still taken from: {refused}");
        }
    });
    answer
}
