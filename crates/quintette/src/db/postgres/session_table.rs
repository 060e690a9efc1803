use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::session::{SessionError, SessionKey};
use sqlx::Row;
use sqlx::postgres::{PgRow, Postgres};
use tokio::time::Instant;

use super::PostgresDatabase;
use super::updates::{Update, Updated, lock_timeout, update_alone, update_together};
use crate::db::connections::{Connections, Statement};
use crate::db::failure::{Failure, not_read, not_written};
use crate::db::session_table::ExpiredBatch;
use crate::db::together::Together;
use crate::db::{SessionRow, SessionTable};

/// How many statements for several sessions are under way at once, and for how many sessions each.
const FLIGHTS: usize = 4;
const SEATS: usize = 64;

/// How long a statement of a clean-up or a list may take: nobody's request waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session's key, and the time after which it must expire.
type Question = (SessionKey, DateTime<Utc>);

#[derive(Debug)]
pub(super) struct PostgresSessionTable {
    database: PostgresDatabase,
    patient: Connections<Postgres>,
    selects: Together<Question, Option<SessionRow>>,
    updates: Together<Arc<Update>, Updated>,
}

impl PostgresSessionTable {
    pub(super) fn new(database: PostgresDatabase) -> Self {
        let connections = database.connections.clone();
        let writers = connections.clone();
        let timeout = connections.timeout();
        Self {
            patient: connections.with_timeout(timeout.max(PATIENCE)),
            selects: Together::new(FLIGHTS, SEATS, timeout, move |questions| {
                let connections = connections.clone();
                Box::pin(async move { select_together(&connections, questions).await })
            }),
            updates: Together::new(FLIGHTS, SEATS, timeout, move |updates| {
                let connections = writers.clone();
                Box::pin(async move { update_together(&connections, updates).await })
            }),
            database,
        }
    }

    /// Whether the row was changed.
    async fn update_row(&self, update: Update) -> Result<bool, SessionError> {
        let deadline = Instant::now() + self.database.connections.timeout();
        let update = Arc::new(update);
        let updated = match self.updates.ask(update.clone()).await {
            Ok(Updated::Yes) => Ok(true),
            Ok(Updated::No) => Ok(false),
            Ok(Updated::LeftOut) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let connections = self.database.connections.with_timeout(left);
                update_alone(&connections, &update).await
            }
            Err(failure) => Err(failure),
        };
        updated.map_err(|failure| not_written::<Postgres>(&self.database.place, failure))
    }

    /// How many rows the statement changed.
    async fn write(&self, statement: Statement<Postgres>) -> Result<u64, SessionError> {
        let written = self.database.connections.write(statement).await;
        written.map_err(|failure| not_written::<Postgres>(&self.database.place, failure))
    }

    fn not_read(&self) -> impl Fn(Failure) -> SessionError + '_ {
        |failure| not_read::<Postgres>(&self.database.place, failure)
    }
}

/// What Django's column cannot hold in every database is in no row. A database that is not in UTF-8 would refuse a letter
/// that it does not know, and with it all the keys that are asked for together.
fn text(key: &SessionKey) -> Option<&str> {
    Some(key.as_str()).filter(|key| key.is_ascii() && !key.contains('\0'))
}

fn seen_text(seen: &[u8]) -> Option<&str> {
    std::str::from_utf8(seen)
        .ok()
        .filter(|seen| !seen.contains('\0'))
}

async fn select_together(
    connections: &Connections<Postgres>,
    questions: Vec<Question>,
) -> Result<Vec<Option<SessionRow>>, Failure> {
    if let [(key, now)] = questions.as_slice() {
        let statement = || {
            sqlx::query(
                "SELECT session_data, expire_date FROM django_session WHERE session_key = $1 AND expire_date > $2",
            )
            .bind(key.as_str())
            .bind(*now)
        };
        let rows = connections.read(statement).await?;
        let row = rows.first().map(to_session_row).transpose();
        return Ok(vec![row.map_err(Failure::refused)?]);
    }
    let keys: Vec<&str> = questions.iter().map(|(key, _)| key.as_str()).collect();
    let now = questions.iter().map(|(_, now)| *now).max();
    let statement = || {
        sqlx::query(
            "SELECT session_data, expire_date, session_key FROM django_session \
             WHERE session_key = ANY($1) AND expire_date > $2",
        )
        .bind(&keys)
        .bind(now)
    };
    let rows = connections.read(statement).await?;
    let found = rows
        .iter()
        .map(|row| Ok((row.try_get_unchecked("session_key")?, to_session_row(row)?)));
    let found: HashMap<String, SessionRow> = found
        .collect::<Result<_, sqlx::Error>>()
        .map_err(Failure::refused)?;
    Ok(keys.iter().map(|key| found.get(*key).cloned()).collect())
}

fn to_session_row(row: &PgRow) -> Result<SessionRow, sqlx::Error> {
    Ok(SessionRow {
        data: row.try_get_unchecked("session_data")?,
        expires_at: to_time(row.try_get_unchecked("expire_date")?),
    })
}

/// The binary form of a `timestamptz`: microseconds since 2000, where the largest and the smallest are infinite
/// (<https://www.postgresql.org/docs/current/datatype-datetime.html>).
pub(super) fn to_time(microseconds: i64) -> DateTime<Utc> {
    const YEAR_2000: i64 = 946_684_800_000_000;
    let nearest = if microseconds < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    };
    microseconds
        .checked_add(YEAR_2000)
        .and_then(DateTime::from_timestamp_micros)
        .unwrap_or(nearest)
}

#[async_trait]
impl SessionTable for PostgresSessionTable {
    async fn select(
        &self,
        key: &SessionKey,
        now: DateTime<Utc>,
    ) -> Result<Option<SessionRow>, SessionError> {
        if text(key).is_none() {
            return Ok(None);
        }
        let selected = self.selects.ask((key.clone(), now)).await;
        selected.map_err(self.not_read())
    }

    async fn insert(
        &self,
        key: &SessionKey,
        data: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let Some(key) = text(key) else {
            return Ok(false);
        };
        let statement = sqlx::query(
            "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ($1, $2, $3) \
             ON CONFLICT (session_key) DO NOTHING",
        )
        .bind(key)
        .bind(data)
        .bind(expires_at);
        Ok(self.write(statement).await? > 0)
    }

    async fn update(
        &self,
        key: &SessionKey,
        seen: &[u8],
        data: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (Some(key), Some(seen)) = (text(key), seen_text(seen)) else {
            return Ok(false);
        };
        let update = Update {
            key: key.to_owned(),
            seen: seen.to_owned(),
            data: Some(data.to_owned()),
            expires_at,
            now,
        };
        self.update_row(update).await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (Some(key), Some(seen)) = (text(key), seen_text(seen)) else {
            return Ok(false);
        };
        let update = Update {
            key: key.to_owned(),
            seen: seen.to_owned(),
            data: None,
            expires_at,
            now,
        };
        self.update_row(update).await
    }

    async fn delete(&self, key: &SessionKey, seen: Option<&[u8]>) -> Result<bool, SessionError> {
        let Some(key) = text(key) else {
            return Ok(false);
        };
        let lock_timeout = lock_timeout(&self.database.connections);
        let statement = match seen.map(seen_text) {
            None => sqlx::query(
                "DELETE FROM django_session WHERE session_key = $1 \
                 AND set_config('lock_timeout', $2, true) IS NOT NULL",
            )
            .bind(key)
            .bind(lock_timeout),
            Some(None) => return Ok(false),
            Some(Some(seen)) => sqlx::query(
                "DELETE FROM django_session WHERE session_key = $1 AND session_data = $3 \
                 AND set_config('lock_timeout', $2, true) IS NOT NULL",
            )
            .bind(key)
            .bind(lock_timeout)
            .bind(seen),
        };
        Ok(self.write(statement).await? > 0)
    }

    async fn count_expired(&self, now: DateTime<Utc>) -> Result<u64, SessionError> {
        let statement =
            || sqlx::query("SELECT COUNT(*) FROM django_session WHERE expire_date < $1").bind(now);
        let rows = self
            .patient
            .read(statement)
            .await
            .map_err(self.not_read())?;
        let count: Option<i64> = rows.first().and_then(|row| row.try_get(0).ok());
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }

    async fn delete_expired(
        &self,
        limit: u32,
        from: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<ExpiredBatch, SessionError> {
        // A row that a request holds is left for the next clean-up. One that was touched since it was found is looked at
        // again under its lock, and stays. Without `from`, each batch would go through the index entries of all those
        // before it, which are there until a VACUUM.
        let statement = sqlx::query(
            "WITH batch AS ( \
               SELECT session_key FROM django_session \
               WHERE expire_date < $1 AND expire_date >= COALESCE($2, '-infinity'::timestamptz) \
               ORDER BY expire_date LIMIT $3 FOR UPDATE SKIP LOCKED \
             ), deleted AS ( \
               DELETE FROM django_session AS s USING batch \
               WHERE s.session_key = batch.session_key AND s.expire_date < $1 RETURNING s.expire_date \
             ) SELECT COUNT(*), MAX(expire_date) FROM deleted",
        )
        .bind(now)
        .bind(from)
        .bind(i64::from(limit));
        let deleted = async {
            let rows = self.patient.write_returning(statement).await?;
            let row = rows
                .first()
                .ok_or_else(|| Failure::refused(sqlx::Error::RowNotFound))?;
            let removed: i64 = row.try_get(0).map_err(Failure::refused)?;
            let last: Option<i64> = row.try_get_unchecked(1).map_err(Failure::refused)?;
            Ok(ExpiredBatch {
                removed: removed.unsigned_abs(),
                next: last.map(to_time).filter(|_| removed >= i64::from(limit)),
            })
        };
        let deleted = deleted.await;
        deleted.map_err(|failure| not_written::<Postgres>(&self.database.place, failure))
    }

    async fn page(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<(SessionKey, SessionRow)>, SessionError> {
        // No key holds what stands after a NUL; those that begin with what stands before it come after it.
        let after = after.map_or("", SessionKey::as_str);
        let after = after.split('\0').next().unwrap_or_default();
        // In the order of the bytes, whatever the database's collation: Django's second index has it.
        let statement = || {
            sqlx::query(
                "SELECT session_key, session_data, expire_date FROM django_session \
                 WHERE session_key ~>~ $1 AND expire_date > $2 ORDER BY session_key USING ~<~ LIMIT $3",
            )
            .bind(after)
            .bind(now)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        };
        let rows = self
            .patient
            .read(statement)
            .await
            .map_err(self.not_read())?;
        let rows = rows.iter().filter_map(|row| {
            match row.try_get_unchecked::<String, _>("session_key") {
                // A key that no cookie could carry is nobody's session.
                Ok(key) => {
                    SessionKey::parse(key).map(|key| to_session_row(row).map(|row| (key, row)))
                }
                Err(error) => Some(Err(error)),
            }
        });
        rows.collect::<Result<_, _>>()
            .map_err(|error| self.not_read()(Failure::refused(error)))
    }
}
