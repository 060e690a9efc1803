use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::arguments::Arguments;
use crate::brokers::Channel;
use crate::protocol::{Embed, Properties, TaskHeaders};
use crate::results::StoreContext;
use crate::settings::TaskSettings;
use crate::task::TaskOptions;

/// A task's message in a worker, from its arrival until its outcome is known. Celery's `Request`.
pub struct Request {
    /// The message's headers.
    pub headers: TaskHeaders,
    /// What the task is called with.
    pub arguments: Arguments,
    /// What comes after it.
    pub embed: Embed,
    /// What AMQP knows of the message.
    pub properties: Properties,
    /// How the message came here.
    pub delivery_info: DeliveryInfo,
    /// Not before.
    pub eta: Option<DateTime<Utc>>,
    /// Not after.
    pub expires: Option<DateTime<Utc>>,
    /// The worker's name.
    pub hostname: Arc<str>,
    /// How the task is run, as it was registered; Celery's defaults for a task that is not known.
    pub options: TaskOptions,
    pub(crate) held: Held,
    pub(crate) control: Control,
    pub(crate) sequence: u64,
    stage: AtomicU8,
    started: OnceLock<SystemTime>,
    trail: Mutex<Vec<Value>>,
}

/// How a message came to a worker. Celery's `delivery_info`.
#[derive(Clone, Debug, Default)]
pub struct DeliveryInfo {
    /// The queue that it was taken from.
    pub queue: Arc<str>,
    /// The exchange that it was published to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Its priority.
    pub priority: Option<u8>,
    /// Whether it has been delivered before.
    pub redelivered: bool,
    /// How often it has been delivered before, where that is known.
    pub deliveries: Option<u32>,
}

impl DeliveryInfo {
    /// As `celery inspect active` shows it.
    pub fn to_json(&self) -> Value {
        json!({
            "exchange": self.exchange,
            "routing_key": self.routing_key,
            "priority": self.priority,
            "redelivered": self.redelivered,
        })
    }
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its time.
    Scheduled,
    /// It waits for its turn.
    Reserved,
    /// It runs.
    Active,
    /// It has run; its result is being stored.
    Finishing,
}

/// By which a message is acknowledged.
pub(crate) struct Held {
    pub(crate) tag: u64,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) acknowledged: AtomicBool,
    /// Whether the broker counts deliveries.
    pub(crate) counted: bool,
}

/// Why a task that runs is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Revoked with `terminate`.
    Terminated,
    /// The worker ends at once.
    Cold,
}

/// The strings by which a task that runs is pulled.
#[derive(Default)]
pub(crate) struct Control {
    stop: AtomicU8,
    stopped: Notify,
    soft: AtomicBool,
    soft_reached: Notify,
    soft_watched: AtomicBool,
    /// For a blocking task, whose result is not waited for any more.
    pub(crate) revoked: AtomicBool,
}

impl Control {
    pub(crate) fn stop(&self, why: Stop) {
        let code = match why {
            Stop::Terminated => 1,
            Stop::Cold => 2,
        };
        // The first reason stays.
        let _ = self
            .stop
            .compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        self.stopped.notify_waiters();
    }

    pub(crate) fn why_stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Stop::Terminated),
            _ => Some(Stop::Cold),
        }
    }

    pub(crate) async fn stopped(&self) -> Stop {
        wait_until(&self.stopped, || self.why_stopped()).await
    }

    pub(crate) fn reach_soft_limit(&self) {
        self.soft.store(true, Ordering::SeqCst);
        self.soft_reached.notify_waiters();
    }

    pub(crate) fn soft_limit_reached(&self) -> bool {
        self.soft.load(Ordering::SeqCst)
    }

    pub(crate) fn soft_limit_watched(&self) -> bool {
        self.soft_watched.load(Ordering::SeqCst)
    }

    pub(crate) async fn soft_limit(&self) {
        self.soft_watched.store(true, Ordering::SeqCst);
        wait_until(&self.soft_reached, || {
            self.soft_limit_reached().then_some(())
        })
        .await;
    }
}

async fn wait_until<T>(notify: &Notify, ready: impl Fn() -> Option<T>) -> T {
    loop {
        let notified = notify.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if let Some(value) = ready() {
            return value;
        }
        notified.await;
    }
}

/// Numbers requests, so that two of the same task are told apart.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

/// What a [`Request`] is made of.
pub(crate) struct Parts {
    pub(crate) headers: TaskHeaders,
    pub(crate) arguments: Arguments,
    pub(crate) embed: Embed,
    pub(crate) properties: Properties,
    pub(crate) delivery_info: DeliveryInfo,
    pub(crate) broker_counts: bool,
    pub(crate) eta: Option<DateTime<Utc>>,
    pub(crate) expires: Option<DateTime<Utc>>,
    pub(crate) hostname: Arc<str>,
    pub(crate) options: TaskOptions,
    pub(crate) tag: u64,
    pub(crate) channel: Arc<dyn Channel>,
}

impl Request {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            headers: parts.headers,
            arguments: parts.arguments,
            embed: parts.embed,
            properties: parts.properties,
            delivery_info: parts.delivery_info,
            eta: parts.eta,
            expires: parts.expires,
            hostname: parts.hostname,
            options: parts.options,
            held: Held {
                tag: parts.tag,
                channel: parts.channel,
                acknowledged: AtomicBool::new(false),
                counted: parts.broker_counts,
            },
            control: Control::default(),
            sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
            stage: AtomicU8::new(Stage::Reserved as u8),
            started: OnceLock::new(),
            trail: Mutex::default(),
        }
    }

    /// The task's id.
    pub fn id(&self) -> &str {
        &self.headers.id
    }

    /// The task's name in logs and events: its shadow, if it has one.
    pub fn name(&self) -> &str {
        let shadow = self.headers.shadow.as_deref();
        shadow
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.headers.task)
    }

    /// The call that all this began with: itself, if nothing else is known.
    pub fn root_id(&self) -> &str {
        self.headers.root_id.as_deref().unwrap_or(self.id())
    }

    /// Whether its result is not kept: as the call says, or else the task, or else the settings.
    pub(crate) fn ignores_result(&self, settings: &TaskSettings) -> bool {
        let own = self.headers.ignore_result.or(self.options.ignore_result);
        own.unwrap_or(settings.task_ignore_result)
    }

    /// Which of the calls with its id it is: how often it has been tried before, and how often replaced.
    pub(crate) fn attempt(&self) -> (u32, i64) {
        (self.headers.retries, self.headers.replaced_task_nesting)
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Scheduled,
            1 => Stage::Reserved,
            2 => Stage::Active,
            _ => Stage::Finishing,
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        if stage == Stage::Active {
            let _ = self.started.set(SystemTime::now());
        }
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// When it began to run.
    pub fn started(&self) -> Option<SystemTime> {
        self.started.get().copied()
    }

    /// Whether the broker has been told that it is done with.
    pub fn acknowledged(&self) -> bool {
        self.held.acknowledged.load(Ordering::Relaxed)
    }

    /// A task that this one began: it becomes one of its `children`. Celery's `add_trail`.
    ///
    /// `child` is written as Celery writes results: `[[id, parent], children]`.
    pub fn add_child(&self, child: Value) {
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        trail.push(child);
    }

    /// The tasks that it began.
    pub fn children(&self) -> Vec<Value> {
        let trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        trail.clone()
    }

    /// What a store of results needs to know beside the result.
    pub fn store_context(&self) -> StoreContext {
        StoreContext {
            reply_to: self.properties.reply_to.clone(),
            correlation_id: self.properties.correlation_id.clone(),
            group: self.headers.group.clone(),
        }
    }

    /// As `celery inspect` shows it.
    pub fn to_json(&self) -> Value {
        let since = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .as_ref()
                .map_or(0.0, Duration::as_secs_f64)
        };
        let json_list = |values: &[quintette_core::json::RawJson]| {
            values
                .iter()
                .map(|value| value.deserialize().unwrap_or(Value::Null))
                .collect::<Vec<Value>>()
        };
        let kwargs: serde_json::Map<String, Value> = self
            .arguments
            .kwargs
            .iter()
            .map(|(name, value)| {
                let name = quintette_core::json::unescape_key(name).into_owned();
                (name, value.deserialize().unwrap_or(Value::Null))
            })
            .collect();
        json!({
            "id": self.id(),
            "name": self.name(),
            "type": self.headers.task,
            "args": json_list(&self.arguments.args),
            "kwargs": kwargs,
            "hostname": &*self.hostname,
            "time_start": self.started().map(since),
            "acknowledged": self.acknowledged(),
            "delivery_info": self.delivery_info.to_json(),
            "worker_pid": self.started().map(|_| std::process::id()),
        })
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", Shown(self.name()), Shown(self.id()))
    }
}

/// A stranger's text in a log: on one line, and not all of it.
struct Shown<'a>(&'a str);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const LONGEST: usize = 255;
        let end = self.0.floor_char_boundary(LONGEST);
        let shown = &self.0[..end];
        if shown.chars().any(char::is_control) {
            write!(f, "{}", shown.escape_debug())?;
        } else {
            f.write_str(shown)?;
        }
        f.write_str(if end < self.0.len() { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::Shown;

    #[test]
    fn a_name_writes_no_second_line_into_a_log_and_not_a_long_one() {
        assert_eq!(Shown("shop.add").to_string(), "shop.add");
        assert_eq!(Shown("a\nb\u{1b}[31m").to_string(), "a\\nb\\u{1b}[31m");
        let long = "\u{e9}".repeat(1_000_000);
        assert_eq!(
            Shown(&long).to_string(),
            format!("{}...", "\u{e9}".repeat(127))
        );
    }
}
