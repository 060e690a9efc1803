use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use quintette_core::session::{SessionError, SessionErrorKind, SessionKey};
use sqlx::mysql::MySqlRow;
use sqlx::{MySql, Row};
use tokio::time::Instant;

use super::MysqlDatabase;
use super::dialect::{gave_way, is_duplicate, is_lock_timeout};
use super::statements::{
    COUNT_EXPIRED, DELETE, DELETE_SEEN, INSERT, Lookups, PAGE, SELECT_EXPIRED, SELECT_EXPIRED_FROM,
    TOGETHER, TOUCH, UPDATE, delete_expired,
};
use crate::db::connections::{Connections, Statement};
use crate::db::failure::{Failure, not_read, not_written};
use crate::db::session_table::ExpiredBatch;
use crate::db::together::Together;
use crate::db::{SessionRow, SessionTable};

/// What a statement is beside its data, in bytes, and more.
const STATEMENT_SIZE: usize = 4_096;

/// How many statements that look rows up are under way at once.
const LOOKUPS: usize = 2;

/// How long a statement of a clean-up or a list may take: nobody's request waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a statement is sent that the server undoes for the sake of another one.
pub(super) const ATTEMPTS: u32 = 5;

/// As many characters as the column `session_key` has.
const LONGEST_KEY: usize = 40;

#[derive(Debug)]
pub(super) struct MysqlSessionTable {
    database: MysqlDatabase,
    patient: Connections<MySql>,
    lookups: Together<Lookup, Option<FoundRow>>,
    /// The server's `max_allowed_packet`, in bytes.
    largest_packet: usize,
}

/// A session that is looked for, if it has not expired by then.
struct Lookup {
    key: SessionKey,
    now: NaiveDateTime,
}

#[derive(Clone)]
struct FoundRow {
    data: Vec<u8>,
    expires: NaiveDateTime,
}

impl MysqlSessionTable {
    pub(super) fn new(database: MysqlDatabase, largest_packet: usize) -> Self {
        let connections = database.connections.clone();
        let timeout = connections.timeout();
        let patient = connections.with_timeout(timeout.max(PATIENCE));
        let texts = Arc::new(Lookups::new());
        let lookups = Together::new(LOOKUPS, TOGETHER, timeout, move |asked: Vec<Lookup>| {
            let (connections, texts) = (connections.clone(), texts.clone());
            Box::pin(async move { look_up(&connections, &texts, &asked).await })
        });
        Self {
            database,
            patient,
            lookups,
            largest_packet,
        }
    }

    fn naive(&self, time: DateTime<Utc>) -> NaiveDateTime {
        self.database.time_zone.to_naive(time).trunc_subsecs(6)
    }

    fn row(&self, found: FoundRow) -> SessionRow {
        SessionRow {
            data: found.data,
            expires_at: self.database.time_zone.from_naive(found.expires),
        }
    }

    fn not_read(&self, failure: Failure) -> SessionError {
        not_read::<MySql>(&self.database.place, failure)
    }

    fn not_written(&self, failure: Failure) -> SessionError {
        not_written::<MySql>(&self.database.place, failure)
    }

    /// The rows of a clean-up or a list.
    async fn read(
        &self,
        statement: impl Fn() -> Statement<MySql> + Send + Sync,
    ) -> Result<Vec<MySqlRow>, SessionError> {
        let rows = self.patient.read(statement).await;
        rows.map_err(|failure| self.not_read(failure))
    }

    /// Whether the statement found a row.
    async fn writes_one(
        &self,
        statement: impl Fn() -> Statement<MySql> + Send + Sync,
    ) -> Result<bool, SessionError> {
        match write(&self.database.connections, statement).await {
            Ok(rows) => Ok(rows > 0),
            Err(failure) => Err(self.not_written(failure)),
        }
    }

    /// A server that is sent more at once than it takes hangs up before it has said so.
    fn check_size(&self, bytes: usize) -> Result<(), SessionError> {
        if bytes.saturating_add(STATEMENT_SIZE) <= self.largest_packet {
            return Ok(());
        }
        Err(SessionError::new(
            SessionErrorKind::TooLarge,
            format!(
                "a session is larger than {} takes in one statement ({} bytes, with what it was before): keep less in \
                 it, or raise the server's max_allowed_packet",
                self.database.place, self.largest_packet
            ),
        ))
    }
}

#[async_trait]
impl SessionTable for MysqlSessionTable {
    async fn select(
        &self,
        key: &SessionKey,
        now: DateTime<Utc>,
    ) -> Result<Option<SessionRow>, SessionError> {
        if !is_storable(key) {
            return Ok(None);
        }
        let lookup = Lookup {
            key: key.clone(),
            now: self.naive(now),
        };
        match self.lookups.ask(lookup).await {
            Ok(found) => Ok(found.map(|found| self.row(found))),
            Err(failure) => Err(self.not_read(failure)),
        }
    }

    async fn insert(
        &self,
        key: &SessionKey,
        data: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        if !is_storable(key) {
            return Err(SessionError::new(
                SessionErrorKind::Value,
                "a session key of more than 40 characters, or of others than ASCII's, does not go into MySQL's table",
            ));
        }
        self.check_size(data.len())?;
        let inserted = write(&self.database.connections, || {
            sqlx::query(INSERT)
                .bind(key.as_str())
                .bind(data)
                .bind(self.naive(expires_at))
        });
        match inserted.await {
            Ok(_) => Ok(true),
            Err(failure) if is_duplicate(&failure.error) => Ok(false),
            Err(failure) => Err(self.not_written(failure)),
        }
    }

    async fn update(
        &self,
        key: &SessionKey,
        seen: &[u8],
        data: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        if !is_storable(key) {
            return Ok(false);
        }
        self.check_size(data.len().saturating_add(seen.len()))?;
        self.writes_one(|| {
            sqlx::query(UPDATE)
                .bind(data)
                .bind(self.naive(expires_at))
                .bind(key.as_str())
                .bind(key.as_str())
                .bind(seen)
                .bind(self.naive(now))
        })
        .await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        if !is_storable(key) {
            return Ok(false);
        }
        self.check_size(seen.len())?;
        self.writes_one(|| {
            sqlx::query(TOUCH)
                .bind(self.naive(expires_at))
                .bind(key.as_str())
                .bind(key.as_str())
                .bind(seen)
                .bind(self.naive(now))
        })
        .await
    }

    async fn delete(&self, key: &SessionKey, seen: Option<&[u8]>) -> Result<bool, SessionError> {
        if !is_storable(key) {
            return Ok(false);
        }
        self.check_size(seen.map_or(0, <[u8]>::len))?;
        self.writes_one(|| {
            let statement = if seen.is_some() { DELETE_SEEN } else { DELETE };
            let query = sqlx::query(statement).bind(key.as_str()).bind(key.as_str());
            match seen {
                Some(seen) => query.bind(seen),
                None => query,
            }
        })
        .await
    }

    async fn count_expired(&self, now: DateTime<Utc>) -> Result<u64, SessionError> {
        let now = self.naive(now);
        let rows = self.read(|| sqlx::query(COUNT_EXPIRED).bind(now)).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0));
        let count = count.map_err(|error| self.not_read(Failure::refused(error)))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn delete_expired(
        &self,
        limit: u32,
        from: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<ExpiredBatch, SessionError> {
        let now = self.naive(now);
        let from = from.map(|from| self.naive(from));
        let rows = self.read(|| match from {
            None => sqlx::query(SELECT_EXPIRED).bind(now).bind(limit),
            Some(from) => sqlx::query(SELECT_EXPIRED_FROM)
                .bind(from)
                .bind(now)
                .bind(limit),
        });
        let rows = rows.await?;
        let keys = rows.iter().map(|row| row.try_get_unchecked("session_key"));
        let keys: Vec<String> = keys
            .collect::<Result<_, _>>()
            .map_err(|error| self.not_read(Failure::refused(error)))?;
        let last = rows.last().filter(|_| rows.len() >= limit as usize);
        let next = last.map(|row| self.database.time_zone.from_naive(expires(row)));
        let mut attempts = 1;
        let removed = loop {
            if keys.is_empty() {
                break 0;
            }
            match write(&self.patient, || delete_expired(&keys, now)).await {
                Err(failure) if is_lock_timeout(&failure.error) && attempts < ATTEMPTS => {
                    attempts += 1;
                }
                removed => break removed.map_err(|failure| self.not_written(failure))?,
            }
        };
        Ok(ExpiredBatch { removed, next })
    }

    async fn page(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<(SessionKey, SessionRow)>, SessionError> {
        let now = self.naive(now);
        let rows = self.read(|| {
            sqlx::query(PAGE)
                .bind(after.map_or("", SessionKey::as_str))
                .bind(now)
                .bind(u64::try_from(limit).unwrap_or(u64::MAX))
        });
        let mut page = Vec::new();
        for row in rows.await? {
            let found = found(&row).map_err(|error| self.not_read(Failure::refused(error)))?;
            // A key that no cookie could carry is nobody's session.
            if let Some(key) = SessionKey::parse(found.0) {
                page.push((key, self.row(found.1)));
            }
        }
        Ok(page)
    }
}

/// The rows of these sessions, in their order.
async fn look_up(
    connections: &Connections<MySql>,
    texts: &Lookups,
    asked: &[Lookup],
) -> Result<Vec<Option<FoundRow>>, Failure> {
    let keys: Vec<_> = asked.iter().map(|lookup| lookup.key.as_str()).collect();
    let rows = connections.read(|| texts.of(&keys)).await?;
    let mut answers: Vec<_> = asked.iter().map(|_| None).collect();
    for row in rows {
        let (key, row) = found(&row).map_err(Failure::refused)?;
        // More than one may have asked for it; and where a row is found for another spelling of its key, none has.
        for (answer, lookup) in answers.iter_mut().zip(asked) {
            if lookup.key.as_str() == key && lookup.now < row.expires {
                *answer = Some(row.clone());
            }
        }
    }
    Ok(answers)
}

fn found(row: &MySqlRow) -> Result<(String, FoundRow), sqlx::Error> {
    let found = FoundRow {
        data: row.try_get_unchecked("session_data")?,
        expires: expires(row),
    };
    Ok((row.try_get_unchecked("session_key")?, found))
}

/// A date of zeros, which a lax `sql_mode` lets in, is long past.
fn expires(row: &MySqlRow) -> NaiveDateTime {
    row.try_get_unchecked("expire_date").unwrap_or_default()
}

/// How many rows the statement found.
pub(super) async fn write(
    connections: &Connections<MySql>,
    statement: impl Fn() -> Statement<MySql> + Send + Sync,
) -> Result<u64, Failure> {
    let deadline = Instant::now() + connections.timeout();
    let mut attempts = 1;
    loop {
        let written = connections.write(statement()).await;
        match written {
            Err(failure)
                if gave_way(&failure.error) && attempts < ATTEMPTS && Instant::now() < deadline =>
            {
                attempts += 1;
            }
            answered => return answered,
        }
    }
}

/// Whether the column takes this key, whatever the table's character set. Where it does not, the server refuses to compare
/// the key, and with it all that are looked up together; and in a lax `sql_mode` it cuts it to another one.
fn is_storable(key: &SessionKey) -> bool {
    key.as_str().is_ascii() && key.as_str().len() <= LONGEST_KEY
}
