//! Questions that travel together.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::failure::{Failure, timed_out};
use super::queries::Logs;

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
    asked: u64,
    waiting: Vec<Waiting<K, V>>,
}

struct Waiting<K, V> {
    number: u64,
    question: K,
    caller: Caller<V>,
    logs: Logs,
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
                    asked: 0,
                    waiting: Vec::new(),
                }),
            }),
        }
    }

    /// The answer to one question. A flight that fails fails all who are on it.
    pub(super) async fn ask(&self, question: K) -> Result<V, Failure> {
        let (caller, answered) = oneshot::channel();
        let (starts, number) = {
            let mut state = self.shared.state();
            state.asked += 1;
            let number = state.asked;
            state.waiting.push(Waiting {
                number,
                question,
                caller,
                logs: Logs::current(),
            });
            let starts = state.under_way < self.shared.flights;
            state.under_way += usize::from(starts);
            (starts, number)
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
            Err(_) if self.shared.takes_back(number) => Err(Failure::not_sent(timed_out(
                "there was no turn for a statement in time",
            ))),
            Err(_) => Err(Failure::timed_out("no answer in time")),
        }
    }
}

impl<K, V> Shared<K, V> {
    /// Whether the question was still waiting. Then it is never asked.
    fn takes_back(&self, number: u64) -> bool {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.retain(|waiting| waiting.number != number);
        state.waiting.len() < before
    }

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
        while let Some((questions, callers, logs)) = self.board() {
            match logs.carried((self.shared.fly)(questions)).await {
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
    fn board(&mut self) -> Option<(Vec<K>, Vec<Caller<V>>, Logs)> {
        let mut state = self.shared.state();
        state.waiting.retain(|waiting| !waiting.caller.is_closed());
        if state.waiting.is_empty() {
            state.under_way -= 1;
            drop(state);
            self.landed = true;
            return None;
        }
        let seats = state.waiting.len().min(self.shared.seats);
        let (mut questions, mut callers) = (Vec::with_capacity(seats), Vec::with_capacity(seats));
        let mut logs = Logs::default();
        for waiting in state.waiting.drain(..seats) {
            questions.push(waiting.question);
            callers.push(waiting.caller);
            logs = logs.and_all(waiting.logs);
        }
        Some((questions, callers, logs))
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

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// How many questions each flight took along.
    type Sizes = Arc<Mutex<Vec<usize>>>;

    /// Doubles each number, flight by flight as the semaphore lets them go; notes how many were on each.
    fn doubling(flights: usize, seats: usize) -> (Together<u32, u32>, Arc<Semaphore>, Sizes) {
        let cleared = Arc::new(Semaphore::new(0));
        let noted = Arc::new(Mutex::new(Vec::new()));
        let (gate, notes) = (cleared.clone(), noted.clone());
        let together = Together::new(flights, seats, LONG, move |numbers: Vec<u32>| {
            let gate = gate.clone();
            notes.lock().unwrap().push(numbers.len());
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                assert!(!numbers.contains(&13), "a flight that panics");
                if numbers.contains(&7) {
                    return Err(Failure::timed_out("it failed"));
                }
                Ok(numbers.iter().map(|number| number * 2).collect())
            })
        });
        (together, cleared, noted)
    }

    async fn ask(together: &Arc<Together<u32, u32>>, numbers: &[u32]) -> Vec<Asked> {
        let mut asked = Vec::new();
        for number in numbers {
            let (together, number) = (together.clone(), *number);
            asked.push(tokio::spawn(async move { together.ask(number).await }));
            tokio::task::yield_now().await;
        }
        asked
    }

    type Asked = tokio::task::JoinHandle<Result<u32, Failure>>;

    #[tokio::test(start_paused = true)]
    async fn a_lone_question_goes_at_once() {
        let (together, cleared, noted) = doubling(1, 8);
        cleared.add_permits(2);
        let begun = tokio::time::Instant::now();
        assert_eq!(together.ask(1).await.unwrap(), 2);
        assert_eq!(together.ask(2).await.unwrap(), 4);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(*noted.lock().unwrap(), [1, 1]);
    }

    #[tokio::test]
    async fn those_who_come_meanwhile_go_together_as_far_as_there_are_seats() {
        let (together, cleared, noted) = doubling(2, 3);
        let together = Arc::new(together);
        let asked = ask(&together, &[1, 2, 3, 3, 4, 5, 6]).await;
        cleared.add_permits(4);
        for (asked, answer) in asked.into_iter().zip([2, 4, 6, 6, 8, 10, 12]) {
            assert_eq!(asked.await.unwrap().unwrap(), answer);
        }
        assert_eq!(*noted.lock().unwrap(), [1, 1, 3, 2]);
    }

    #[tokio::test]
    async fn a_flight_that_fails_fails_those_on_it_and_nobody_else() {
        let (together, cleared, _) = doubling(1, 2);
        let together = Arc::new(together);
        let mut asked = ask(&together, &[1, 2, 7, 13, 3, 5, 4]).await;
        cleared.add_permits(100);
        let behind = asked.split_off(5);
        let mut answered = Vec::new();
        for asked in asked {
            answered.push(asked.await.unwrap().ok());
        }
        assert_eq!(answered, [Some(2), None, None, None, None]);
        // Those who waited behind a flight that panicked go with whoever comes next.
        assert_eq!(together.ask(5).await.unwrap(), 10);
        for (asked, answer) in behind.into_iter().zip([10, 8]) {
            assert_eq!(asked.await.unwrap().unwrap(), answer);
        }
    }

    #[tokio::test]
    async fn who_vanishes_takes_no_seat_and_no_flight_along() {
        let (together, cleared, noted) = doubling(1, 8);
        let together = Arc::new(together);
        let asked = ask(&together, &[1, 2, 3]).await;
        asked[0].abort();
        asked[1].abort();
        tokio::task::yield_now().await;
        cleared.add_permits(2);
        assert_eq!(
            asked
                .into_iter()
                .next_back()
                .unwrap()
                .await
                .unwrap()
                .unwrap(),
            6
        );
        assert_eq!(*noted.lock().unwrap(), [1, 1]);
    }
}
