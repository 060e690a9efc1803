use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use quintette_core::json::RawJson;
use serde::Serialize;

use super::outcome;
use super::request::{DeliveryInfo, Request};
use super::state::WorkerState;
use crate::app::App;
use crate::arguments::Arguments;
use crate::canvas;
use crate::error::{Exception, TaskError};
use crate::outcome::AsyncResult;
use crate::protocol::TaskHeaders;
use crate::results::{ResultError, State, TaskMeta};
use crate::send::SendError;
use crate::signature::Signature;

/// A task's own call, while it runs. Celery's bound `self`, and `self.request`.
#[derive(Clone)]
pub struct Context {
    app: App,
    request: Arc<Request>,
    state: Arc<WorkerState>,
    arguments: Option<Arc<Arguments>>,
}

impl Context {
    pub(crate) fn new(app: App, request: Arc<Request>, state: Arc<WorkerState>) -> Self {
        Self {
            app,
            request,
            state,
            arguments: None,
        }
    }

    /// The same for a call of another task within this one.
    pub(crate) fn calling(&self, arguments: Arguments) -> Self {
        Self {
            arguments: Some(Arc::new(arguments)),
            ..self.clone()
        }
    }

    /// The client, to send other tasks with.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The task's message.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The task's id.
    pub fn id(&self) -> &str {
        self.request.id()
    }

    /// The task's name.
    pub fn task(&self) -> &str {
        &self.request.headers.task
    }

    /// The positional arguments.
    pub fn args(&self) -> &[RawJson] {
        &self.arguments().args
    }

    /// The keyword arguments.
    pub fn kwargs(&self) -> &IndexMap<Box<str>, RawJson> {
        &self.arguments().kwargs
    }

    /// All arguments.
    pub fn arguments(&self) -> &Arguments {
        let own = self.arguments.as_deref();
        own.unwrap_or(&self.request.arguments)
    }

    /// How often it has been tried before.
    pub fn retries(&self) -> u32 {
        self.request.headers.retries
    }

    /// The time it was to wait for.
    pub fn eta(&self) -> Option<DateTime<Utc>> {
        self.request.eta
    }

    /// The time after which it would not have begun.
    pub fn expires(&self) -> Option<DateTime<Utc>> {
        self.request.expires
    }

    /// All headers of the message.
    pub fn headers(&self) -> &TaskHeaders {
        &self.request.headers
    }

    /// How the message came here.
    pub fn delivery_info(&self) -> &DeliveryInfo {
        &self.request.delivery_info
    }

    /// The worker's name.
    pub fn hostname(&self) -> &str {
        &self.request.hostname
    }

    /// The call that all this began with.
    pub fn root_id(&self) -> &str {
        self.request.root_id()
    }

    /// The call that made this one.
    pub fn parent_id(&self) -> Option<&str> {
        self.request.headers.parent_id.as_deref()
    }

    /// The group that it is part of.
    pub fn group(&self) -> Option<&str> {
        self.request.headers.group.as_deref()
    }

    /// To be returned as the error: the task is tried again after so long, or after its options' time where that is `None`.
    ///
    /// When it has been tried `max_retries` times, it fails with `cause`. Celery's `self.retry(exc=…)`.
    pub fn retry(&self, countdown: Option<Duration>, cause: impl fmt::Display) -> TaskError {
        TaskError::Retry {
            cause: Exception::new("Exception", cause),
            countdown,
        }
    }

    /// Stores a state of the task's own, such as `PROGRESS`, for whoever asks for it. Celery's `self.update_state`.
    ///
    /// # Errors
    ///
    /// Where the store cannot be reached. Without a store, or for a task whose result is ignored, nothing is done.
    pub async fn update_state(
        &self,
        state: impl Into<String>,
        meta: impl Serialize,
    ) -> Result<(), ResultError> {
        let Some(results) = self.app.results() else {
            return Ok(());
        };
        let written = RawJson::from_value(&meta).map_err(|error| {
            ResultError::new(
                crate::results::ResultErrorKind::Unsupported,
                format!(
                    "the state of {:?} cannot be written as JSON: {error}",
                    self.request
                ),
            )
        })?;
        let mut stored = TaskMeta::new(self.id(), State::Custom, written);
        stored.set_status(state.into());
        outcome::describe(&mut stored, &self.request, self.app.settings());
        results.store(&stored, &self.request.store_context()).await
    }

    /// Sends another task, as a child of this one.
    ///
    /// # Errors
    ///
    /// As [`App::send`].
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the task may or may not have been sent.
    pub async fn send(&self, signature: &Signature) -> Result<AsyncResult, SendError> {
        let mut child = signature.clone();
        for (name, id) in [("root_id", self.root_id()), ("parent_id", self.id())] {
            if child.options.get(name).is_none() {
                child.options.set(name, id);
            }
        }
        let sent = self.app.send(&child).await?;
        self.request.add_child(sent.to_tuple());
        Ok(sent)
    }

    /// Sends another task in place of this one: whoever waits for this one gets the other's result. Return the error. Celery's `self.replace`.
    ///
    /// # Errors
    ///
    /// Always: [`TaskError::Ignore`], or a failure where the other cannot be sent.
    pub async fn replace(&self, signature: Signature) -> TaskError {
        match canvas::replace(&self.app, &self.request, signature).await {
            Ok(()) => TaskError::Ignore,
            Err(error) => TaskError::from(error),
        }
    }

    /// Waits until the soft time limit is reached; for ever where there is none.
    ///
    /// A task that has called this is told, and has until the hard limit. One that never has is dropped at the soft limit.
    pub async fn soft_time_limit(&self) {
        self.request.control.soft_limit().await;
    }

    /// Whether the soft time limit is over: for blocking tasks.
    pub fn soft_time_limit_exceeded(&self) -> bool {
        self.request.control.soft_limit_reached()
    }

    /// Whether the task is to end: revoked, over its hard time limit, or its worker ends at once. For blocking tasks, which nobody else can end.
    pub fn is_revoked(&self) -> bool {
        let control = &self.request.control;
        control.revoked.load(Ordering::Relaxed)
            || control.why_stopped().is_some()
            || self.state.is_revoked(&self.request)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.request).finish()
    }
}
