//! The probe's `/bench/*` routes on tower-sessions. `STORE` is `memory`, or `sqlite` with `DATABASE` as its file, or `postgres` or `mysql` with
//! `DATABASE_URL`, or `redis` with `CACHE_URL`.

#[path = "../../src/standard.rs"]
mod standard;

use std::env::var;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use standard::Standard;
use tokio::net::TcpListener;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_sqlx_store::sqlx::mysql::MySqlPoolOptions;
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
};
use tower_sessions_sqlx_store::{MySqlStore, PostgresStore, SqliteStore};

type Error = Box<dyn std::error::Error>;
type Reply = Result<String, StatusCode>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    match var("STORE")?.as_str() {
        "memory" => serve(MemoryStore::default()).await,
        "sqlite" => serve(sqlite(&var("DATABASE")?).await?).await,
        "postgres" => serve(postgres(&var("DATABASE_URL")?).await?).await,
        "mysql" => serve(mysql(&var("DATABASE_URL")?).await?).await,
        "redis" => serve(redis(&var("CACHE_URL")?).await?).await,
        other => Err(format!("STORE is {other:?}").into()),
    }
}

async fn serve(store: impl SessionStore + Clone) -> Result<(), Error> {
    let routes = Router::new()
        .route("/bench/none", get(async || "ok"))
        .route("/bench/fill", get(fill))
        .route("/bench/read", get(read))
        .route("/bench/write", get(write))
        .layer(
            SessionManagerLayer::new(store)
                .with_name("sessionid")
                .with_secure(false),
        );
    let port: u16 = std::env::var("PORT")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

/// With the probe's options for a file, as far as a store of one pool can have them.
async fn sqlite(path: &str) -> Result<SqliteStore, Error> {
    let file = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(5))
        .journal_mode(SqliteJournalMode::Wal);
    let connections = u32::try_from(std::thread::available_parallelism()?.get())?.clamp(2, 8);
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(file)
        .await?;
    let store = SqliteStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

/// With sqlx's pool, without a ping before each use: the faster of the raw handler's two.
async fn postgres(url: &str) -> Result<PostgresStore, Error> {
    let pool = PgPoolOptions::new()
        .test_before_acquire(false)
        .connect(url)
        .await?;
    let store = PostgresStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

/// As on PostgreSQL.
async fn mysql(url: &str) -> Result<MySqlStore, Error> {
    let pool = MySqlPoolOptions::new()
        .test_before_acquire(false)
        .connect(url)
        .await?;
    let store = MySqlStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

/// With as many connections as the store's own example has.
async fn redis(url: &str) -> Result<RedisStore<Pool>, Error> {
    let pool = Pool::new(Config::from_url(url)?, None, None, None, 6)?;
    pool.connect();
    pool.wait_for_connect().await?;
    Ok(RedisStore::new(pool))
}

async fn fill(session: Session) -> Reply {
    let standard = Standard::default();
    session
        .insert("_auth_user_id", standard._auth_user_id)
        .await
        .map_err(failed)?;
    session
        .insert("_auth_user_backend", standard._auth_user_backend)
        .await
        .map_err(failed)?;
    session
        .insert("_auth_user_hash", standard._auth_user_hash)
        .await
        .map_err(failed)?;
    session
        .insert("cart", standard.cart)
        .await
        .map_err(failed)?;
    session.insert("n", standard.n).await.map_err(failed)?;
    Ok("ok".into())
}

async fn read(session: Session) -> Reply {
    let n: i64 = session.get("n").await.map_err(failed)?.unwrap_or(0);
    Ok(n.to_string())
}

async fn write(session: Session) -> Reply {
    let n = session.get("n").await.map_err(failed)?.unwrap_or(0_i64) + 1;
    session.insert("n", n).await.map_err(failed)?;
    Ok(n.to_string())
}

fn failed(error: impl std::fmt::Display) -> StatusCode {
    eprintln!("tower-sessions: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
