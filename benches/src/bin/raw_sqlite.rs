//! A handler that reads and writes a row of `django_session` with sqlx by itself: no session, no signature, nobody else
//! to be careful of. The row is the one that the probe stores.
//!
//! `DATABASE` is the file. `OPTIONS` says how it is opened: `sqlx` (as `SqlitePool::connect` does), `wal` (the same in WAL mode), or `probe`
//! (with the pools that Quintette uses: WAL, a connection a core to read with, one to write with, no ping before each use).

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;
use chrono::{TimeDelta, Utc};
use quintette_benches::{session_cookie, standard::Standard};
use quintette_core::json::RawJson;
use quintette_core::session::{Codec, SessionData, SessionKey};
use quintette_core::settings::Settings;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

#[derive(Clone)]
struct Pools {
    reader: SqlitePool,
    writer: SqlitePool,
}

type Error = Box<dyn std::error::Error>;
type Reply = Result<String, StatusCode>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let pools = open(&std::env::var("DATABASE")?, &std::env::var("OPTIONS")?).await?;
    for statement in [
        r#"CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" datetime NOT NULL)"#,
        r#"CREATE INDEX "django_session_expire_date_a5c62663" ON "django_session" ("expire_date")"#,
    ] {
        sqlx::query(statement).execute(&pools.writer).await?;
    }
    let routes = Router::new()
        .route("/bench/fill", get(fill))
        .route("/bench/read", get(read))
        .route("/bench/write", get(write))
        .with_state(pools);
    quintette_benches::serve(routes).await
}

async fn open(path: &str, options: &str) -> Result<Pools, Error> {
    let file = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let pool = match options {
        "sqlx" => SqlitePool::connect_with(file).await?,
        "wal" => SqlitePool::connect_with(file.journal_mode(SqliteJournalMode::Wal)).await?,
        "probe" => return open_as_the_probe(file).await,
        other => return Err(format!("OPTIONS is {other:?}").into()),
    };
    Ok(Pools {
        reader: pool.clone(),
        writer: pool,
    })
}

async fn open_as_the_probe(file: SqliteConnectOptions) -> Result<Pools, Error> {
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
    Ok(Pools {
        writer: pool(1).connect_with(file.clone()).await?,
        reader: pool(readers.clamp(2, 8)).connect_with(file).await?,
    })
}

/// Stores the standard session under a new key, in the bytes that the probe stores.
async fn fill(State(pools): State<Pools>) -> Result<impl IntoResponse, StatusCode> {
    let json = RawJson::from_value(&Standard::default()).map_err(failed)?;
    let data = SessionData::from_json(json.as_str().as_bytes()).map_err(failed)?;
    let stored = Codec::new(&Settings::new("a long and random text"))
        .encode(&data)
        .map_err(failed)?;
    let key = SessionKey::random().map_err(failed)?;
    sqlx::query(
        "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)",
    )
    .bind(key.as_str())
    .bind(stored)
    .bind(expire_date())
    .execute(&pools.writer)
    .await
    .map_err(failed)?;
    let cookie = format!("sessionid={}; Path=/", key.as_str());
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), "ok"))
}

async fn read(State(pools): State<Pools>, headers: HeaderMap) -> Reply {
    let key = session_cookie(&headers).ok_or(StatusCode::BAD_REQUEST)?;
    Ok(select(&pools, key).await?.len().to_string())
}

async fn write(State(pools): State<Pools>, headers: HeaderMap) -> Reply {
    let key = session_cookie(&headers).ok_or(StatusCode::BAD_REQUEST)?;
    let data = select(&pools, key).await?;
    let length = data.len().to_string();
    sqlx::query(
        "UPDATE django_session SET session_data = ?, expire_date = ? WHERE session_key = ?",
    )
    .bind(data)
    .bind(expire_date())
    .bind(key)
    .execute(&pools.writer)
    .await
    .map_err(failed)?;
    Ok(length)
}

async fn select(pools: &Pools, key: &str) -> Result<String, StatusCode> {
    sqlx::query_scalar("SELECT session_data FROM django_session WHERE session_key = ?")
        .bind(key)
        .fetch_one(&pools.reader)
        .await
        .map_err(failed)
}

/// In two weeks, as Django's SQLite backend writes it.
fn expire_date() -> String {
    let date = Utc::now() + TimeDelta::weeks(2);
    date.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn failed(error: impl std::fmt::Display) -> StatusCode {
    eprintln!("raw_sqlite: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
