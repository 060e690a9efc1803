//! Connections to a server: our own, or the pool of an application.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection, Database, IntoArguments, Pool};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::failure::{Failure, timed_out};
use super::outage::Outage;
use super::queries;

/// A connection that nobody used for so long is closed: what stands between may have forgotten it.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

pub(super) type Statement<S> = Query<'static, S, <S as Database>::Arguments>;
pub(super) type Answer<'c, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'c>>;
type Options<S> = <<S as Database>::Connection as Connection>::Options;

/// What the connections have to know about a kind of server.
pub(super) trait Server: Database<Arguments: IntoArguments<Self>> {
    /// The rows of an answer.
    fn fetch_all(
        connection: &mut Self::Connection,
        statement: Statement<Self>,
    ) -> Answer<'_, Vec<Self::Row>>;

    /// How many rows a statement changed.
    fn execute(connection: &mut Self::Connection, statement: Statement<Self>) -> Answer<'_, u64>;

    /// Tells a new connection of ours what it has to know before its first statement. `timeout` is how long one may take.
    fn set_up(connection: &mut Self::Connection, timeout: Duration) -> Answer<'_, ()> {
        let _ = (connection, timeout);
        Box::pin(async { Ok(()) })
    }

    /// Whether a statement that the server answered with this error is undone for certain.
    fn is_undone(error: &dyn DatabaseError) -> bool;

    /// Whether a connection is of no more use after this error, nor are those as old as it.
    fn ends_connection(error: &dyn DatabaseError) -> bool;

    /// Whether a server that refuses a connection with this error may take one a moment later.
    fn refuses_for_now(error: &dyn DatabaseError) -> bool;

    /// Whether a table is missing.
    fn is_missing_table(error: &dyn DatabaseError) -> bool;

    /// What a person can do about it.
    fn advice(error: &dyn DatabaseError) -> Option<&'static str>;
}

/// Connections to one server. A cheap handle; clones share them.
///
/// sqlx's pool asks a connection for a sign of life when it is taken and when it comes back, which are two more round
/// trips for each statement. Here a connection goes straight from one statement to the next. One that turns out dead
/// takes those of its age with it; a read is then sent again, and a write is reported as what it is: unknown.
pub(super) struct Connections<S: Server> {
    source: Source<S>,
    timeout: Duration,
}

enum Source<S: Server> {
    Own(Arc<Own<S>>),
    Pool(Pool<S>),
}

struct Own<S: Server> {
    options: Options<S>,
    timeout: Duration,
    at_most: usize,
    /// First come, first served.
    turns: Arc<Semaphore>,
    state: Mutex<State<S>>,
    /// How many answers have come from the server, of whatever kind.
    answers: AtomicU64,
    /// Rung when a connection may be had during an outage.
    available: Notify,
}

struct State<S: Server> {
    /// The most recently used last, so that those that are not needed grow old.
    idle: VecDeque<Idle<S>>,
    /// How many there are, idle or leased.
    open: usize,
    /// Connections of an earlier generation are not used again.
    generation: u64,
    outage: Option<Outage>,
}

struct Idle<S: Server> {
    connection: S::Connection,
    generation: u64,
    since: Instant,
}

impl<S: Server> Connections<S> {
    /// At most this many, each opened when it is first needed. `timeout` bounds a statement from its turn to its
    /// answer.
    pub(super) fn own(options: Options<S>, at_most: usize, timeout: Duration) -> Self {
        let own = Own {
            options,
            timeout,
            at_most,
            turns: Arc::new(Semaphore::new(at_most)),
            state: Mutex::new(State {
                idle: VecDeque::with_capacity(at_most),
                open: 0,
                generation: 0,
                outage: None,
            }),
            answers: AtomicU64::new(0),
            available: Notify::new(),
        };
        Self {
            source: Source::Own(Arc::new(own)),
            timeout,
        }
    }

    /// Those of an application. How many there are is its choice; `timeout` bounds a statement here, too.
    pub(super) fn pool(pool: Pool<S>, timeout: Duration) -> Self {
        Self {
            source: Source::Pool(pool),
            timeout,
        }
    }

    /// How long a statement may take, from its turn to its answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same connections for statements that may take longer.
    pub(super) fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// The rows that a statement finds which changes nothing.
    ///
    /// Where a connection that was used before turns out dead, it is sent once more, on another.
    pub(super) async fn read(
        &self,
        statement: impl Fn() -> Statement<S> + Send + Sync,
    ) -> Result<Vec<S::Row>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut lease = self.acquire(deadline).await?;
        let (query, note) = queries::noting(statement());
        let rows = lease.run(deadline, |connection| S::fetch_all(connection, query));
        match rows.await {
            Err(_) if lease.is_reused() && lease.is_broken() && Instant::now() < deadline => {}
            answered => return answered,
        }
        drop((note, lease));
        let mut lease = self.acquire(deadline).await?;
        let (query, _note) = queries::noting(statement());
        lease
            .run(deadline, |connection| S::fetch_all(connection, query))
            .await
    }

    /// How many rows a statement changed.
    ///
    /// # Cancellation
    ///
    /// A statement whose caller vanishes may have been carried out or not. Its connection is closed.
    pub(super) async fn write(&self, statement: Statement<S>) -> Result<u64, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut lease = self.acquire(deadline).await?;
        let (statement, _note) = queries::noting(statement);
        lease
            .run(deadline, |connection| S::execute(connection, statement))
            .await
    }

    /// The rows that a statement returns which changes something. As [`write`](Self::write).
    #[cfg(feature = "postgres")]
    pub(super) async fn write_returning(
        &self,
        statement: Statement<S>,
    ) -> Result<Vec<S::Row>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut lease = self.acquire(deadline).await?;
        let (statement, _note) = queries::noting(statement);
        lease
            .run(deadline, |connection| S::fetch_all(connection, statement))
            .await
    }

    /// A connection that nobody else uses, for more than one statement.
    pub(super) async fn acquire(&self, deadline: Instant) -> Result<Lease<S>, Failure> {
        match &self.source {
            Source::Own(own) => own.acquire(deadline).await,
            Source::Pool(pool) => match timeout_at(deadline, pool.acquire()).await {
                Ok(Ok(connection)) => Ok(Lease::of_pool(connection)),
                Ok(Err(error)) => Err(Failure::not_sent(error)),
                Err(_) => Err(Failure::not_sent(sqlx::Error::PoolTimedOut)),
            },
        }
    }
}

impl<S: Server> Own<S> {
    async fn acquire(self: &Arc<Self>, deadline: Instant) -> Result<Lease<S>, Failure> {
        let turn = timeout_at(deadline, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            // Whoever has the turns may wait in vain for a server that is away.
            let outage = self.state().outage.as_ref().map(Outage::failure);
            return Err(outage.unwrap_or_else(|| {
                let all = self.at_most;
                Failure::not_sent(timed_out(&format!("all {all} connections were in use")))
            }));
        };
        loop {
            let waits_until = {
                let mut state = self.state();
                if let Some(idle) = state.pop() {
                    drop(state);
                    return Ok(Lease::of_own(self.clone(), turn, idle, true));
                }
                let may_return = state.open > 0;
                match &mut state.outage {
                    None => None,
                    Some(outage) => outage.next_attempt(deadline, may_return)?,
                }
            };
            match waits_until {
                // Ends early where a connection has become available: then this loop finds it.
                Some(time) => {
                    let _ = timeout_at(time, self.available.notified()).await;
                }
                None => {
                    if let Some(idle) = self.connect(deadline).await? {
                        return Ok(Lease::of_own(self.clone(), turn, idle, false));
                    }
                }
            }
        }
    }

    /// One attempt; `None` where another may follow in a moment.
    async fn connect(&self, deadline: Instant) -> Result<Option<Idle<S>>, Failure> {
        let generation = self.state().generation;
        let begun = Instant::now();
        let connected = timeout_at(deadline, async {
            let mut connection = self.options.connect().await?;
            S::set_up(&mut connection, self.timeout).await?;
            Ok(connection)
        });
        let connected = connected.await;
        let mut state = self.state();
        let error = match connected {
            Ok(Ok(connection)) => {
                state.open += 1;
                if state.outage.take().is_some() {
                    self.available.notify_waiters();
                }
                return Ok(Some(Idle {
                    connection,
                    generation,
                    since: Instant::now(),
                }));
            }
            Ok(Err(error)) => error,
            Err(_) => {
                let silence = timed_out("the server does not answer a new connection");
                if begun.elapsed() < self.timeout / 2 {
                    // Whoever came late has not shown that nobody is answered.
                    return Err(Failure::not_sent(silence));
                }
                silence
            }
        };
        let passes = match &error {
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(error) => S::refuses_for_now(error.as_ref()),
            _ => false,
        };
        let failure = Failure::not_sent(error);
        let patience = self.timeout.saturating_sub(begun.elapsed());
        Outage::note(&mut state.outage, failure.clone(), patience);
        if passes { Ok(None) } else { Err(failure) }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        // Each change of it is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Server> State<S> {
    fn pop(&mut self) -> Option<Idle<S>> {
        let newest = self.idle.pop_back()?;
        if newest.since.elapsed() < IDLE_TIMEOUT {
            return Some(newest);
        }
        // The others are older.
        self.open -= self.idle.len() + 1;
        self.idle.clear();
        None
    }

    fn push(&mut self, idle: Idle<S>) {
        if idle.generation < self.generation {
            self.open -= 1;
            return;
        }
        self.idle.push_back(idle);
        if self
            .idle
            .front()
            .is_some_and(|oldest| oldest.since.elapsed() > IDLE_TIMEOUT)
        {
            self.open -= 1;
            self.idle.pop_front();
        }
    }

    /// No connection of this generation is used again.
    fn forsake(&mut self, generation: u64) {
        if generation == self.generation {
            self.generation += 1;
            self.open -= self.idle.len();
            self.idle.clear();
        }
    }
}

/// A connection for as long as this lives. It is closed where a statement on it did not come to its end.
pub(super) struct Lease<S: Server> {
    held: Held<S>,
    /// Nothing is under way on it.
    whole: bool,
}

enum Held<S: Server> {
    Own(OwnLease<S>),
    Pool(PoolConnection<S>),
}

struct OwnLease<S: Server> {
    /// `None` only while it is being dropped.
    idle: Option<Idle<S>>,
    reused: bool,
    own: Arc<Own<S>>,
    _turn: OwnedSemaphorePermit,
}

impl<S: Server> Lease<S> {
    fn of_own(own: Arc<Own<S>>, turn: OwnedSemaphorePermit, idle: Idle<S>, reused: bool) -> Self {
        let held = Held::Own(OwnLease {
            idle: Some(idle),
            reused,
            own,
            _turn: turn,
        });
        Self { held, whole: true }
    }

    fn of_pool(connection: PoolConnection<S>) -> Self {
        Self {
            held: Held::Pool(connection),
            whole: true,
        }
    }

    /// Runs a statement, or several that are one transaction.
    pub(super) async fn run<T>(
        &mut self,
        deadline: Instant,
        statement: impl for<'c> FnOnce(&'c mut S::Connection) -> Answer<'c, T> + Send,
    ) -> Result<T, Failure> {
        let answers_before = self.answers();
        self.whole = false;
        let answer = timeout_at(deadline, statement(self)).await;
        match answer {
            Ok(Ok(answer)) => {
                self.whole = true;
                self.answered();
                Ok(answer)
            }
            Ok(Err(sqlx::Error::Database(error))) => {
                self.whole = !S::ends_connection(error.as_ref());
                self.answered();
                if !self.whole {
                    self.forsake();
                }
                let undone = S::is_undone(error.as_ref());
                let error = sqlx::Error::Database(error);
                Err(if undone {
                    Failure::refused(error)
                } else {
                    Failure::lost(error)
                })
            }
            // A value that cannot be sent was not.
            Ok(Err(error @ sqlx::Error::Encode(_))) => Err(Failure::refused(error)),
            Ok(Err(error)) => {
                self.forsake();
                Err(Failure::lost(error))
            }
            Err(_) => {
                // Slow, or a server that answers nobody? In doubt, the others' connections are good.
                if self.answers() == answers_before {
                    self.forsake();
                }
                Err(Failure::timed_out("no answer in time"))
            }
        }
    }

    fn is_reused(&self) -> bool {
        matches!(&self.held, Held::Own(lease) if lease.reused)
    }

    fn is_broken(&self) -> bool {
        !self.whole
    }

    fn answers(&self) -> u64 {
        match &self.held {
            Held::Own(lease) => lease.own.answers.load(Ordering::Relaxed),
            Held::Pool(_) => 0,
        }
    }

    fn answered(&self) {
        if let Held::Own(lease) = &self.held {
            lease.own.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn forsake(&self) {
        if let Held::Own(OwnLease {
            idle: Some(idle),
            own,
            ..
        }) = &self.held
        {
            own.state().forsake(idle.generation);
        }
    }
}

impl<S: Server> Drop for Lease<S> {
    fn drop(&mut self) {
        match &mut self.held {
            Held::Own(lease) => {
                let mut state = lease.own.state();
                match lease.idle.take() {
                    Some(idle) if self.whole => state.push(Idle {
                        since: Instant::now(),
                        ..idle
                    }),
                    _ => state.open -= 1,
                }
                if state.outage.is_some() {
                    lease.own.available.notify_one();
                }
            }
            Held::Pool(connection) if !self.whole => connection.close_on_drop(),
            Held::Pool(_) => {}
        }
    }
}

impl<S: Server> Deref for Lease<S> {
    type Target = S::Connection;

    fn deref(&self) -> &S::Connection {
        match &self.held {
            Held::Own(lease) => &lease.idle.as_ref().expect("taken only by drop").connection,
            Held::Pool(connection) => connection,
        }
    }
}

impl<S: Server> DerefMut for Lease<S> {
    fn deref_mut(&mut self) -> &mut S::Connection {
        match &mut self.held {
            Held::Own(lease) => &mut lease.idle.as_mut().expect("taken only by drop").connection,
            Held::Pool(connection) => connection,
        }
    }
}

impl<S: Server> Clone for Connections<S> {
    fn clone(&self) -> Self {
        let source = match &self.source {
            Source::Own(own) => Source::Own(own.clone()),
            Source::Pool(pool) => Source::Pool(pool.clone()),
        };
        Self { source, ..*self }
    }
}

impl<S: Server> fmt::Debug for Connections<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("server", &S::NAME)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
