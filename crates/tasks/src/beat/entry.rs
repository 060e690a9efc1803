//! What is sent on a schedule.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::schedule::Schedule;

/// A task and its schedule: `celery.beat.ScheduleEntry`, or a `PeriodicTask` of django-celery-beat.
///
/// ```
/// use std::time::Duration;
/// use quintette_tasks::beat::{Entry, schedule::Schedule};
///
/// let entry = Entry::new("poll", "shop.poll", Schedule::every(Duration::from_secs(30)))
///     .args(vec!["suppliers".into()])
///     .queue("slow");
/// assert_eq!(entry.task, "shop.poll");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The name, which no other entry has.
    pub name: String,
    /// The name of the task that is sent.
    pub task: String,
    /// Its positional arguments.
    pub args: Vec<Value>,
    /// Its keyword arguments.
    pub kwargs: Map<String, Value>,
    /// How it is sent.
    pub options: EntryOptions,
    /// When it is due.
    pub schedule: Schedule,
    /// Whether it is sent at all.
    pub enabled: bool,
    /// Sent once, and then no more.
    pub one_off: bool,
    /// Not sent before.
    pub start_time: Option<DateTime<Utc>>,
    /// No more sent from this time on.
    pub end_time: Option<DateTime<Utc>>,
    /// When it was last sent; before the first time, since when it has been waiting.
    pub last_run_at: Option<DateTime<Utc>>,
    /// How often it was sent.
    pub total_run_count: u64,
}

/// How an entry's task is sent: what `apply_async` takes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EntryOptions {
    /// The queue, if not the task's own.
    pub queue: Option<String>,
    /// The exchange.
    pub exchange: Option<String>,
    /// The routing key.
    pub routing_key: Option<String>,
    /// The priority of the message.
    pub priority: Option<u8>,
    /// After what a worker no longer runs it.
    pub expires: Option<Expires>,
    /// Headers of the message, beside Celery's own.
    pub headers: Map<String, Value>,
}

/// After what a task that still waits in its queue is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// This long after it was sent.
    In(Duration),
    /// From this time on.
    At(DateTime<Utc>),
}

impl Entry {
    /// An entry that sends the task of this name, without arguments.
    pub fn new(
        name: impl Into<String>,
        task: impl Into<String>,
        schedule: impl Into<Schedule>,
    ) -> Self {
        Self {
            name: name.into(),
            task: task.into(),
            args: Vec::new(),
            kwargs: Map::new(),
            options: EntryOptions::default(),
            schedule: schedule.into(),
            enabled: true,
            one_off: false,
            start_time: None,
            end_time: None,
            last_run_at: None,
            total_run_count: 0,
        }
    }

    /// With these positional arguments.
    #[must_use]
    pub fn args(self, args: Vec<Value>) -> Self {
        Self { args, ..self }
    }

    /// With these keyword arguments.
    #[must_use]
    pub fn kwargs(self, kwargs: Map<String, Value>) -> Self {
        Self { kwargs, ..self }
    }

    /// Sent to this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.options.queue = Some(queue.into());
        self
    }

    /// Sent with this priority.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Not run when it waited longer than this.
    #[must_use]
    pub fn expires(mut self, after: Duration) -> Self {
        self.options.expires = Some(Expires::In(after));
        self
    }

    /// Sent once, and then no more.
    #[must_use]
    pub fn one_off(self) -> Self {
        Self {
            one_off: true,
            ..self
        }
    }

    /// Not sent before this time, and then at once.
    #[must_use]
    pub fn start_time(self, time: DateTime<Utc>) -> Self {
        Self {
            start_time: Some(time),
            ..self
        }
    }

    /// Whether nothing is left to do: it was a single time, or its end has come.
    pub(super) fn is_finished(&self, now: DateTime<Utc>) -> bool {
        let had_its_run = self.one_off && self.total_run_count > 0;
        had_its_run || self.end_time.is_some_and(|end| end <= now)
    }
}
