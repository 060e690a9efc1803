use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use quintette_core::session::{SessionError, SessionErrorKind, SessionKey};
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use sqlx::{MySql, Row};

use super::MysqlDatabase;
use super::error::{is_duplicate, is_lock_timeout, is_undone, too_large, translate};
use crate::db::{SessionRow, SessionTable};

/// What a statement needs beside its data, in bytes, and more.
const STATEMENT: usize = 4_096;

/// How often a statement is sent again that the server undid for the sake of another one.
const ATTEMPTS: u32 = 5;

/// As many characters as the column `session_key` has.
const LONGEST_KEY: usize = 40;

/// Two comparisons for each key: the first finds it in the index, by a collation for which `KEY`, `key` and `key ` are
/// one; the second tells them apart. The data is compared by its bytes for the same reason.
const UPDATE: &str = "UPDATE django_session SET session_data = ?, expire_date = ? \
    WHERE session_key = ? AND CAST(session_key AS BINARY) = ? AND CAST(session_data AS BINARY) = ? AND expire_date > ?";
const TOUCH: &str = "UPDATE django_session SET expire_date = ? \
    WHERE session_key = ? AND CAST(session_key AS BINARY) = ? AND CAST(session_data AS BINARY) = ? AND expire_date > ?";
const DELETE: &str =
    "DELETE FROM django_session WHERE session_key = ? AND CAST(session_key AS BINARY) = ?";
const DELETE_SEEN: &str = "DELETE FROM django_session \
    WHERE session_key = ? AND CAST(session_key AS BINARY) = ? AND CAST(session_data AS BINARY) = ?";
/// Not `INSERT IGNORE`, which would cut or drop what does not fit, and call that a warning.
const INSERT: &str =
    "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)";

type MySqlQuery<'q> = Query<'q, MySql, MySqlArguments>;

#[derive(Debug)]
pub(super) struct MysqlSessionTable {
    database: MysqlDatabase,
    /// The server's `max_allowed_packet`, in bytes.
    largest_packet: usize,
}

impl MysqlSessionTable {
    pub(super) fn new(database: MysqlDatabase, largest_packet: usize) -> Self {
        Self {
            database,
            largest_packet,
        }
    }

    fn naive(&self, time: DateTime<Utc>) -> NaiveDateTime {
        self.database.time_zone.to_naive(time).trunc_subsecs(6)
    }

    fn row(&self, row: &MySqlRow) -> Result<SessionRow, sqlx::Error> {
        let expires: NaiveDateTime = row.try_get_unchecked("expire_date")?;
        Ok(SessionRow {
            data: row.try_get_unchecked("session_data")?,
            expires_at: self.database.time_zone.from_naive(expires),
        })
    }

    fn failed(&self, error: sqlx::Error) -> SessionError {
        translate(&self.database.place, error)
    }

    /// A server that is sent more than it takes hangs up, and the answer is lost.
    fn check_size(&self, bytes: usize) -> Result<(), SessionError> {
        if bytes.saturating_add(STATEMENT) > self.largest_packet {
            return Err(too_large(&self.database.place));
        }
        Ok(())
    }

    /// How many rows the statement found.
    async fn write<'q>(
        &self,
        statement: impl Fn() -> MySqlQuery<'q>,
    ) -> Result<u64, sqlx::Error> {
        let mut attempts = 0;
        loop {
            let result = statement().execute(&self.database.pool).await;
            attempts += 1;
            match result {
                Err(error) if is_undone(&error) && attempts < ATTEMPTS => {}
                result => return Ok(result?.rows_affected()),
            }
        }
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
        let row = sqlx::query(
            "SELECT CAST(session_data AS BINARY) AS session_data, expire_date FROM django_session \
             WHERE session_key = ? AND CAST(session_key AS BINARY) = ? AND expire_date > ?",
        )
        .bind(key.as_str())
        .bind(key.as_str())
        .bind(self.naive(now))
        .fetch_optional(&self.database.pool)
        .await
        .map_err(|error| self.failed(error))?;
        row.map(|row| self.row(&row))
            .transpose()
            .map_err(|error| self.failed(error))
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
                "a session key of more than 40 characters, or with others than ASCII's, cannot be stored in MySQL",
            ));
        }
        self.check_size(data.len())?;
        let written = self.write(|| {
            sqlx::query(INSERT)
                .bind(key.as_str())
                .bind(data)
                .bind(self.naive(expires_at))
        });
        match written.await {
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(self.failed(error)),
            Ok(rows) => Ok(rows > 0),
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
        let written = self.write(|| {
            sqlx::query(UPDATE)
                .bind(data)
                .bind(self.naive(expires_at))
                .bind(key.as_str())
                .bind(key.as_str())
                .bind(seen)
                .bind(self.naive(now))
        });
        let rows = written.await.map_err(|error| self.failed(error))?;
        Ok(rows > 0)
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
        let written = self.write(|| {
            sqlx::query(TOUCH)
                .bind(self.naive(expires_at))
                .bind(key.as_str())
                .bind(key.as_str())
                .bind(seen)
                .bind(self.naive(now))
        });
        let rows = written.await.map_err(|error| self.failed(error))?;
        Ok(rows > 0)
    }

    async fn delete(&self, key: &SessionKey, seen: Option<&[u8]>) -> Result<bool, SessionError> {
        if !is_storable(key) {
            return Ok(false);
        }
        let written = self.write(|| match seen {
            Some(seen) => sqlx::query(DELETE_SEEN)
                .bind(key.as_str())
                .bind(key.as_str())
                .bind(seen),
            None => sqlx::query(DELETE).bind(key.as_str()).bind(key.as_str()),
        });
        let rows = written.await.map_err(|error| self.failed(error))?;
        Ok(rows > 0)
    }

    async fn count_expired(&self, now: DateTime<Utc>) -> Result<u64, SessionError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM django_session WHERE expire_date < ?")
                .bind(self.naive(now))
                .fetch_one(&self.database.pool)
                .await
                .map_err(|error| self.failed(error))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn delete_expired(&self, limit: u32, now: DateTime<Utc>) -> Result<u64, SessionError> {
        let written = self.write(|| {
            sqlx::query("DELETE FROM django_session WHERE expire_date < ? ORDER BY expire_date LIMIT ?")
                .bind(self.naive(now))
                .bind(limit)
        });
        written.await.map_err(|error| self.failed(error))
    }

    async fn page(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<(SessionKey, SessionRow)>, SessionError> {
        let rows = sqlx::query(
            "SELECT session_key, CAST(session_data AS BINARY) AS session_data, expire_date FROM django_session \
             WHERE session_key > ? AND expire_date > ? ORDER BY session_key LIMIT ?",
        )
        .bind(after.map_or("", SessionKey::as_str))
        .bind(self.naive(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.database.pool)
        .await
        .map_err(|error| self.failed(error))?;
        let rows =
            rows.iter().filter_map(
                |row| match row.try_get_unchecked::<String, _>("session_key") {
                    // A key that no cookie could carry is nobody's session.
                    Ok(key) => {
                        SessionKey::parse(key).map(|key| self.row(row).map(|row| (key, row)))
                    }
                    Err(error) => Some(Err(error)),
                },
            );
        rows.collect::<Result<_, _>>()
            .map_err(|error| self.failed(error))
    }
}

/// Whether the column can hold this key, whatever the table's character set. Where it cannot, the server would refuse
/// to compare it, or, in a lax `sql_mode`, cut it to another key.
fn is_storable(key: &SessionKey) -> bool {
    key.as_str().is_ascii() && key.as_str().len() <= LONGEST_KEY
}
