use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use quintette_core::session::{SessionError, SessionKey};
use quintette_core::time::TimeZone;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite};

use super::SqliteDatabase;
use crate::db::error::{translate, translate_write};
use crate::db::session_table::ExpiredBatch;
use crate::db::{SessionRow, SessionTable};

#[derive(Debug)]
pub(super) struct SqliteSessionTable {
    database: SqliteDatabase,
}

impl SqliteSessionTable {
    pub(super) fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }

    fn text(&self, time: DateTime<Utc>) -> String {
        to_text(time, self.database.time_zone)
    }

    fn row(&self, row: &SqliteRow) -> Result<SessionRow, sqlx::Error> {
        // A column may hold anything in SQLite, and Django's `datetime` columns hold text.
        let expires: Vec<u8> = row.try_get_unchecked("expire_date")?;
        let expires = NaiveDateTime::parse_from_str(
            &String::from_utf8_lossy(&expires),
            "%Y-%m-%d %H:%M:%S%.f",
        );
        Ok(SessionRow {
            data: row.try_get_unchecked("session_data")?,
            expires_at: self
                .database
                .time_zone
                .from_naive(expires.unwrap_or_default()),
        })
    }

    async fn read(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<SqliteRow>, SessionError> {
        let rows = self.database.reader.fetch_all(query).await;
        rows.map_err(self.failed())
    }

    /// How many rows the statement changed.
    async fn write(&self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<u64, SessionError> {
        self.database.check_place()?;
        let written = self.database.writer.execute(query).await;
        let written = written.map(|done| done.rows_affected());
        written.map_err(|error| translate_write(&self.database.place, error))
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> SessionError + '_ {
        |error| translate(&self.database.place, error)
    }
}

#[async_trait]
impl SessionTable for SqliteSessionTable {
    async fn select(
        &self,
        key: &SessionKey,
        now: DateTime<Utc>,
    ) -> Result<Option<SessionRow>, SessionError> {
        let query = sqlx::query(
            "SELECT session_data, expire_date FROM django_session WHERE session_key = ? AND expire_date > ?",
        )
        .bind(key.as_str())
        .bind(self.text(now));
        let rows = self.read(query).await?;
        let row = rows.first().map(|row| self.row(row)).transpose();
        row.map_err(self.failed())
    }

    async fn insert(
        &self,
        key: &SessionKey,
        data: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let query = sqlx::query(
            "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?) \
             ON CONFLICT (session_key) DO NOTHING",
        )
        .bind(key.as_str())
        .bind(data)
        .bind(self.text(expires_at));
        Ok(self.write(query).await? > 0)
    }

    async fn update(
        &self,
        key: &SessionKey,
        seen: &[u8],
        data: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let query = sqlx::query(
            "UPDATE django_session SET session_data = ?, expire_date = ? \
             WHERE session_key = ? AND CAST(session_data AS BLOB) = ? AND expire_date > ?",
        )
        .bind(data)
        .bind(self.text(expires_at))
        .bind(key.as_str())
        .bind(seen)
        .bind(self.text(now));
        Ok(self.write(query).await? > 0)
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let query = sqlx::query(
            "UPDATE django_session SET expire_date = ? \
             WHERE session_key = ? AND CAST(session_data AS BLOB) = ? AND expire_date > ?",
        )
        .bind(self.text(expires_at))
        .bind(key.as_str())
        .bind(seen)
        .bind(self.text(now));
        Ok(self.write(query).await? > 0)
    }

    async fn delete(&self, key: &SessionKey, seen: Option<&[u8]>) -> Result<bool, SessionError> {
        let query = sqlx::query(
            "DELETE FROM django_session WHERE session_key = ? AND (? IS NULL OR CAST(session_data AS BLOB) = ?)",
        )
        .bind(key.as_str())
        .bind(seen)
        .bind(seen);
        Ok(self.write(query).await? > 0)
    }

    async fn count_expired(&self, now: DateTime<Utc>) -> Result<u64, SessionError> {
        let query = sqlx::query("SELECT COUNT(*) FROM django_session WHERE expire_date < ?")
            .bind(self.text(now));
        let rows = self.read(query).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0));
        let count = count.map_err(self.failed())?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn delete_expired(
        &self,
        limit: u32,
        from: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<ExpiredBatch, SessionError> {
        // What a batch deleted is out of the index at once: the next one begins at the index's start.
        let query = sqlx::query(
            "DELETE FROM django_session WHERE session_key IN \
             (SELECT session_key FROM django_session WHERE expire_date < ? ORDER BY expire_date LIMIT ?)",
        )
        .bind(self.text(now))
        .bind(limit);
        let removed = self.write(query).await?;
        Ok(ExpiredBatch {
            removed,
            next: (removed >= u64::from(limit)).then_some(from.unwrap_or(DateTime::UNIX_EPOCH)),
        })
    }

    async fn page(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<(SessionKey, SessionRow)>, SessionError> {
        let query = sqlx::query(
            "SELECT session_key, session_data, expire_date FROM django_session \
             WHERE session_key > ? AND expire_date > ? ORDER BY session_key LIMIT ?",
        )
        .bind(after.map_or("", SessionKey::as_str))
        .bind(self.text(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.read(query).await?;
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
        rows.collect::<Result<_, _>>().map_err(self.failed())
    }
}

/// The text that Django's SQLite backend stores for a time: Python's `str(datetime)`, which leaves out microseconds of zero.
pub(super) fn to_text(time: DateTime<Utc>, time_zone: TimeZone) -> String {
    let naive = time_zone.to_naive(time).trunc_subsecs(6);
    let format = if naive.and_utc().timestamp_subsec_micros() == 0 {
        "%Y-%m-%d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S%.6f"
    };
    naive.format(format).to_string()
}
