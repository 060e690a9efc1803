use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use quintette_core::session::SessionError;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row, Sqlite};

use super::SqliteDatabase;
use super::migrations::has_table;
use super::session_table::to_text;
use crate::db::error::{translate, translate_write};
use crate::db::{CacheRow, CacheTable, TableName};

/// What `manage.py createcachetable` makes (django/core/management/commands/createcachetable.py).
const STATEMENTS: [&str; 2] = [
    r#"CREATE TABLE {table} (
    "cache_key" varchar(255) NOT NULL PRIMARY KEY,
    "value" text NOT NULL,
    "expires" datetime NOT NULL
)"#,
    r#"CREATE INDEX {index} ON {table} ("expires")"#,
];

#[derive(Debug)]
pub(super) struct SqliteCacheTable {
    database: SqliteDatabase,
    name: TableName,
}

impl SqliteCacheTable {
    /// The table; an error where there is none.
    pub(super) async fn open(
        database: SqliteDatabase,
        name: TableName,
    ) -> Result<Self, SessionError> {
        let table = Self { database, name };
        let found = has_table(&table.database.reader, table.name.as_str()).await;
        if found.map_err(table.failed())? {
            Ok(table)
        } else {
            Err(table.name.missing(&table.database.place))
        }
    }

    /// Makes the table; `false` where there is one.
    pub(super) async fn create(
        database: SqliteDatabase,
        name: TableName,
    ) -> Result<bool, SessionError> {
        let table = Self { database, name };
        table.create_unless_there().await.map_err(table.failed())
    }

    async fn create_unless_there(&self) -> Result<bool, sqlx::Error> {
        if has_table(&self.database.reader, self.name.as_str()).await? {
            return Ok(false);
        }
        let mut connection = self.database.reader.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for statement in STATEMENTS {
            sqlx::query(self.sql(statement))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    fn sql(&self, template: &str) -> AssertSqlSafe<String> {
        // A table's name has no quotation mark in it.
        AssertSqlSafe(self.name.sql('"', template))
    }

    fn text(&self, time: DateTime<Utc>) -> String {
        to_text(time, self.database.time_zone)
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
        written.map_err(|error| {
            self.told(&error, || {
                translate_write(&self.database.place, error.clone())
            })
        })
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> SessionError + '_ {
        |error| {
            let error = std::sync::Arc::new(error);
            self.told(&error, || translate(&self.database.place, error.clone()))
        }
    }

    /// A table that was dropped in the meantime is told by its name.
    fn told(&self, error: &sqlx::Error, otherwise: impl FnOnce() -> SessionError) -> SessionError {
        let missing = error
            .as_database_error()
            .is_some_and(|error| error.message().contains("no such table"));
        if missing {
            self.name.missing(&self.database.place)
        } else {
            otherwise()
        }
    }
}

#[async_trait]
impl CacheTable for SqliteCacheTable {
    async fn select(&self, key: &str) -> Result<Option<CacheRow>, SessionError> {
        let query = sqlx::query(self.sql("SELECT value, expires FROM {table} WHERE cache_key = ?"));
        let rows = self.read(query.bind(key)).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        // A column may hold anything in SQLite. What is no date has expired.
        let expires: Vec<u8> = row.try_get_unchecked("expires").map_err(self.failed())?;
        let expires = NaiveDateTime::parse_from_str(
            &String::from_utf8_lossy(&expires),
            "%Y-%m-%d %H:%M:%S%.f",
        );
        Ok(Some(CacheRow {
            value: row.try_get_unchecked("value").map_err(self.failed())?,
            expires_at: self
                .database
                .time_zone
                .from_naive(expires.unwrap_or_default()),
        }))
    }

    async fn upsert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        let sql = self.sql(
            "INSERT INTO {table} (cache_key, value, expires) VALUES (?, ?, ?) \
             ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires",
        );
        let query = sqlx::query(sql)
            .bind(key)
            .bind(value)
            .bind(self.text(expires_at));
        self.write(query).await.map(drop)
    }

    async fn insert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let sql = self.sql(
            "INSERT INTO {table} (cache_key, value, expires) VALUES (?, ?, ?) \
             ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires \
             WHERE {table}.expires < ?",
        );
        let query = sqlx::query(sql)
            .bind(key)
            .bind(value)
            .bind(self.text(expires_at))
            .bind(self.text(now));
        Ok(self.write(query).await? > 0)
    }

    async fn update(
        &self,
        key: &str,
        seen: &[u8],
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let sql = self.sql(
            "UPDATE {table} SET value = ?, expires = ? \
             WHERE cache_key = ? AND CAST(value AS BLOB) = ? AND expires >= ?",
        );
        let query = sqlx::query(sql)
            .bind(value)
            .bind(self.text(expires_at))
            .bind(key)
            .bind(seen)
            .bind(self.text(now));
        Ok(self.write(query).await? > 0)
    }

    async fn touch(
        &self,
        key: &str,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let sql = self.sql(
            "UPDATE {table} SET expires = ? \
             WHERE cache_key = ? AND CAST(value AS BLOB) = ? AND expires >= ?",
        );
        let query = sqlx::query(sql)
            .bind(self.text(expires_at))
            .bind(key)
            .bind(seen)
            .bind(self.text(now));
        Ok(self.write(query).await? > 0)
    }

    async fn delete(
        &self,
        key: &str,
        seen: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let sql = self.sql(
            "DELETE FROM {table} \
             WHERE cache_key = ? AND (? IS NULL OR CAST(value AS BLOB) = ?) AND expires >= ?",
        );
        let query = sqlx::query(sql)
            .bind(key)
            .bind(seen)
            .bind(seen)
            .bind(self.text(now));
        Ok(self.write(query).await? > 0)
    }

    async fn count(&self) -> Result<u64, SessionError> {
        let query = sqlx::query(self.sql("SELECT COUNT(*) FROM {table}"));
        let rows = self.read(query).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0));
        let count = count.map_err(self.failed())?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn delete_expired(
        &self,
        key: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<u64, SessionError> {
        let query = match key {
            Some(key) => {
                sqlx::query(self.sql("DELETE FROM {table} WHERE cache_key = ? AND expires < ?"))
                    .bind(key)
            }
            None => sqlx::query(self.sql("DELETE FROM {table} WHERE expires < ?")),
        };
        self.write(query.bind(self.text(now))).await
    }

    async fn delete_first(&self, rows: u64) -> Result<(), SessionError> {
        let sql = self.sql(
            "DELETE FROM {table} WHERE cache_key IN \
             (SELECT cache_key FROM {table} ORDER BY cache_key LIMIT ?)",
        );
        let query = sqlx::query(sql).bind(i64::try_from(rows).unwrap_or(i64::MAX));
        self.write(query).await.map(drop)
    }
}
