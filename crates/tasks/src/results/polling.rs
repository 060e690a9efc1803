//! Waiting for a result in a store that tells nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, timeout_at};

use super::{ResultBackend, ResultError, TaskMeta};

/// How often the store is asked: at first, and after a while. Celery asks each half second.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);
/// How many stored results a waiter may lag behind before it just asks.
const TOLD: usize = 1_024;

/// Tells those who wait in this process what was stored in this process.
#[derive(Clone, Debug)]
pub(super) struct Stored(broadcast::Sender<Arc<str>>);

impl Default for Stored {
    fn default() -> Self {
        Self(broadcast::channel(TOLD).0)
    }
}

impl Stored {
    pub(super) fn tell(&self, id: &str) {
        // Nobody waits: good as well.
        let _ = self.0.send(id.into());
    }

    /// Asks the backend until the task is ready.
    pub(super) async fn wait(
        &self,
        backend: &impl ResultBackend,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut told = self.0.subscribe();
        let mut pause = SHORTEST;
        loop {
            let ready = backend.load(id).await?;
            if let Some(meta) = ready.filter(|meta| meta.status.is_ready()) {
                return Ok(Some(meta));
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
            let until = (now + pause).min(deadline.unwrap_or(now + pause));
            // Its end is not told: it is time to ask again.
            let _ = timeout_at(until, is_told(&mut told, id)).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

async fn is_told(told: &mut broadcast::Receiver<Arc<str>>, id: &str) {
    loop {
        match told.recv().await {
            Ok(stored) if *stored != *id => {}
            Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
        }
    }
}
