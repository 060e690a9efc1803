use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::acks::Acks;
use super::handle::WorkerHandle;
use super::memory::Memory;
use super::request::Request;
use super::state::WorkerState;
use crate::app::App;
use crate::brokers::Queue;
use crate::protocol::serializer::ContentPolicy;

/// What all parts of a running worker need.
pub(crate) struct Shared {
    pub(crate) handle: WorkerHandle,
    pub(crate) policy: ContentPolicy,
    pub(crate) acks: Acks,
    /// Bounds how many results are on their way to the store.
    pub(crate) finishing: Arc<Semaphore>,
    /// Early-acknowledged tasks that have begun here.
    pub(crate) started: Mutex<Memory>,
    /// Whether the worker ends at once: nothing is tried again.
    pub(crate) cold: AtomicBool,
    pub(crate) done: mpsc::UnboundedSender<Done>,
}

/// What the loop is told of tasks.
pub(crate) enum Done {
    /// Another may run: a place was taken for so long.
    Slot(Duration),
    /// Of so many early tasks, these are acknowledged and may run.
    Acknowledged(usize, Vec<Open>),
    /// All is done of a request.
    Request,
}

impl Shared {
    /// Results on their way to the store at most.
    pub(crate) const FINISHING: usize = 1_000;

    pub(crate) fn app(&self) -> &App {
        &self.handle.app
    }

    pub(crate) fn state(&self) -> &Arc<WorkerState> {
        &self.handle.state
    }

    /// A queue by its name: as it is consumed, or as the settings want queues to be.
    pub(crate) fn queue(&self, name: &str) -> Queue {
        let consumed = self.state().queues();
        let known = consumed.into_iter().find(|queue| queue.name == name);
        known.unwrap_or_else(|| self.app().queue(name))
    }

    pub(crate) fn is_cold(&self) -> bool {
        self.cold.load(Ordering::Relaxed)
    }

    /// Notes that a task has begun. `false` where it had before.
    pub(crate) fn begin_once(&self, request: &Request) -> bool {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.insert(request.id(), request.attempt())
    }

    pub(crate) fn has_begun(&self, request: &Request) -> bool {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.contains(request.id(), request.attempt())
    }

    pub(crate) fn is_acks_late(&self, request: &Request) -> bool {
        let own = request.options.acks_late;
        own.unwrap_or(self.app().settings().task_acks_late)
    }
}

/// A place among the tasks that run at once; free again when it is dropped, whatever happens to the task.
pub(crate) struct Slot {
    since: Instant,
    done: mpsc::UnboundedSender<Done>,
}

impl Slot {
    pub(crate) fn take(shared: &Shared) -> Self {
        Self {
            since: Instant::now(),
            done: shared.done.clone(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self.done.send(Done::Slot(self.since.elapsed()));
    }
}

/// A request that the worker is responsible for, until this is dropped.
pub(crate) struct Open {
    pub(crate) request: Arc<Request>,
    shared: Arc<Shared>,
}

impl Open {
    pub(crate) fn new(shared: &Arc<Shared>, request: Arc<Request>) -> Self {
        Self {
            request,
            shared: shared.clone(),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.state().remove(&self.request);
        let _ = self.shared.done.send(Done::Request);
    }
}

/// The waits between two attempts: 0.1 seconds, doubled up to 5, and up to half of it less by chance.
#[derive(Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    pub(crate) fn next(&mut self) -> Duration {
        let most = Duration::from_millis(100 << self.attempts.min(6)).min(Duration::from_secs(5));
        self.attempts += 1;
        most.mul_f64(1.0 - random() / 2.0)
    }
}

/// A number from 0 to 1, without 1.
pub(crate) fn random() -> f64 {
    // A machine without randomness has no jitter.
    let bits = getrandom::u32().unwrap_or(0);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
