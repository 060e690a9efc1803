//! What one consumer holds, and the way back for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::json::RawJson;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::restore::{PARKED, Reason};
use super::scripts::{CLAIM, PARK};
use super::watch::closed;
use super::{Core, bindings, count, error};
use crate::brokers::{BrokerError, Channel, Delivery, ExchangeKind, Queue};
use crate::redis::{Connection, Failure};

/// Tags from here on are of what needs no acknowledgement.
pub(super) const UNACKNOWLEDGED: u64 = 1 << 63;

/// A consumer's name among the workers, and what it holds. It lives on for as long as somebody may acknowledge.
pub(super) struct Session {
    pub(super) core: Arc<Core>,
    /// Its name among the workers.
    pub(super) worker: String,
    /// The consumer's own connection.
    pub(super) connection: Connection,
    /// Told when there may be something to take.
    pub(super) news: Arc<Notify>,
    no_ack: bool,
    /// Takes no more.
    is_closed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    prefetch: u32,
    held: BTreeSet<u64>,
    /// What could not be acknowledged or given back, and since when.
    doubtful: BTreeMap<u64, Instant>,
    next: u64,
    queues: Vec<Queue>,
    turn: usize,
}

impl Session {
    pub(super) fn new(
        core: Arc<Core>,
        connection: Connection,
        news: Arc<Notify>,
        prefetch: u32,
        no_ack: bool,
    ) -> Self {
        Self {
            core,
            worker: Uuid::new_v4().to_string(),
            connection,
            news,
            no_ack,
            is_closed: AtomicBool::new(false),
            state: Mutex::new(State {
                prefetch,
                ..State::default()
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn no_ack(&self) -> bool {
        self.no_ack
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.news.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// How many more may be held; at most `most`.
    pub(super) fn credit(&self, most: u32) -> u32 {
        let state = self.lock();
        if state.prefetch == 0 || self.no_ack {
            return most;
        }
        let held = u32::try_from(state.held.len()).unwrap_or(u32::MAX);
        state.prefetch.saturating_sub(held).min(most)
    }

    /// The queues that are lists, beginning with another one each time.
    pub(super) fn turn(&self) -> Vec<String> {
        let mut state = self.lock();
        let lists = state
            .queues
            .iter()
            .filter(|queue| bindings::kind(&queue.exchange) != ExchangeKind::Fanout);
        let mut queues: Vec<_> = lists.map(|queue| queue.name.clone()).collect();
        if !queues.is_empty() {
            let first = state.turn % queues.len();
            queues.rotate_left(first);
        }
        state.turn = state.turn.wrapping_add(1);
        queues
    }

    /// The queue of what came from an exchange that is a fanout.
    pub(super) fn fanout_queue(&self, exchange: &str) -> Option<String> {
        let state = self.lock();
        let mut queues = state.queues.iter();
        let queue = queues.find(|queue| queue.exchange.name == exchange);
        queue.map(|queue| queue.name.clone())
    }

    /// The number that the next message is to have.
    pub(super) fn next_number(&self) -> u64 {
        self.lock().next
    }

    /// The tag of what was taken; held, where it needs an acknowledgement.
    pub(super) fn hold(&self, needs_ack: bool) -> u64 {
        let mut state = self.lock();
        let tag = state.next;
        state.next += 1;
        if needs_ack {
            state.held.insert(tag);
            tag
        } else {
            tag | UNACKNOWLEDGED
        }
    }

    /// What is held, as it is called in Redis.
    pub(super) fn held(&self) -> Vec<String> {
        let held = self.lock().held.clone();
        held.into_iter().map(|tag| self.name(tag)).collect()
    }

    fn name(&self, tag: u64) -> String {
        format!("{}:{tag}", self.worker)
    }

    fn names(&self, tags: &[u64]) -> Vec<String> {
        let tags = tags.iter().filter(|tag| **tag < UNACKNOWLEDGED);
        tags.map(|tag| self.name(*tag)).collect()
    }

    /// Not to be renewed and counted any more, whether Redis knows it or not.
    fn release(&self, tags: &[u64], done: Result<(), Failure>) -> Result<(), Failure> {
        let mut state = self.lock();
        for tag in tags {
            state.held.remove(tag);
            if done.is_ok() {
                state.doubtful.remove(tag);
            } else if *tag < UNACKNOWLEDGED {
                state.doubtful.insert(*tag, Instant::now());
            }
        }
        drop(state);
        self.news.notify_one();
        done
    }

    fn doubtful(&self, after: Duration) -> Vec<u64> {
        let state = self.lock();
        let doubtful = state.doubtful.iter();
        let old = doubtful.filter(|(_, since)| since.elapsed() >= after);
        old.map(|(tag, _)| *tag).collect()
    }

    /// Gives back what could not be acknowledged for so long that nobody tries it any more.
    pub(super) async fn give_up(&self, after: Duration) -> Result<(), Failure> {
        let old = self.doubtful(after);
        if old.is_empty() {
            return Ok(());
        }
        self.give_back(&old).await?;
        self.release(&old, Ok(()))
    }

    /// Binds the queues that expire for some time more.
    pub(super) async fn bind_again(&self) -> Result<(), Failure> {
        let queues = self.lock().queues.clone();
        for queue in queues.iter().filter(|queue| queue.expires.is_some()) {
            self.core.declare(queue).await?;
        }
        Ok(())
    }

    async fn forget(&self, tags: &[u64]) -> Result<(), Failure> {
        let names = self.names(tags);
        if names.is_empty() {
            return Ok(());
        }
        let mut commands = redis::pipe();
        // In this order: an entry of the index without a record does no harm.
        commands
            .cmd("HDEL")
            .arg(&self.core.keys.unacked)
            .arg(&names);
        commands
            .cmd("ZREM")
            .arg(&self.core.keys.unacked_index)
            .arg(&names);
        self.core.link.pipeline_again(&commands).await.map(drop)
    }

    /// A worker that stood still may have been called dead meanwhile, and what it held be with others.
    async fn take_out(&self, tags: &[u64]) -> Result<(), Failure> {
        let names = self.names(tags);
        if names.is_empty() {
            return Ok(());
        }
        let keys = &self.core.keys;
        let keys = [&keys.unacked, &keys.unacked_index, &keys.workers].map(String::as_bytes);
        let closed = closed(&self.worker);
        let claim = async |again: &[u8]| {
            let mut arguments = vec![self.worker.as_bytes(), closed.as_bytes(), again];
            arguments.extend(names.iter().map(String::as_bytes));
            self.core.link.script(&CLAIM, &keys, &arguments).await
        };
        let claimed = match claim(b"0").await {
            Err(failure) if failure.ends_connection => claim(b"1").await?,
            answer => answer?,
        };
        if count(&claimed)? == 1 {
            return Ok(());
        }
        Err(taken_over())
    }

    pub(super) async fn give_back(&self, tags: &[u64]) -> Result<(), Failure> {
        let mut tags = tags.to_vec();
        // The oldest is put back last, and is the first to be taken.
        tags.sort_unstable_by(|one, other| other.cmp(one));
        let names = self.names(&tags);
        self.core.restore(&names, Reason::Returned).await
    }

    pub(super) async fn add(&self, queue: &Queue) -> Result<(), Failure> {
        self.core.declare(queue).await?;
        if bindings::kind(&queue.exchange) == ExchangeKind::Fanout {
            self.subscribe("PSUBSCRIBE", queue).await?;
        }
        let mut state = self.lock();
        state.queues.retain(|known| known.name != queue.name);
        state.queues.push(queue.clone());
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    fn take_queue(&self, name: &str) -> Option<Queue> {
        let mut state = self.lock();
        let place = state.queues.iter().position(|queue| queue.name == name)?;
        Some(state.queues.remove(place))
    }

    async fn subscribe(&self, command: &str, queue: &Queue) -> Result<(), Failure> {
        let (exchange, key) = (&queue.exchange.name, &queue.routing_key);
        let mut subscribe = redis::cmd(command);
        subscribe.arg(self.core.keys.pattern(exchange, key));
        self.connection.command(&subscribe).await.map(drop)
    }
}

#[async_trait]
impl Channel for Session {
    async fn ack(&self, tags: &[u64]) -> Result<(), BrokerError> {
        let done = self.release(tags, self.forget(tags).await);
        done.map_err(|failure| error("acknowledge", failure))
    }

    async fn claim(&self, tags: &[u64]) -> Result<(), BrokerError> {
        let done = self.release(tags, self.take_out(tags).await);
        done.map_err(|failure| error("acknowledge", failure))
    }

    async fn requeue(&self, tags: &[u64]) -> Result<(), BrokerError> {
        let done = self.release(tags, self.give_back(tags).await);
        done.map_err(|failure| error("requeue", failure))
    }

    async fn reject(&self, tag: u64) -> Result<(), BrokerError> {
        let done = self.release(&[tag], self.forget(&[tag]).await);
        done.map_err(|failure| error("reject", failure))
    }

    async fn park(&self, delivery: &Delivery, until: DateTime<Utc>) -> Result<bool, BrokerError> {
        if delivery.tag >= UNACKNOWLEDGED {
            return Ok(false);
        }
        let core = &self.core;
        let until = until.timestamp_micros();
        #[expect(
            clippy::cast_precision_loss,
            reason = "microseconds since 1970 are exact in a double for two centuries"
        )]
        let score = until as f64 / 1e6 - core.visibility.as_secs_f64();
        let name = self.name(delivery.tag);
        let (parked, score) = (format!("{PARKED}{name}"), score.to_string());
        let keys = [
            core.keys.unacked.as_bytes(),
            core.keys.unacked_index.as_bytes(),
        ];
        let arguments = [name.as_bytes(), parked.as_bytes(), score.as_bytes()];
        let parked = core.link.script_again(&PARK, &keys, &arguments).await;
        // What cannot be parked is still held.
        let parked = parked.and_then(|_| self.release(&[delivery.tag], Ok(())));
        parked.map_err(|failure| error("park a message", failure))?;
        Ok(true)
    }

    async fn set_header(&self, tag: u64, name: &str, value: &Value) -> Result<bool, BrokerError> {
        let value = RawJson::from_value(value).map_err(|_| Failure::unexpected());
        let changed = match value {
            Ok(value) => self.core.set_header(&self.name(tag), name, value).await,
            Err(failure) => Err(failure),
        };
        match changed {
            Ok(true) => Ok(true),
            Ok(false) => Err(error("change a header", taken_over())),
            Err(failure) => Err(error("change a header", failure)),
        }
    }

    async fn set_prefetch(&self, prefetch: u32) -> Result<(), BrokerError> {
        self.lock().prefetch = prefetch;
        self.news.notify_one();
        Ok(())
    }

    async fn add_queue(&self, queue: &Queue) -> Result<(), BrokerError> {
        let added = self.add(queue).await;
        added.map_err(|failure| error("consume from a queue", failure))
    }

    async fn cancel_queue(&self, name: &str) -> Result<(), BrokerError> {
        match self.take_queue(name) {
            Some(queue) if bindings::kind(&queue.exchange) == ExchangeKind::Fanout => {
                let cancelled = self.subscribe("PUNSUBSCRIBE", &queue).await;
                cancelled.map_err(|failure| error("cancel a queue", failure))
            }
            _ => Ok(()),
        }
    }
}

fn taken_over() -> Failure {
    Failure::unavailable("others have taken over what this worker held")
}

/// In order, nothing is left behind: what is held goes back at once.
impl Drop for Session {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let mut held: Vec<_> = self
            .lock()
            .doubtful
            .keys()
            .map(|tag| self.name(*tag))
            .collect();
        held.extend(self.held());
        held.reverse();
        let (core, worker, no_ack) = (self.core.clone(), self.worker.clone(), self.no_ack);
        let own = |queue: &Queue| queue.exclusive || queue.auto_delete;
        let queues = std::mem::take(&mut self.lock().queues);
        let own: Vec<_> = queues.into_iter().filter(own).collect();
        runtime.spawn(async move {
            for queue in own {
                let _ = core.delete(&queue).await;
            }
            // Where that fails, others find out that the worker is gone.
            if !no_ack && core.restore(&held, Reason::Returned).await.is_ok() {
                let _ = core.leave(&worker).await;
            }
        });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("worker", &self.worker)
            .field("held", &self.lock().held.len())
            .finish_non_exhaustive()
    }
}
