//! The options of `apply_async` as methods.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::Signature;
use crate::canvas;

/// How often a message is handed to a broker that cannot be reached. Celery's `retry_policy`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// `max_retries`: 3 by default.
    pub max_retries: u32,
    /// `interval_start`: the first wait; none by default.
    pub interval_start: Duration,
    /// `interval_step`: what each wait is longer by: 0.2 s by default.
    pub interval_step: Duration,
    /// `interval_max`: the longest wait: 1 s by default.
    pub interval_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            interval_start: Duration::ZERO,
            interval_step: Duration::from_millis(200),
            interval_max: Duration::from_secs(1),
        }
    }
}

/// What `apply_async` takes.
///
/// ```
/// use std::time::Duration;
/// use quintette_tasks::Signature;
///
/// let call = Signature::new("shop.add").args((2, 3))?.countdown(Duration::from_secs(10)).priority(5);
/// assert_eq!(call.options.read::<f64>("countdown")?, Some(10.0));
/// # Ok::<(), serde_json::Error>(())
/// ```
impl Signature {
    fn with<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        self.options.set(name, value);
        self
    }

    /// `countdown`: not before so long from when it is sent.
    #[must_use]
    pub fn countdown(self, wait: Duration) -> Self {
        self.with("countdown", &seconds(wait))
    }

    /// `eta`: not before a time.
    #[must_use]
    pub fn eta(self, at: DateTime<Utc>) -> Self {
        self.with("eta", &at.to_rfc3339_opts(SecondsFormat::Micros, false))
    }

    /// `expires`: not after a time.
    #[must_use]
    pub fn expires(self, at: DateTime<Utc>) -> Self {
        self.with("expires", &at.to_rfc3339_opts(SecondsFormat::Micros, false))
    }

    /// `expires`, as seconds: not after so long from when it is sent.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.with("expires", &seconds(lifetime))
    }

    /// `priority`: `RabbitMQ` runs the higher first, Redis the lower.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        self.with("priority", &priority)
    }

    /// `queue`.
    #[must_use]
    pub fn queue(self, name: impl Into<String>) -> Self {
        self.with("queue", &name.into())
    }

    /// `exchange`: it counts where there is a `routing_key`, too.
    #[must_use]
    pub fn exchange(self, name: impl Into<String>) -> Self {
        self.with("exchange", &name.into())
    }

    /// `routing_key`: it counts where there is an `exchange`, too.
    #[must_use]
    pub fn routing_key(self, key: impl Into<String>) -> Self {
        self.with("routing_key", &key.into())
    }

    /// `task_id`: a random UUID by default.
    #[must_use]
    pub fn task_id(self, id: impl Into<String>) -> Self {
        self.with("task_id", &id.into())
    }

    /// `shadow`: another name for logs.
    #[must_use]
    pub fn shadow(self, name: impl Into<String>) -> Self {
        self.with("shadow", &name.into())
    }

    /// `time_limit`: ended after so long.
    #[must_use]
    pub fn time_limit(self, limit: Duration) -> Self {
        self.with("time_limit", &seconds(limit))
    }

    /// `soft_time_limit`: asked to end after so long.
    #[must_use]
    pub fn soft_time_limit(self, limit: Duration) -> Self {
        self.with("soft_time_limit", &seconds(limit))
    }

    /// `ignore_result`: whether no result is kept.
    #[must_use]
    pub fn ignore_result(self, ignored: bool) -> Self {
        self.with("ignore_result", &ignored)
    }

    /// `reply_to`: the queue of whoever waits for the result, with results by RPC.
    #[must_use]
    pub fn reply_to(self, queue: impl Into<String>) -> Self {
        self.with("reply_to", &queue.into())
    }

    /// `serializer`: `json`, `pickle`, `msgpack` or `yaml`.
    #[must_use]
    pub fn serializer(self, name: impl Into<String>) -> Self {
        self.with("serializer", &name.into())
    }

    /// `compression`: `gzip`, `bzip2`, `lzma`, `brotli` or `zstd`.
    #[must_use]
    pub fn compression(self, name: impl Into<String>) -> Self {
        self.with("compression", &name.into())
    }

    /// One of `headers`: the application's own.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let mut headers: serde_json::Map<String, Value> = self
            .options
            .read("headers")
            .ok()
            .flatten()
            .unwrap_or_default();
        headers.insert(name.into(), value.into());
        self.with("headers", &headers)
    }

    /// A stamp: a header that goes along with everything that the call brings about. Celery's `stamp(**headers)`.
    #[must_use]
    pub fn stamp(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        canvas::stamp(&mut self, &name.into(), &value.into());
        self
    }

    /// `retry=False`: a broker that cannot be reached is an error at once.
    #[must_use]
    pub fn without_retry(self) -> Self {
        self.with("retry", &false)
    }

    /// `retry_policy`.
    #[must_use]
    pub fn retry_policy(self, policy: RetryPolicy) -> Self {
        let policy = json!({
            "max_retries": policy.max_retries,
            "interval_start": policy.interval_start.as_secs_f64(),
            "interval_step": policy.interval_step.as_secs_f64(),
            "interval_max": policy.interval_max.as_secs_f64(),
        });
        self.with("retry_policy", &policy)
    }

    /// `link`: called with the result. Of a chord, with its body's; of a group, Celery calls it after the first of its tasks, without a
    /// result.
    #[must_use]
    pub fn link(mut self, callback: &Self) -> Self {
        canvas::link(&mut self, callback);
        self
    }

    /// `link_error`: called with the id of a task that failed. Of a chord, when a part or the body failed; of a group, for each of its
    /// tasks.
    #[must_use]
    pub fn link_error(mut self, errback: &Self) -> Self {
        canvas::link_error(&mut self, errback);
        self
    }
}

/// Whole seconds as an integer, as people write them in Python.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().into()
    } else {
        duration.as_secs_f64().into()
    }
}
