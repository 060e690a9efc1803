//! Runs tasks. Celery's worker.
//!
//! ```no_run
//! use quintette_tasks::worker::{Context, Tasks, Worker};
//! use quintette_tasks::{App, Task, TaskSettings};
//!
//! static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);
//!
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::new(TaskSettings::default())?;
//! let tasks = Tasks::new().with(&ADD, |_: Context, (x, y)| async move { Ok(x + y) });
//! Worker::new(app, tasks).queues(["celery"]).run().await?;
//! # Ok(())
//! # }
//! ```

mod acks;
mod agenda;
mod begin;
mod clock;
mod context;
pub mod dead;
mod dispatch;
mod ending;
mod events;
mod execute;
mod finish;
mod handle;
mod limits;
mod memory;
mod ordered;
mod outcome;
mod rate;
mod registry;
mod remote;
mod request;
mod retry;
mod revoked;
mod run;
mod services;
mod shared;
mod state;
mod strategy;
mod take;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use clock::LamportClock;
pub use context::Context;
pub use events::{Event, EventSink, Events};
use handle::Command;
pub use handle::{Shutdown, WorkerHandle};
pub use rate::{InvalidRate, Rate};
pub use registry::Tasks;
pub use request::{DeliveryInfo, Request, Stage};
pub use run::WorkerError;
pub use state::{TimeLimits, WorkerState};

use crate::app::App;
use crate::brokers::Queue;
use crate::canvas;

/// A worker that has not begun.
#[derive(Debug)]
pub struct Worker {
    handle: WorkerHandle,
    commands: mpsc::UnboundedReceiver<Command>,
    queues: Vec<Queue>,
    soft_shutdown: Duration,
}

impl Worker {
    /// A worker that runs `tasks`, and Celery's own, from the default queue.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a worker takes its tasks, as it takes its client"
    )]
    pub fn new(app: App, tasks: Tasks) -> Self {
        let settings = app.settings();
        let concurrency = settings.worker_concurrency.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let hostname: Arc<str> = format!("celery@{}", crate::app::hostname()).into();
        let queues = vec![app.queue(&settings.task_default_queue)];
        let state = WorkerState::new(hostname, concurrency, settings.worker_state_db.clone());
        state.events.enable(settings.worker_send_task_events);
        let tasks = canvas::builtins(&tasks).and(&tasks);
        let (handle, commands) = WorkerHandle::new(app, tasks, Arc::new(state));
        Self {
            handle,
            commands,
            queues,
            soft_shutdown: Duration::ZERO,
        }
    }

    /// The queues that it takes from. Celery's `-Q`.
    #[must_use]
    pub fn queues<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let app = &self.handle.app;
        self.queues = names
            .into_iter()
            .map(|name| app.queue(&name.into()))
            .collect();
        self
    }

    /// How many tasks run at once. Celery's `-c`.
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        self.handle.state.set_concurrency(concurrency.max(1));
        self
    }

    /// Its name: `name@host`. Celery's `-n`.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<Arc<str>>) -> Self {
        let settings = self.handle.app.settings();
        let state = WorkerState::new(
            hostname.into(),
            self.handle.state.concurrency(),
            settings.worker_state_db.clone(),
        );
        state.events.enable(settings.worker_send_task_events);
        self.handle.state = Arc::new(state);
        self
    }

    /// How long a cold shutdown lets tasks finish before it drops them; not at all by default. Celery's `worker_soft_shutdown_timeout`.
    #[must_use]
    pub fn soft_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.soft_shutdown = timeout;
        self
    }

    /// The way to tell it what to do while it runs. Take it after its name is set.
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }
}
