use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::session::{SessionError, SessionErrorKind};
use sqlx::postgres::{PgConnection, PgRow, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, Row};
use tokio::time::Instant;

use super::PostgresDatabase;
use super::migrations::{LOCK, TIMEOUT};
use super::session_table::to_time;
use crate::db::cache_table::told;
use crate::db::connections::Statement;
use crate::db::failure::{Failure, not_read, not_written};
use crate::db::{CacheRow, CacheTable, TableName};

/// What `manage.py createcachetable` makes (django/core/management/commands/createcachetable.py).
const STATEMENTS: [&str; 2] = [
    r#"CREATE TABLE {table} ("cache_key" varchar(255) NOT NULL PRIMARY KEY, "value" text NOT NULL, "expires" timestamp with time zone NOT NULL)"#,
    r#"CREATE INDEX {index} ON {table} ("expires")"#,
];

/// The name is in quotation marks here as well: without them, capitals would be small ones, and a dot end a schema's name.
const HAS_TABLE: &str = "SELECT to_regclass($1) IS NOT NULL";

#[derive(Debug)]
pub(super) struct PostgresCacheTable {
    database: PostgresDatabase,
    name: TableName,
}

impl PostgresCacheTable {
    /// The table; an error where there is none.
    pub(super) async fn open(
        database: PostgresDatabase,
        name: TableName,
    ) -> Result<Self, SessionError> {
        let table = Self { database, name };
        let quoted = table.name.sql('"', "{table}");
        let found = table.first(|| sqlx::query(HAS_TABLE).bind(&quoted)).await?;
        if found.unwrap_or(false) {
            Ok(table)
        } else {
            Err(table.name.missing(&table.database.place))
        }
    }

    /// Makes the table; `false` where there is one.
    pub(super) async fn create(
        database: PostgresDatabase,
        name: TableName,
    ) -> Result<bool, SessionError> {
        let deadline = Instant::now() + TIMEOUT;
        let made = async {
            let mut lease = database.connections.acquire(deadline).await?;
            let name = name.clone();
            lease
                .run(deadline, |connection| Box::pin(make(connection, name)))
                .await
        };
        made.await
            .map_err(|failure| not_written::<Postgres>(&database.place, failure))
    }

    fn sql(&self, template: &str) -> AssertSqlSafe<String> {
        // A table's name has no quotation mark in it.
        AssertSqlSafe(self.name.sql('"', template))
    }

    fn not_read(&self, failure: Failure) -> SessionError {
        told::<Postgres>(
            &self.name,
            &self.database.place,
            failure,
            not_read::<Postgres>,
        )
    }

    /// The first column of the first row.
    async fn first<T>(
        &self,
        statement: impl Fn() -> Statement<Postgres> + Send + Sync,
    ) -> Result<Option<T>, SessionError>
    where
        T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        let rows = self.database.connections.read(statement).await;
        let rows = rows.map_err(|failure| self.not_read(failure))?;
        let first = rows.first().map(|row| row.try_get(0)).transpose();
        first.map_err(|error| self.not_read(Failure::refused(error)))
    }

    /// How many rows the statement changed.
    async fn write(&self, statement: Statement<Postgres>) -> Result<u64, SessionError> {
        let written = self.database.connections.write(statement).await;
        written.map_err(|failure| {
            told::<Postgres>(
                &self.name,
                &self.database.place,
                failure,
                not_written::<Postgres>,
            )
        })
    }
}

async fn make(connection: &mut PgConnection, name: TableName) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Two programs that start at once do not both find the table missing. Let go with the transaction.
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    let found: bool = sqlx::query_scalar(HAS_TABLE)
        .bind(name.sql('"', "{table}"))
        .fetch_one(&mut *transaction)
        .await?;
    if !found {
        for statement in STATEMENTS {
            sqlx::query(AssertSqlSafe(name.sql('"', statement)))
                .execute(&mut *transaction)
                .await?;
        }
    }
    transaction.commit().await?;
    Ok(!found)
}

/// What PostgreSQL's text cannot hold is in no row; it would be refused with an error.
fn text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.contains('\0'))
}

fn seen_text(seen: &[u8]) -> Option<&str> {
    std::str::from_utf8(seen).ok().and_then(text)
}

fn storable(key: &str) -> Result<&str, SessionError> {
    text(key).ok_or_else(|| {
        SessionError::new(
            SessionErrorKind::Value,
            "a name with a NUL in it does not go into PostgreSQL's table",
        )
    })
}

fn to_cache_row(row: &PgRow) -> Result<CacheRow, sqlx::Error> {
    Ok(CacheRow {
        value: row.try_get_unchecked("value")?,
        expires_at: to_time(row.try_get_unchecked("expires")?),
    })
}

#[async_trait]
impl CacheTable for PostgresCacheTable {
    async fn select(&self, key: &str) -> Result<Option<CacheRow>, SessionError> {
        let Some(key) = text(key) else {
            return Ok(None);
        };
        let statement = || {
            sqlx::query(self.sql("SELECT value, expires FROM {table} WHERE cache_key = $1"))
                .bind(key)
        };
        let rows = self.database.connections.read(statement).await;
        let rows = rows.map_err(|failure| self.not_read(failure))?;
        let row = rows.first().map(to_cache_row).transpose();
        row.map_err(|error| self.not_read(Failure::refused(error)))
    }

    async fn upsert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        let sql = self.sql(
            "INSERT INTO {table} (cache_key, value, expires) VALUES ($1, $2, $3) \
             ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires",
        );
        let statement = sqlx::query(sql)
            .bind(storable(key)?)
            .bind(value)
            .bind(expires_at);
        self.write(statement).await.map(drop)
    }

    async fn insert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let sql = self.sql(
            "INSERT INTO {table} (cache_key, value, expires) VALUES ($1, $2, $3) \
             ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires \
             WHERE {table}.expires < $4",
        );
        let statement = sqlx::query(sql)
            .bind(storable(key)?)
            .bind(value)
            .bind(expires_at)
            .bind(now);
        Ok(self.write(statement).await? > 0)
    }

    async fn update(
        &self,
        key: &str,
        seen: &[u8],
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (Some(key), Some(seen)) = (text(key), seen_text(seen)) else {
            return Ok(false);
        };
        let sql = self.sql(
            "UPDATE {table} SET value = $1, expires = $2 \
             WHERE cache_key = $3 AND value = $4 AND expires >= $5",
        );
        let statement = sqlx::query(sql)
            .bind(value)
            .bind(expires_at)
            .bind(key)
            .bind(seen)
            .bind(now);
        Ok(self.write(statement).await? > 0)
    }

    async fn touch(
        &self,
        key: &str,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (Some(key), Some(seen)) = (text(key), seen_text(seen)) else {
            return Ok(false);
        };
        let sql = self.sql(
            "UPDATE {table} SET expires = $1 WHERE cache_key = $2 AND value = $3 AND expires >= $4",
        );
        let statement = sqlx::query(sql)
            .bind(expires_at)
            .bind(key)
            .bind(seen)
            .bind(now);
        Ok(self.write(statement).await? > 0)
    }

    async fn delete(
        &self,
        key: &str,
        seen: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (Some(key), seen) = (text(key), seen.map(seen_text)) else {
            return Ok(false);
        };
        let statement =
            match seen {
                None => sqlx::query(
                    self.sql("DELETE FROM {table} WHERE cache_key = $1 AND expires >= $2"),
                )
                .bind(key)
                .bind(now),
                Some(None) => return Ok(false),
                Some(Some(seen)) => sqlx::query(self.sql(
                    "DELETE FROM {table} WHERE cache_key = $1 AND expires >= $2 AND value = $3",
                ))
                .bind(key)
                .bind(now)
                .bind(seen),
            };
        Ok(self.write(statement).await? > 0)
    }

    async fn count(&self) -> Result<u64, SessionError> {
        let count: Option<i64> = self
            .first(|| sqlx::query(self.sql("SELECT COUNT(*) FROM {table}")))
            .await?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    async fn delete_expired(
        &self,
        key: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<u64, SessionError> {
        let statement = match key.map(text) {
            None => sqlx::query(self.sql("DELETE FROM {table} WHERE expires < $1")).bind(now),
            Some(None) => return Ok(0),
            Some(Some(key)) => {
                sqlx::query(self.sql("DELETE FROM {table} WHERE expires < $1 AND cache_key = $2"))
                    .bind(now)
                    .bind(key)
            }
        };
        self.write(statement).await
    }

    async fn delete_first(&self, rows: u64) -> Result<(), SessionError> {
        let sql = self.sql(
            "DELETE FROM {table} WHERE cache_key IN \
             (SELECT cache_key FROM {table} ORDER BY cache_key LIMIT $1)",
        );
        let statement = sqlx::query(sql).bind(i64::try_from(rows).unwrap_or(i64::MAX));
        self.write(statement).await.map(drop)
    }
}
