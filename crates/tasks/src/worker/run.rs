//! A worker from its start to its end.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tracing::{info, warn};

use super::Worker;
use super::acks::Acks;
use super::dispatch::{Dispatcher, Inputs};
use super::handle::{Shutdown, WorkerHandle};
use super::memory::Memory;
use super::services::Services;
use super::shared::Shared;
use super::take::{Taker, place};
use crate::brokers::BrokerError;
use crate::protocol::serializer::{AcceptContent, ContentError, ContentPolicy};

/// A worker that cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The broker will never do what the settings ask of it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// `accept_content` names what nobody reads.
    #[error("accept_content: {0}")]
    AcceptContent(#[from] ContentError),
    /// `worker_state_db` cannot be read.
    #[error(
        "worker_state_db {path}: it cannot be read, so tasks that were revoked could run: {source}"
    )]
    StateFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How long the last acknowledgements may take, and the services.
const PATIENCE: Duration = Duration::from_secs(10);

impl Worker {
    /// Runs until SIGTERM or SIGINT, which let tasks finish; the second of them, and SIGQUIT, do not.
    ///
    /// # Errors
    ///
    /// Settings that it cannot work with. A broker that cannot be reached is waited for.
    pub async fn run(self) -> Result<(), WorkerError> {
        let signals = tokio::spawn(obey_signals(self.handle()));
        let ran = self.run_until(std::future::pending()).await;
        signals.abort();
        ran
    }

    /// Runs until `shutdown` is ready, and finishes what runs then; [`WorkerHandle::shutdown`] ends it as well.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, it takes nothing more, and what runs goes on with nobody to wait for it. What is acknowledged late may run again.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let settings = self.handle.app.settings();
        let accept = settings.accept_content.iter().map(String::as_str);
        let policy = ContentPolicy {
            accept: AcceptContent::from_names(accept)?,
            max_expanded: settings.max_body_size,
        };
        self.load_state().await?;
        self.handle
            .state
            .change_queues(|queues| queues.clone_from(&self.queues));
        let transport = self.handle.app.broker().info().transport;
        let acks = Acks::start(transport);
        let (done, done_receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            handle: self.handle.clone(),
            policy,
            acks,
            finishing: Arc::new(Semaphore::new(Shared::FINISHING)),
            started: Mutex::new(Memory::new(50_000)),
            cold: AtomicBool::new(false),
            done,
        });
        self.announce(&shared);
        let services = Services::start(&self.handle);
        let (orders, orders_receiver) = mpsc::unbounded_channel();
        let (taken, taken_receiver) = mpsc::channel(4);
        let dispatcher = Dispatcher::new(shared.clone(), orders.clone(), self.soft_shutdown);
        let taker = Taker::new(shared.clone(), orders_receiver, taken);
        let inputs = Inputs {
            commands: self.commands,
            done: done_receiver,
            taken: taken_receiver,
        };
        let mut taking = tokio::spawn(taker.run());
        let ran = dispatcher.run(inputs, shutdown).await;
        services.stop().await;
        // The last acknowledgements leave before the connection does.
        let _ = tokio::time::timeout(PATIENCE, shared.acks.flush()).await;
        drop(orders);
        if tokio::time::timeout(PATIENCE, &mut taking).await.is_err() {
            taking.abort();
        }
        info!("worker: {} has ended", self.handle.state.hostname);
        Ok(ran?)
    }

    async fn load_state(&self) -> Result<(), WorkerError> {
        let state = self.handle.state.clone();
        let loaded = tokio::task::spawn_blocking(move || state.load_revoked()).await;
        let path = self.handle.app.settings().worker_state_db.clone();
        match loaded {
            Ok(Err(source)) => Err(WorkerError::StateFile {
                path: path.unwrap_or_default(),
                source,
            }),
            _ => Ok(()),
        }
    }

    fn announce(&self, shared: &Shared) {
        let state = &self.handle.state;
        let queues: Vec<_> = self
            .queues
            .iter()
            .map(|queue| queue.name.as_str())
            .collect();
        info!(
            "{} (quintette {}): {} at once, from the queues {} of {}",
            state.hostname,
            env!("CARGO_PKG_VERSION"),
            state.concurrency(),
            queues.join(", "),
            place(shared),
        );
        for task in self.handle.tasks.names() {
            info!("  . {task}");
        }
    }
}

#[cfg(unix)]
async fn obey_signals(handle: WorkerHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    let streams = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::quit(),
    ]
    .map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut quit)] = streams else {
        warn!("signals cannot be heard, and end the process at once");
        return;
    };
    loop {
        let how = tokio::select! {
            _ = terminate.recv() => Shutdown::Warm,
            _ = interrupt.recv() => Shutdown::Warm,
            _ = quit.recv() => Shutdown::Cold,
        };
        handle.shutdown(how);
    }
}

#[cfg(not(unix))]
async fn obey_signals(handle: WorkerHandle) {
    while tokio::signal::ctrl_c().await.is_ok() {
        handle.shutdown(Shutdown::Warm);
    }
}
