//! What runs beside a worker's tasks: remote control, heartbeats, events.

use tokio::task::JoinSet;

use super::handle::WorkerHandle;
use super::remote::{self, TaskEvents};
use crate::events::EventDispatcher;

/// Those services, while a worker runs. Dropped, they end.
pub(crate) struct Services {
    handle: WorkerHandle,
    dispatcher: EventDispatcher,
    running: JoinSet<()>,
}

impl Services {
    /// Starts them; they wait for the broker by themselves.
    pub(crate) fn start(handle: &WorkerHandle) -> Self {
        let broker = handle.app.broker().clone();
        let dispatcher = EventDispatcher::start(broker, handle.state.hostname.clone());
        let mut running = JoinSet::new();
        running.spawn(TaskEvents::run(handle.state.clone(), dispatcher.clone()));
        if handle.app.settings().worker_enable_remote_control {
            running.spawn(remote::obey(handle.clone(), dispatcher.clone()));
            running.spawn(remote::mingle(handle.clone()));
        }
        Self {
            handle: handle.clone(),
            dispatcher,
            running,
        }
    }

    /// Ends them, after the last task: `worker-offline` is sent, if the broker is there.
    pub(crate) async fn stop(mut self) {
        self.running.shutdown().await;
        TaskEvents::stop(&self.handle.state, &self.dispatcher).await;
    }
}
