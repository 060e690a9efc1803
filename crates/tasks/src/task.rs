//! Tasks as typed values.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::canvas;
use crate::outcome::AsyncResult;
use crate::send::SendError;
use crate::signature::{Options, Signature};

/// A task's name, with the types of its arguments and of its result, and how it is to be run.
///
/// Both ends need it: the client to call it, the worker to run it. A task that Python runs needs no more than this.
///
/// ```
/// use quintette_tasks::Task;
///
/// static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]).max_retries(5).acks_late();
/// assert_eq!(ADD.name(), "shop.add");
/// ```
pub struct Task<A, R> {
    name: &'static str,
    parameters: &'static [&'static str],
    options: TaskOptions,
    types: PhantomData<fn(A) -> R>,
}

/// How a task is run, where it differs from the settings. Times are Celery's, in seconds.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TaskOptions {
    /// `acks_late`.
    pub acks_late: Option<bool>,
    /// `ignore_result`.
    pub ignore_result: Option<bool>,
    /// `track_started`.
    pub track_started: Option<bool>,
    /// `max_retries`: how often it is tried again; `None` for ever. 3 by default.
    pub max_retries: Option<u32>,
    /// `default_retry_delay`: 180 seconds by default.
    pub default_retry_delay: Duration,
    /// `autoretry_for`: whether each failure is tried again.
    pub autoretry: bool,
    /// `retry_backoff`: the first delay, doubled each time, instead of `default_retry_delay`.
    pub retry_backoff: Option<Duration>,
    /// `retry_backoff_max`: 600 seconds by default.
    pub retry_backoff_max: Duration,
    /// `retry_jitter`: whether the delay is a random one up to that. `true` by default.
    pub retry_jitter: bool,
    /// `rate_limit`, such as `10/m`.
    pub rate_limit: Option<&'static str>,
    /// `time_limit`.
    pub time_limit: Option<Duration>,
    /// `soft_time_limit`.
    pub soft_time_limit: Option<Duration>,
    /// `queue`: where it is sent.
    pub queue: Option<&'static str>,
    /// `priority`.
    pub priority: Option<u8>,
}

impl TaskOptions {
    /// Celery's defaults.
    pub const DEFAULT: Self = Self {
        acks_late: None,
        ignore_result: None,
        track_started: None,
        max_retries: Some(3),
        default_retry_delay: Duration::from_mins(3),
        autoretry: false,
        retry_backoff: None,
        retry_backoff_max: Duration::from_mins(10),
        retry_jitter: true,
        rate_limit: None,
        time_limit: None,
        soft_time_limit: None,
        queue: None,
        priority: None,
    };
}

impl<A, R> Task<A, R> {
    /// A task by its name, with the names of its parameters; one that ends with `?` may be absent. `A` is the tuple of their types.
    pub const fn new(name: &'static str, parameters: &'static [&'static str]) -> Self {
        Self {
            name,
            parameters,
            options: TaskOptions::DEFAULT,
            types: PhantomData,
        }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The names of its parameters.
    pub const fn parameters(&self) -> &'static [&'static str] {
        self.parameters
    }

    /// How it is run.
    pub const fn options(&self) -> TaskOptions {
        self.options
    }

    /// Acknowledged after it has run: it may run twice, and is never lost. Celery's `acks_late=True`.
    #[must_use]
    pub const fn acks_late(mut self) -> Self {
        self.options.acks_late = Some(true);
        self
    }

    /// Keeps no result.
    #[must_use]
    pub const fn ignore_result(mut self) -> Self {
        self.options.ignore_result = Some(true);
        self
    }

    /// Stores STARTED when it begins.
    #[must_use]
    pub const fn track_started(mut self) -> Self {
        self.options.track_started = Some(true);
        self
    }

    /// How often it is tried again.
    #[must_use]
    pub const fn max_retries(mut self, times: u32) -> Self {
        self.options.max_retries = Some(times);
        self
    }

    /// Tried again without a bound.
    #[must_use]
    pub const fn retries_for_ever(mut self) -> Self {
        self.options.max_retries = None;
        self
    }

    /// How long before it is tried again.
    #[must_use]
    pub const fn default_retry_delay(mut self, delay: Duration) -> Self {
        self.options.default_retry_delay = delay;
        self
    }

    /// Each failure is tried again: Celery's `autoretry_for=(Exception,)`.
    #[must_use]
    pub const fn autoretry(mut self) -> Self {
        self.options.autoretry = true;
        self
    }

    /// The first delay, doubled with each retry, with jitter.
    #[must_use]
    pub const fn retry_backoff(mut self, first: Duration) -> Self {
        self.options.retry_backoff = Some(first);
        self
    }

    /// The longest delay of a backoff.
    #[must_use]
    pub const fn retry_backoff_max(mut self, longest: Duration) -> Self {
        self.options.retry_backoff_max = longest;
        self
    }

    /// Delays as they are, without chance.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.options.retry_jitter = false;
        self
    }

    /// At most so many in a time: `10/m`.
    #[must_use]
    pub const fn rate_limit(mut self, rate: &'static str) -> Self {
        self.options.rate_limit = Some(rate);
        self
    }

    /// Ended after so long.
    #[must_use]
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.options.time_limit = Some(limit);
        self
    }

    /// Asked to end after so long.
    #[must_use]
    pub const fn soft_time_limit(mut self, limit: Duration) -> Self {
        self.options.soft_time_limit = Some(limit);
        self
    }

    /// Where it is sent.
    #[must_use]
    pub const fn queue(mut self, queue: &'static str) -> Self {
        self.options.queue = Some(queue);
        self
    }

    /// Its priority.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.options.priority = Some(priority);
        self
    }
}

impl<A: Serialize, R> Task<A, R> {
    /// A call of it with these arguments, to be sent or made part of a canvas. Celery's `.s()`.
    ///
    /// # Errors
    ///
    /// Arguments that cannot be written as JSON.
    pub fn s(&self, args: A) -> Result<Signature, SendError> {
        let mut signature = Signature::new(self.name);
        signature.args = crate::arguments::positional(&args)?;
        if let Some(queue) = self.options.queue {
            signature = signature.queue(queue);
        }
        if let Some(priority) = self.options.priority {
            signature = signature.priority(priority);
        }
        if self.options.ignore_result == Some(true) {
            signature = signature.ignore_result(true);
        }
        if let Some(limit) = self.options.time_limit {
            signature = signature.time_limit(limit);
        }
        if let Some(limit) = self.options.soft_time_limit {
            signature = signature.soft_time_limit(limit);
        }
        Ok(signature)
    }

    /// The same, but it takes no result of what came before. Celery's `.si()`.
    ///
    /// # Errors
    ///
    /// As [`s`](Self::s).
    pub fn si(&self, args: A) -> Result<Signature, SendError> {
        Ok(self.s(args)?.immutable())
    }

    /// A call with each of these as its arguments, one after the other, in one worker. Celery's `.starmap()`.
    ///
    /// # Errors
    ///
    /// As [`s`](Self::s).
    pub fn starmap(&self, items: impl IntoIterator<Item = A>) -> Result<Signature, SendError> {
        Ok(canvas::starmap(&Signature::new(self.name), items)?)
    }

    /// The same in parts of so many, each of which may run in another worker. Celery's `.chunks()`.
    ///
    /// # Errors
    ///
    /// As [`s`](Self::s), and parts of none.
    pub fn chunks(
        &self,
        items: impl IntoIterator<Item = A>,
        size: usize,
    ) -> Result<Signature, SendError> {
        canvas::chunks(&Signature::new(self.name), items, size)
    }

    /// Sends it with options, over the task's own. Celery's `.apply_async()`.
    ///
    /// ```no_run
    /// use quintette_tasks::{App, Options, Task};
    /// use serde_json::json;
    ///
    /// static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);
    /// # async fn run(app: &App) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut options = Options::default();
    /// options.set("countdown", &10);
    /// let sum = ADD.apply_async(app, (2, 3), &options).await?.get(None).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`App::send`].
    ///
    /// # Cancellation
    ///
    /// As [`App::send`].
    pub async fn apply_async(
        &self,
        app: &App,
        args: A,
        options: &Options,
    ) -> Result<AsyncResult<R>, SendError> {
        let mut signature = self.s(args)?;
        signature.options.update(options);
        Ok(app.send(&signature).await?.typed())
    }

    /// Sends it. Celery's `.delay()`.
    ///
    /// # Errors
    ///
    /// Arguments that cannot be written, and a broker that cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the task may or may not have been sent.
    pub async fn delay(&self, app: &App, args: A) -> Result<AsyncResult<R>, SendError> {
        let sent = app.send(&self.s(args)?).await?;
        Ok(sent.typed())
    }
}

impl<A, R> std::fmt::Debug for Task<A, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
