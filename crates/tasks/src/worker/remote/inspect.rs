//! The commands that only look. Names and shapes are those of `celery/worker/control.py`, which Flower and `celery inspect` read.

use std::collections::BTreeMap;
use std::process;

use serde_json::{Map, Value, json};

use super::super::handle::WorkerHandle;
use super::super::request::{Request, Stage};
use crate::brokers::{Exchange, ExchangeKind, Queue, QueueKind};

/// The answer; `None` where the command is not one that only looks.
pub(super) fn answer(
    handle: &WorkerHandle,
    method: &str,
    arguments: &Map<String, Value>,
) -> Option<Value> {
    let state = &handle.state;
    let requests = |requests: Vec<std::sync::Arc<Request>>| -> Value {
        requests.iter().map(|request| request.to_json()).collect()
    };
    Some(match method {
        "ping" => json!({ "ok": "pong" }),
        "clock" => json!({ "clock": state.clock.value() }),
        "stats" => stats(handle),
        "active" | "dump_active" => requests(state.active()),
        "reserved" | "dump_reserved" => requests(state.reserved()),
        "scheduled" | "dump_schedule" => state
            .scheduled()
            .iter()
            .map(|request| scheduled(request))
            .collect(),
        "revoked" | "dump_revoked" => state.revoked().into(),
        "registered" | "dump_tasks" => registered(handle, arguments),
        "active_queues" => state.queues().iter().map(queue).collect(),
        "query_task" => query(handle, arguments),
        "conf" | "dump_conf" => conf(handle),
        "report" => json!({ "ok": report(handle) }),
        "memsample" => memory().map_or(Value::Null, |bytes| {
            format!("{:.2}MB", megabytes(bytes)).into()
        }),
        _ => return None,
    })
}

fn scheduled(request: &Request) -> Value {
    json!({
        "eta": request.eta.map(|eta| eta.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()),
        "priority": request.delivery_info.priority.unwrap_or(0),
        "request": request.to_json(),
    })
}

/// By id: what the task is doing, and the task.
fn query(handle: &WorkerHandle, arguments: &Map<String, Value>) -> Value {
    let found = handle.state.find(&ids(arguments.get("ids")));
    let entries = found.iter().map(|request| {
        let doing = match request.stage() {
            Stage::Active => "active",
            Stage::Reserved => "reserved",
            Stage::Scheduled => "scheduled",
            Stage::Finishing => "ready",
        };
        (request.id().to_owned(), json!([doing, request.to_json()]))
    });
    Value::Object(entries.collect())
}

/// One id, or a list of them.
pub(super) fn ids(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Some(Value::Array(ids)) => ids.iter().filter_map(text).collect(),
        Some(id) => text(id).into_iter().collect(),
        None => Vec::new(),
    }
}

fn registered(handle: &WorkerHandle, arguments: &Map<String, Value>) -> Value {
    let builtins = arguments
        .get("builtins")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let wanted = ids(arguments.get("taskinfoitems"));
    let shows_rate = wanted.is_empty() || wanted.iter().any(|item| item == "rate_limit");
    let mut names: Vec<&str> = handle
        .tasks
        .names()
        .filter(|name| builtins || !name.starts_with("celery."))
        .collect();
    names.sort_unstable();
    let described = names.into_iter().map(|name| {
        let rate = handle
            .tasks
            .options(name)
            .and_then(|options| options.rate_limit);
        match rate.filter(|_| shows_rate) {
            Some(rate) => format!("{name} [rate_limit={rate}]"),
            None => name.to_owned(),
        }
    });
    described.collect()
}

fn stats(handle: &WorkerHandle) -> Value {
    let state = &handle.state;
    let info = handle.app.broker().info();
    json!({
        "total": state.totals(),
        "pid": process::id(),
        "clock": state.clock.value().to_string(),
        "uptime": state.uptime().as_secs(),
        "pool": {
            "implementation": "quintette_tasks::worker",
            "max-concurrency": state.concurrency(),
            "processes": [process::id()],
            "max-tasks-per-child": "N/A",
            "put-guarded-by-semaphore": true,
            "timeouts": [0, 0],
            "writes": "N/A",
        },
        "broker": {
            "transport": info.transport,
            "hostname": info.hostname,
            "port": info.port,
            "userid": info.userid,
            "virtual_host": info.virtual_host,
            "alternates": [],
            "connect_timeout": 4,
            "failover_strategy": "round-robin",
            "heartbeat": 0,
            "insist": false,
            "login_method": null,
            "ssl": false,
            "transport_options": {},
            "uri_prefix": null,
        },
        "prefetch_count": state.prefetch(),
        "rusage": rusage(),
    })
}

/// Of this process, from Linux; Celery writes `N/A` where the system does not say.
fn rusage() -> Value {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return "N/A".into();
    };
    // The name in parentheses may hold blanks; what follows does not.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    let second = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
    let seconds = |at: usize| {
        let ticks = fields.get(at).and_then(|text| text.parse::<f64>().ok());
        ticks.unwrap_or(0.0) / f64::from(second)
    };
    json!({
        "utime": seconds(11),
        "stime": seconds(12),
        "maxrss": memory().unwrap_or(0) / 1024,
    })
}

/// The resident bytes of this process, as Linux counts them.
pub(super) fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

fn queue(queue: &Queue) -> Value {
    let mut arguments = Map::new();
    if queue.kind == QueueKind::Quorum {
        arguments.insert("x-queue-type".to_owned(), "quorum".into());
    }
    json!({
        "name": queue.name,
        "exchange": exchange(&queue.exchange),
        "routing_key": queue.routing_key,
        "queue_arguments": arguments,
        "binding_arguments": null,
        "consumer_arguments": null,
        "durable": queue.durable,
        "exclusive": queue.exclusive,
        "auto_delete": queue.auto_delete,
        "no_ack": false,
        "alias": null,
        "bindings": [],
        "no_declare": null,
        "expires": queue.expires.map(|expires| expires.as_secs_f64()),
        "message_ttl": queue.message_ttl.map(|ttl| ttl.as_secs_f64()),
        "max_length": null,
        "max_length_bytes": null,
        "max_priority": queue.max_priority,
    })
}

fn exchange(exchange: &Exchange) -> Value {
    json!({
        "name": exchange.name,
        "type": match exchange.kind {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Fanout => "fanout",
        },
        "arguments": null,
        "durable": exchange.durable,
        "passive": false,
        "auto_delete": false,
        "delivery_mode": null,
        "no_declare": false,
    })
}

/// The settings that say how tasks are run. Those that may hold a password show its place alone.
fn conf(handle: &WorkerHandle) -> Value {
    let settings = handle.app.settings();
    let seconds =
        |duration: Option<std::time::Duration>| duration.map(|duration| duration.as_secs_f64());
    json!({
        "broker_url": settings.broker_url.to_string(),
        "result_backend": settings.result_backend.as_ref().map(ToString::to_string),
        "accept_content": settings.accept_content,
        "task_default_queue": settings.task_default_queue,
        "task_queue_max_priority": settings.task_queue_max_priority,
        "task_acks_late": settings.task_acks_late,
        "task_ignore_result": settings.task_ignore_result,
        "task_track_started": settings.task_track_started,
        "task_soft_time_limit": seconds(settings.task_soft_time_limit),
        "task_time_limit": seconds(settings.task_time_limit),
        "result_expires": seconds(settings.result_expires),
        "result_extended": settings.result_extended,
        "worker_concurrency": handle.state.concurrency(),
        "worker_prefetch_multiplier": settings.worker_prefetch_multiplier,
        "worker_eta_task_limit": settings.worker_eta_task_limit,
        "worker_send_task_events": handle.state.events.enabled(),
        "timezone": settings.timezone.to_string(),
    })
}

fn report(handle: &WorkerHandle) -> String {
    let info = handle.app.broker().info();
    let totals: BTreeMap<String, u64> = handle.state.totals();
    format!(
        "\nsoftware -> quintette:{} rust\nplatform -> system:{}\ntransport:{} tasks:{}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        info.transport,
        totals.values().sum::<u64>(),
    )
}
