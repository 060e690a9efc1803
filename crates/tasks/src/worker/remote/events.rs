//! What monitors are told: the worker's heartbeat, and what becomes of its tasks.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::events::{Event, EventSink};
use super::super::request::Request;
use super::super::state::WorkerState;
use crate::arguments::Arguments;
use crate::error::Exception;
use crate::events::EventDispatcher;
use crate::protocol::repr::{args_repr, kwargs_repr, value_repr};

/// Celery's: how many seconds lie between two heartbeats.
const INTERVAL: Duration = Duration::from_secs(2);
/// Monitors show results and arguments, and need not have all of them.
const LONGEST: usize = 1024;

/// Sends the events of tasks.
pub(crate) struct TaskEvents {
    dispatcher: EventDispatcher,
    // The state owns its sink, so the sink must not own the state.
    state: Weak<WorkerState>,
}

impl TaskEvents {
    /// Tells monitors that the worker is there, sends its tasks' events from now on, and its heartbeat until it is dropped.
    pub(crate) async fn run(state: Arc<WorkerState>, dispatcher: EventDispatcher) {
        state.events.set_sink(Box::new(Self {
            dispatcher: dispatcher.clone(),
            state: Arc::downgrade(&state),
        }));
        heartbeat(&state, &dispatcher, "worker-online");
        loop {
            tokio::time::sleep(INTERVAL).await;
            heartbeat(&state, &dispatcher, "worker-heartbeat");
        }
    }

    /// Tells monitors that the worker is gone.
    pub(crate) async fn stop(state: &WorkerState, dispatcher: &EventDispatcher) {
        heartbeat(state, dispatcher, "worker-offline");
        dispatcher.flush().await;
    }
}

pub(super) fn heartbeat(state: &WorkerState, dispatcher: &EventDispatcher, kind: &str) {
    let fields = json!({
        "freq": INTERVAL.as_secs_f64(),
        "active": state.active_count(),
        "processed": state.processed(),
        "loadavg": load_average(),
        "sw_ident": "rust-quintette",
        "sw_ver": env!("CARGO_PKG_VERSION"),
        "sw_sys": rustix::system::uname().sysname().to_string_lossy(),
    });
    dispatcher.send(kind, state.clock.forward(), fields);
}

/// Of the last one, five and fifteen minutes, as Linux counts them.
fn load_average() -> [f64; 3] {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut numbers = text
        .split_whitespace()
        .map(|word| word.parse().unwrap_or(0.0));
    [(); 3].map(|()| numbers.next().unwrap_or(0.0))
}

impl EventSink for TaskEvents {
    fn send(&self, event: &Event<'_>) {
        let Some(state) = self.state.upgrade() else {
            return;
        };
        let (kind, fields) = described(event);
        self.dispatcher.send(kind, state.clock.forward(), fields);
    }
}

fn described(event: &Event<'_>) -> (&'static str, Value) {
    match *event {
        Event::Received(request) => ("task-received", received(request)),
        Event::Started(request) => ("task-started", json!({ "uuid": request.id() })),
        Event::Succeeded {
            request,
            result,
            runtime,
        } => (
            "task-succeeded",
            json!({ "uuid": request.id(), "result": value_repr(result), "runtime": runtime.as_secs_f64() }),
        ),
        Event::Failed { request, exception } => ("task-failed", failure(request, exception)),
        Event::Retried { request, exception } => ("task-retried", failure(request, exception)),
        Event::Revoked {
            request,
            terminated,
            expired,
        } => (
            "task-revoked",
            json!({ "uuid": request.id(), "terminated": terminated, "signum": terminated.then_some("SIGTERM"), "expired": expired }),
        ),
        Event::Rejected { request, requeue } => (
            "task-rejected",
            json!({ "uuid": request.id(), "requeue": requeue }),
        ),
        Event::Unknown { id, name } => (
            "task-failed",
            json!({ "uuid": id, "exception": format!("NotRegistered('{name}')"), "traceback": "" }),
        ),
    }
}

fn received(request: &Request) -> Value {
    let headers = &request.headers;
    let args = headers.argsrepr.as_deref().map(shortened);
    let kwargs = headers.kwargsrepr.as_deref().map(shortened);
    json!({
        "uuid": request.id(),
        "name": request.name(),
        "args": args.unwrap_or_else(|| args_repr(&request.arguments.args)),
        "kwargs": kwargs.unwrap_or_else(|| printed(&request.arguments)),
        "root_id": request.root_id(),
        "parent_id": headers.parent_id,
        "retries": headers.retries,
        "eta": headers.eta,
        "expires": headers.expires,
    })
}

fn printed(arguments: &Arguments) -> String {
    let kwargs = arguments.kwargs.iter();
    kwargs_repr(kwargs.map(|(name, value)| (&**name, value)))
}

/// What a sender says of the arguments: many events wait in memory, and a monitor needs no more.
fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(2 * LONGEST)].to_owned()
}

fn failure(request: &Request, exception: &Exception) -> Value {
    let mut exc_args: Vec<String> = exception.exc_message.iter().map(value_repr).collect();
    exc_args.truncate(10);
    let mut text = format!("{}({})", exception.exc_type, exc_args.join(", "));
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
    }
    json!({ "uuid": request.id(), "exception": text, "traceback": exception.traceback })
}
