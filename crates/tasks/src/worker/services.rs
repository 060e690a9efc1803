//! What runs beside a worker's tasks: remote control, heartbeats, events.

use super::handle::WorkerHandle;

/// Those services, while a worker runs.
pub(crate) struct Services {}

impl Services {
    /// Starts them; they wait for the broker by themselves.
    pub(crate) fn start(_: &WorkerHandle) -> Self {
        Self {}
    }

    /// Ends them, after the last task: `worker-offline` is sent, if the broker is there.
    pub(crate) async fn stop(self) {}
}
