use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use quintette_core::session::{SessionError, SessionErrorKind, SessionKey};
use sqlx::mysql::MySqlRow;
use sqlx::{MySql, Row};
use tokio::time::timeout;

use super::MysqlDatabase;
use super::dialect::{gave_way, is_duplicate, is_lock_timeout};
use super::statements::{
    COUNT_EXPIRED, DELETE, DELETE_SEEN, INSERT, Lookups, PAGE, SELECT_EXPIRED, TOGETHER, TOUCH,
    UPDATE, delete_expired,
};
use crate::db::connections::{Connections, Statement};
use crate::db::error::{Failure, not_read, not_written};
use crate::db::together::Together;
use crate::db::{SessionRow, SessionTable};

/// What a statement is beside its data, in bytes, and more.
const STATEMENT_SIZE: usize = 4_096;

/// How many statements that look rows up are under way at once.
const LOOKUPS: usize = 2;

/// How often a statement is sent that the server undoes for the sake of another one.
const ATTEMPTS: u32 = 5;

/// As many characters as the column `session_key` has.
const LONGEST_KEY: usize = 40;

pub(super) struct MysqlSessionTable {
    database: MysqlDatabase,
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
        let texts = Arc::new(Lookups::new());
        let lookups = Together::new(LOOKUPS, TOGETHER, move |asked| {
            let (connections, texts) = (connections.clone(), texts.clone());
            Box::pin(async move { look_up(&connections, &texts, &asked).await })
        });
        Self {
            database,
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

    async fn read(
        &self,
        statement: impl Fn() -> Statement<MySql> + Send + Sync,
    ) -> Result<Vec<MySqlRow>, SessionError> {
        let rows = self.database.connections.read(statement).await;
        rows.map_err(|failure| self.not_read(failure))
    }

    /// How many rows the statement found, or what `settle` makes of an error.
    async fn write(
        &self,
        statement: impl Fn() -> Statement<MySql> + Send + Sync,
    ) -> Result<u64, Failure> {
        let mut attempts = 1;
        loop {
            match self.database.connections.write(statement()).await {
                Err(failure) if gave_way(&failure.error) && attempts < ATTEMPTS => attempts += 1,
                answered => return answered,
            }
        }
    }

    /// Whether the statement found a row.
    async fn writes_one(
        &self,
        statement: impl Fn() -> Statement<MySql> + Send + Sync,
    ) -> Result<bool, SessionError> {
        match self.write(statement).await {
            Ok(rows) => Ok(rows > 0),
            Err(failure) => Err(not_written::<MySql>(&self.database.place, failure)),
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
        let within = self.database.connections.timeout();
        let found = timeout(within, self.lookups.ask(lookup)).await;
        let found = found
            .unwrap_or_else(|_| Err(Failure::timed_out_before(format_args!("no answer in time"))));
        match found {
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
        let inserted = self.write(|| {
            sqlx::query(INSERT)
                .bind(key.as_str())
                .bind(data)
                .bind(self.naive(expires_at))
        });
        match inserted.await {
            Ok(_) => Ok(true),
            Err(failure) if is_duplicate(&failure.error) => Ok(false),
            Err(failure) => Err(not_written::<MySql>(&self.database.place, failure)),
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

    async fn delete_expired(&self, limit: u32, now: DateTime<Utc>) -> Result<u64, SessionError> {
        let now = self.naive(now);
        let mut deleted = 0;
        let mut waits = 0;
        // Again for as many as others have deleted in between.
        while deleted < u64::from(limit) {
            let wanted = u64::from(limit) - deleted;
            let rows = self
                .read(|| sqlx::query(SELECT_EXPIRED).bind(now).bind(wanted))
                .await?;
            let keys = rows.iter().map(|row| row.try_get_unchecked(0)).collect();
            let keys: Vec<String> = Result::map_err(keys, |error| self.not_read(Failure::refused(error)))?;
            if keys.is_empty() {
                break;
            }
            match self.write(|| delete_expired(&keys, now)).await {
                Ok(rows) => deleted += rows,
                Err(failure) if is_lock_timeout(&failure.error) && waits < ATTEMPTS => waits += 1,
                Err(failure) => return Err(not_written::<MySql>(&self.database.place, failure)),
            }
        }
        Ok(deleted)
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
    // A date of zeros, which a lax `sql_mode` lets in, is long past.
    let expires: Option<NaiveDateTime> = row.try_get_unchecked("expire_date").ok();
    let found = FoundRow {
        data: row.try_get_unchecked("session_data")?,
        expires: expires.unwrap_or(NaiveDateTime::MIN),
    };
    Ok((row.try_get_unchecked("session_key")?, found))
}

/// Whether the column takes this key, whatever the table's character set. Where it does not, the server refuses to compare
/// the key, and with it all that are looked up together; and in a lax `sql_mode` it cuts it to another one.
fn is_storable(key: &SessionKey) -> bool {
    key.as_str().is_ascii() && key.as_str().len() <= LONGEST_KEY
}

impl fmt::Debug for MysqlSessionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlSessionTable")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
