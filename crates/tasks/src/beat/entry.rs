//! What is sent on a schedule.

use chrono::{DateTime, Utc};

use super::schedule::Schedule;
use crate::signature::Signature;

/// A task and its schedule: `celery.beat.ScheduleEntry`, or a `PeriodicTask` of django-celery-beat.
///
/// ```
/// use std::time::Duration;
/// use quintette_tasks::Signature;
/// use quintette_tasks::beat::Entry;
///
/// let poll = Signature::new("shop.poll").args(("suppliers",))?.queue("slow");
/// let entry = Entry::new("poll", Duration::from_secs(30), poll.option("expires", 25));
/// assert_eq!(entry.signature.task, "shop.poll");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The name, which no other entry has.
    pub name: String,
    /// What is sent, with its options: `queue`, `exchange`, `routing_key`, `priority`, `expires` (seconds, or a time as
    /// ISO 8601) and `headers` among them.
    pub signature: Signature,
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

impl Entry {
    /// An entry that sends this call when it is due.
    pub fn new(
        name: impl Into<String>,
        schedule: impl Into<Schedule>,
        signature: Signature,
    ) -> Self {
        Self {
            name: name.into(),
            signature,
            schedule: schedule.into(),
            enabled: true,
            one_off: false,
            start_time: None,
            end_time: None,
            last_run_at: None,
            total_run_count: 0,
        }
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
