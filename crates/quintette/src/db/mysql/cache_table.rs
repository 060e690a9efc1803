use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use quintette_core::session::SessionError;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, MySql, Row};
use tokio::time::Instant;

use super::MysqlDatabase;
use super::dialect::{is_duplicate, is_made_already};
use super::migrations::{TIMEOUT, has_table};
use super::session_table::write;
use crate::db::cache_table::told;
use crate::db::connections::Statement;
use crate::db::failure::{Failure, not_read, not_written};
use crate::db::{CacheRow, CacheTable, TableName};

/// What `manage.py createcachetable` makes (django/core/management/commands/createcachetable.py), but for the collation: by
/// the usual ones, `KEY` and `key` are one.
const STATEMENTS: [&str; 2] = [
    "CREATE TABLE {table} (`cache_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, \
     `value` longtext NOT NULL, `expires` datetime(6) NOT NULL)",
    "CREATE INDEX {index} ON {table} (`expires`)",
];

/// In a table of Django's, the first comparison finds the key in the index, and the second tells it from other spellings.
const SELECT: &str = "SELECT CAST(`value` AS BINARY) AS `value`, `expires` FROM {table} \
    WHERE `cache_key` = ? AND CAST(`cache_key` AS BINARY) = ?";
const INSERT: &str = "INSERT INTO {table} (`cache_key`, `value`, `expires`) VALUES (?, ?, ?)";
/// Another spelling of the key gives way to this one: a cache may forget.
const UPSERT: &str = "INSERT INTO {table} (`cache_key`, `value`, `expires`) VALUES (?, ?, ?) \
    ON DUPLICATE KEY UPDATE `cache_key` = VALUES(`cache_key`), `value` = VALUES(`value`), `expires` = VALUES(`expires`)";
const UPDATE_EXPIRED: &str = "UPDATE {table} SET `cache_key` = ?, `value` = ?, `expires` = ? \
    WHERE `cache_key` = ? AND `expires` < ?";
const UPDATE: &str = "UPDATE {table} SET `value` = ?, `expires` = ? \
    WHERE `cache_key` = ? AND CAST(`cache_key` AS BINARY) = ? AND CAST(`value` AS BINARY) = ? AND `expires` >= ?";
const TOUCH: &str = "UPDATE {table} SET `expires` = ? \
    WHERE `cache_key` = ? AND CAST(`cache_key` AS BINARY) = ? AND CAST(`value` AS BINARY) = ? AND `expires` >= ?";
const DELETE: &str = "DELETE FROM {table} \
    WHERE `cache_key` = ? AND CAST(`cache_key` AS BINARY) = ? AND `expires` >= ?";
const DELETE_SEEN: &str = "DELETE FROM {table} \
    WHERE `cache_key` = ? AND CAST(`cache_key` AS BINARY) = ? AND `expires` >= ? AND CAST(`value` AS BINARY) = ?";
const DELETE_EXPIRED: &str = "DELETE FROM {table} WHERE `expires` < ?";
const DELETE_IF_EXPIRED: &str = "DELETE FROM {table} WHERE `expires` < ? AND `cache_key` = ?";
const DELETE_FIRST: &str = "DELETE FROM {table} ORDER BY `cache_key` LIMIT ?";

#[derive(Debug)]
pub(super) struct MysqlCacheTable {
    database: MysqlDatabase,
    name: TableName,
}

impl MysqlCacheTable {
    /// The table; an error where there is none.
    pub(super) async fn open(
        database: MysqlDatabase,
        name: TableName,
    ) -> Result<Self, SessionError> {
        let table = Self { database, name };
        // That it is missing is said by its name.
        table
            .read(|| table.statement("SELECT 1 FROM {table} LIMIT 0"))
            .await?;
        Ok(table)
    }

    /// Makes the table; `false` where there is one.
    pub(super) async fn create(
        database: MysqlDatabase,
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
            .map_err(|failure| not_written::<MySql>(&database.place, failure))
    }

    fn statement(&self, template: &str) -> Statement<MySql> {
        // A table's name has no quotation mark in it.
        sqlx::query(AssertSqlSafe(self.name.sql('`', template)))
    }

    fn naive(&self, time: DateTime<Utc>) -> NaiveDateTime {
        self.database.time_zone.to_naive(time).trunc_subsecs(6)
    }

    fn not_read(&self, failure: Failure) -> SessionError {
        told::<MySql>(&self.name, &self.database.place, failure, not_read::<MySql>)
    }

    fn not_written(&self, failure: Failure) -> SessionError {
        told::<MySql>(
            &self.name,
            &self.database.place,
            failure,
            not_written::<MySql>,
        )
    }

    async fn read(
        &self,
        statement: impl Fn() -> Statement<MySql> + Send + Sync,
    ) -> Result<Vec<MySqlRow>, SessionError> {
        let rows = self.database.connections.read(statement).await;
        rows.map_err(|failure| self.not_read(failure))
    }

    /// How many rows the statement found.
    async fn write(
        &self,
        statement: impl Fn() -> Statement<MySql> + Send + Sync,
    ) -> Result<u64, SessionError> {
        let written = write(&self.database.connections, statement).await;
        written.map_err(|failure| self.not_written(failure))
    }
}

async fn make(connection: &mut MySqlConnection, name: TableName) -> Result<bool, sqlx::Error> {
    if has_table(connection, name.as_str()).await? {
        return Ok(false);
    }
    for statement in STATEMENTS {
        let made = sqlx::query(AssertSqlSafe(name.sql('`', statement)))
            .execute(&mut *connection)
            .await;
        match made {
            // Another program makes it at the same time.
            Err(error) if !is_made_already(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}

#[async_trait]
impl CacheTable for MysqlCacheTable {
    async fn select(&self, key: &str) -> Result<Option<CacheRow>, SessionError> {
        let rows = self
            .read(|| self.statement(SELECT).bind(key).bind(key))
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let value = row.try_get_unchecked("value");
        // A date of zeros, which a lax `sql_mode` lets in, is long past.
        let expires = row.try_get_unchecked("expires").unwrap_or_default();
        Ok(Some(CacheRow {
            value: value.map_err(|error| self.not_read(Failure::refused(error)))?,
            expires_at: self.database.time_zone.from_naive(expires),
        }))
    }

    async fn upsert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<(), SessionError> {
        let expires = self.naive(expires_at);
        self.write(|| self.statement(UPSERT).bind(key).bind(value).bind(expires))
            .await
            .map(drop)
    }

    /// Two statements where there is a row: the number of rows of an `ON DUPLICATE KEY UPDATE` does not tell a new one from
    /// one that was left alone.
    async fn insert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (expires, now) = (self.naive(expires_at), self.naive(now));
        let inserted = write(&self.database.connections, || {
            self.statement(INSERT).bind(key).bind(value).bind(expires)
        });
        match inserted.await {
            Ok(_) => return Ok(true),
            Err(failure) if is_duplicate(&failure.error) => {}
            Err(failure) => return Err(self.not_written(failure)),
        }
        let updated = self.write(|| {
            let statement = self.statement(UPDATE_EXPIRED);
            statement
                .bind(key)
                .bind(value)
                .bind(expires)
                .bind(key)
                .bind(now)
        });
        Ok(updated.await? > 0)
    }

    async fn update(
        &self,
        key: &str,
        seen: &[u8],
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (expires, now) = (self.naive(expires_at), self.naive(now));
        let updated = self.write(|| {
            let statement = self.statement(UPDATE).bind(value).bind(expires);
            statement.bind(key).bind(key).bind(seen).bind(now)
        });
        Ok(updated.await? > 0)
    }

    async fn touch(
        &self,
        key: &str,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let (expires, now) = (self.naive(expires_at), self.naive(now));
        let touched = self.write(|| {
            let statement = self.statement(TOUCH).bind(expires);
            statement.bind(key).bind(key).bind(seen).bind(now)
        });
        Ok(touched.await? > 0)
    }

    async fn delete(
        &self,
        key: &str,
        seen: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError> {
        let now = self.naive(now);
        let deleted = self.write(|| {
            let sql = if seen.is_some() { DELETE_SEEN } else { DELETE };
            let statement = self.statement(sql).bind(key).bind(key).bind(now);
            match seen {
                Some(seen) => statement.bind(seen),
                None => statement,
            }
        });
        Ok(deleted.await? > 0)
    }

    async fn count(&self) -> Result<u64, SessionError> {
        let rows = self
            .read(|| self.statement("SELECT COUNT(*) FROM {table}"))
            .await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0));
        let count = count.map_err(|error| self.not_read(Failure::refused(error)))?;
        Ok(count.unsigned_abs())
    }

    async fn delete_expired(
        &self,
        key: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<u64, SessionError> {
        let now = self.naive(now);
        self.write(|| match key {
            None => self.statement(DELETE_EXPIRED).bind(now),
            Some(key) => self.statement(DELETE_IF_EXPIRED).bind(now).bind(key),
        })
        .await
    }

    async fn delete_first(&self, rows: u64) -> Result<(), SessionError> {
        self.write(|| self.statement(DELETE_FIRST).bind(rows))
            .await
            .map(drop)
    }
}
