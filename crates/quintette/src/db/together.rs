//! Questions that travel together.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::failure::Failure;

type Flight<V> = Pin<Box<dyn Future<Output = Result<Vec<V>, Failure>> + Send>>;
type Caller<V> = oneshot::Sender<Result<V, Failure>>;
type Fly<K, V> = dyn Fn(Vec<K>) -> Flight<V> + Send + Sync;

/// Gathers the questions that come while others are under way, and asks them with one statement.
///
/// A lone question goes at once, alone. A flight is a task of its own, so that a caller who vanishes takes nobody's answer
/// along, and leaves no connection in the middle of a statement.
pub(super) struct Together<K, V> {
    shared: Arc<Shared<K, V>>,
}

struct Shared<K, V> {
    fly: Box<Fly<K, V>>,
    flights: usize,
    seats: usize,
    timeout: Duration,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    under_way: usize,
    waiting: Vec<(K, Caller<V>)>,
}

impl<K: Send + 'static, V: Send + 'static> Together<K, V> {
    /// `fly` answers as many questions as it is given, in their order. At most so many `flights` are under way at once,
    /// with so many `seats` each. `timeout` bounds a question from when it is asked to its answer.
    pub(super) fn new(
        flights: usize,
        seats: usize,
        timeout: Duration,
        fly: impl Fn(Vec<K>) -> Flight<V> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                fly: Box::new(fly),
                flights,
                seats,
                timeout,
                state: Mutex::new(State {
                    under_way: 0,
                    waiting: Vec::new(),
                }),
            }),
        }
    }

    /// The answer to one question. A flight that fails fails all who are on it.
    pub(super) async fn ask(&self, question: K) -> Result<V, Failure> {
        let (caller, answered) = oneshot::channel();
        let starts = {
            let mut state = self.shared.state();
            state.waiting.push((question, caller));
            let starts = state.under_way < self.shared.flights;
            state.under_way += usize::from(starts);
            starts
        };
        if starts {
            let flight = Flying {
                shared: self.shared.clone(),
                landed: false,
            };
            tokio::spawn(flight.until_nobody_waits());
        }
        match timeout(self.shared.timeout, answered).await {
            Ok(Ok(answer)) => answer,
            // The flight panicked, or the runtime ends.
            Ok(Err(_)) => Err(Failure::lost(sqlx::Error::WorkerCrashed)),
            Err(_) => Err(Failure::timed_out("no answer in time")),
        }
    }
}

impl<K, V> Shared<K, V> {
    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        // Each change of it is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Flying<K, V> {
    shared: Arc<Shared<K, V>>,
    landed: bool,
}

impl<K, V> Flying<K, V> {
    async fn until_nobody_waits(mut self) {
        while let Some((questions, callers)) = self.board() {
            match (self.shared.fly)(questions).await {
                Ok(answers) => {
                    for (caller, answer) in callers.into_iter().zip(answers) {
                        // Nobody listens where the caller has vanished.
                        let _ = caller.send(Ok(answer));
                    }
                }
                Err(failure) => {
                    for caller in callers {
                        let _ = caller.send(Err(failure.clone()));
                    }
                }
            }
        }
    }

    /// Those who have waited longest. Where nobody waits, whoever comes next starts a flight anew.
    fn board(&mut self) -> Option<(Vec<K>, Vec<Caller<V>>)> {
        let mut state = self.shared.state();
        state.waiting.retain(|(_, caller)| !caller.is_closed());
        if state.waiting.is_empty() {
            state.under_way -= 1;
            drop(state);
            self.landed = true;
            return None;
        }
        let seats = state.waiting.len().min(self.shared.seats);
        Some(state.waiting.drain(..seats).unzip())
    }
}

/// A flight that panicked is counted out, too.
impl<K, V> Drop for Flying<K, V> {
    fn drop(&mut self) {
        if !self.landed {
            self.shared.state().under_way -= 1;
        }
    }
}

impl<K, V> fmt::Debug for Together<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together")
            .field("flights", &self.shared.flights)
            .field("seats", &self.shared.seats)
            .finish_non_exhaustive()
    }
}
