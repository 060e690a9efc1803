use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqlitePool, SqliteRow,
};
use sqlx::{ConnectOptions, Sqlite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::queries;

/// Connections to one file: our own, or the pool of an application.
///
/// sqlx's pool asks a connection for a sign of life whenever it comes back, which for a file is a second trip to the
/// connection's thread for each statement (benches/RESULTS.md has what that costs). A file does not hang up.
#[derive(Clone, Debug)]
pub(super) enum Connections {
    Own(Arc<Own>),
    Pool(SqlitePool),
}

#[derive(Debug)]
pub(super) struct Own {
    options: SqliteConnectOptions,
    /// How long a request waits for a connection.
    timeout: Duration,
    /// First come, first served.
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Connections {
    /// At most this many, each opened when it is first needed. `timeout` bounds the wait for one.
    pub(super) fn own(options: SqliteConnectOptions, at_most: usize, timeout: Duration) -> Self {
        Self::Own(Arc::new(Own {
            options,
            timeout,
            turns: Arc::new(Semaphore::new(at_most)),
            idle: Mutex::default(),
        }))
    }

    /// Waits for a connection that nobody uses.
    ///
    /// # Cancellation
    ///
    /// A statement whose caller vanishes is finished by the connection's thread before the next one begins.
    pub(super) async fn acquire(&self) -> Result<Lease, sqlx::Error> {
        let own = match self {
            Self::Pool(pool) => return Ok(Lease::Pool(pool.acquire().await?)),
            Self::Own(own) => own,
        };
        let turn = tokio::time::timeout(own.timeout, own.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = own.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => own.options.connect().await?,
        };
        Ok(Lease::Own(OwnLease {
            connection: Some(connection),
            own: own.clone(),
            _turn: turn,
        }))
    }
}

impl Connections {
    /// The rows that a statement finds.
    pub(super) async fn fetch_all(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut connection = self.acquire().await?;
        let (query, _note) = queries::noting(query);
        query.fetch_all(&mut *connection).await
    }
}

impl Own {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        // A push and a pop leave nothing half-done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection for as long as this lives.
pub(super) enum Lease {
    Own(OwnLease),
    Pool(PoolConnection<Sqlite>),
}

pub(super) struct OwnLease {
    /// `None` only while it is being dropped.
    connection: Option<SqliteConnection>,
    own: Arc<Own>,
    _turn: OwnedSemaphorePermit,
}

impl Drop for OwnLease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.own.idle().push(connection);
        }
    }
}

impl Deref for Lease {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Own(lease) => lease.connection.as_ref().expect("taken only by drop"),
            Self::Pool(connection) => connection,
        }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Own(lease) => lease.connection.as_mut().expect("taken only by drop"),
            Self::Pool(connection) => connection,
        }
    }
}
