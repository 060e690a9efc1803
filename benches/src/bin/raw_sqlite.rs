//! A handler that reads and writes rows of `django_session` with sqlx on SQLite by itself.
//!
//! `DATABASE` is the file. `OPTIONS` says how it is opened: `sqlx` (as `SqlitePool::connect` does), `wal` (the same in WAL mode), or `probe`
//! (with the pools that Quintette uses: WAL, a connection a core to read with, one to write with, no ping before each use).

use std::time::Duration;

use chrono::{DateTime, Utc};
use quintette_benches::raw::{self, Failure, Store, expire_date};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

#[derive(Clone)]
struct Rows {
    reader: SqlitePool,
    writer: SqlitePool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let rows = open(&std::env::var("DATABASE")?, &std::env::var("OPTIONS")?).await?;
    for statement in [
        r#"CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" datetime NOT NULL)"#,
        r#"CREATE INDEX "django_session_expire_date_a5c62663" ON "django_session" ("expire_date")"#,
    ] {
        sqlx::query(statement).execute(&rows.writer).await?;
    }
    raw::serve_from(rows, raw::compressed()?).await
}

async fn open(path: &str, options: &str) -> Result<Rows, Failure> {
    let file = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let pool = match options {
        "sqlx" => SqlitePool::connect_with(file).await?,
        "wal" => SqlitePool::connect_with(file.journal_mode(SqliteJournalMode::Wal)).await?,
        "probe" => return open_as_the_probe(file).await,
        other => return Err(format!("OPTIONS is {other:?}").into()),
    };
    Ok(Rows {
        reader: pool.clone(),
        writer: pool,
    })
}

async fn open_as_the_probe(file: SqliteConnectOptions) -> Result<Rows, Failure> {
    let file = file
        .busy_timeout(Duration::from_secs(5))
        .journal_mode(SqliteJournalMode::Wal);
    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let readers = u32::try_from(std::thread::available_parallelism()?.get())?;
    Ok(Rows {
        writer: pool(1).connect_with(file.clone()).await?,
        reader: pool(readers.clamp(2, 8)).connect_with(file).await?,
    })
}

impl Store for Rows {
    async fn insert(&self, key: &str, text: &str) -> Result<(), Failure> {
        sqlx::query(
            "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)",
        )
        .bind(key)
        .bind(text)
        .bind(as_django_writes(expire_date()))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn select(&self, key: &str) -> Result<Option<String>, Failure> {
        let query = sqlx::query_scalar(
            "SELECT session_data FROM django_session WHERE session_key = ? AND expire_date > ?",
        );
        Ok(query
            .bind(key)
            .bind(as_django_writes(Utc::now()))
            .fetch_optional(&self.reader)
            .await?)
    }

    async fn update(&self, key: &str, text: &str) -> Result<(), Failure> {
        sqlx::query(
            "UPDATE django_session SET session_data = ?, expire_date = ? WHERE session_key = ?",
        )
        .bind(text)
        .bind(as_django_writes(expire_date()))
        .bind(key)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

fn as_django_writes(date: DateTime<Utc>) -> String {
    date.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}
