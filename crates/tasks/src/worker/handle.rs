use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};

use super::rate::{InvalidRate, Rate};
use super::registry::Tasks;
use super::request::{Request, Stop};
use super::state::{TimeLimits, WorkerState};
use crate::app::App;
use crate::brokers::{BrokerError, BrokerErrorKind, Queue};

/// The way to tell a running worker what to do: for remote control, and for programs that run a worker inside.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    /// The worker's client.
    pub app: App,
    /// The tasks that it knows.
    pub tasks: Tasks,
    /// What it is doing.
    pub state: Arc<WorkerState>,
    commands: mpsc::UnboundedSender<Command>,
}

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Nothing more is taken, what has not begun goes back, and what runs is finished.
    Warm,
    /// What runs is dropped; what is acknowledged late goes back.
    Cold,
}

pub(crate) enum Command {
    Shutdown(Shutdown),
    AddQueue(Box<Queue>, oneshot::Sender<Result<(), BrokerError>>),
    CancelQueue(String, oneshot::Sender<Result<(), BrokerError>>),
    /// The concurrency has changed.
    Resize,
    /// The rate limit of a task has changed.
    Rate(String),
    /// The broker cannot keep a task until it is due.
    Hold(Arc<Request>, DateTime<Utc>),
}

impl WorkerHandle {
    pub(crate) fn new(
        app: App,
        tasks: Tasks,
        state: Arc<WorkerState>,
    ) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let handle = Self {
            app,
            tasks,
            state,
            commands,
        };
        (handle, receiver)
    }

    /// Ends the worker. A second time, or harder, it is obeyed as well.
    pub fn shutdown(&self, how: Shutdown) {
        let _ = self.commands.send(Command::Shutdown(how));
    }

    /// Begins to take from another queue. Celery's `add_consumer`.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached, or the worker is ending. The queue is taken from as soon as the broker is there again.
    pub async fn add_queue(&self, queue: Queue) -> Result<(), BrokerError> {
        self.ask(|reply| Command::AddQueue(Box::new(queue), reply))
            .await
    }

    /// Takes no more from a queue. Celery's `cancel_consumer`.
    ///
    /// # Errors
    ///
    /// As [`add_queue`](Self::add_queue).
    pub async fn cancel_queue(&self, name: &str) -> Result<(), BrokerError> {
        self.ask(|reply| Command::CancelQueue(name.to_owned(), reply))
            .await
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), BrokerError>>) -> Command,
    ) -> Result<(), BrokerError> {
        let ending =
            || BrokerError::new(BrokerErrorKind::Unavailable, "the worker is shutting down");
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }

    pub(crate) fn hold(&self, request: Arc<Request>, eta: DateTime<Utc>) {
        let _ = self.commands.send(Command::Hold(request, eta));
    }

    /// Runs `n` more tasks at once. Celery's `pool_grow`.
    pub fn pool_grow(&self, n: usize) {
        self.resize(|now| now.saturating_add(n));
    }

    /// Runs `n` fewer tasks at once, but never none. Celery's `pool_shrink`.
    pub fn pool_shrink(&self, n: usize) {
        self.resize(|now| now.saturating_sub(n).max(1));
    }

    fn resize(&self, change: impl FnOnce(usize) -> usize) {
        self.state.set_concurrency(change(self.state.concurrency()));
        let _ = self.commands.send(Command::Resize);
    }

    /// Tasks by their ids do not run any more; with `terminate`, those that run end.
    ///
    /// An async task is dropped; a blocking one learns it from [`is_revoked`](super::Context::is_revoked).
    pub async fn revoke(&self, ids: Vec<String>, terminate: bool) {
        let state = self.state.clone();
        let written = tokio::task::spawn_blocking(move || {
            state.revoke(&ids);
            if terminate {
                state.stop(&ids, Stop::Terminated);
            }
        });
        // It does not panic, and is not aborted.
        let _ = written.await;
    }

    /// Limits how many tasks of a name begin in a time; `0` for no limit.
    ///
    /// # Errors
    ///
    /// What is no rate, such as `10/x`.
    pub fn rate_limit(&self, task: &str, rate: &str) -> Result<(), InvalidRate> {
        self.state.set_rate(task, rate.parse::<Rate>()?);
        let _ = self.commands.send(Command::Rate(task.to_owned()));
        Ok(())
    }

    /// Limits how long tasks of a name run from now on.
    pub fn time_limit(&self, task: &str, limits: TimeLimits) {
        self.state.set_time_limits(task, limits);
    }

    /// Sends task events. Returns whether that is new.
    pub fn enable_events(&self) -> bool {
        self.state.events.enable(true)
    }

    /// Sends no more task events. Returns whether that is new.
    pub fn disable_events(&self) -> bool {
        self.state.events.enable(false)
    }
}
