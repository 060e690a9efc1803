//! The routes of `benches/src/bin/users.rs` on axum-login, with tower-sessions and a table of users in the SQLite file
//! `DATABASE`. There is one user, `mei`, whose password is hashed `ITERATIONS` times.

#[path = "../../src/standard.rs"]
mod standard;
mod users;

use std::env::var;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Form, Router};
use axum_login::AuthManagerLayerBuilder;
use standard::Standard;
use tokio::net::TcpListener;
use tower_sessions::SessionManagerLayer;
use tower_sessions_sqlx_store::SqliteStore;
use tower_sessions_sqlx_store::sqlx::SqlitePool;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
};
use users::{Backend, Credentials};

type Error = Box<dyn std::error::Error>;
type Reply = Result<String, StatusCode>;
type AuthSession = axum_login::AuthSession<Backend>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let pool = pool(&var("DATABASE")?).await?;
    let store = SqliteStore::new(pool.clone());
    store.migrate().await?;
    let backend = Backend::with_one_user(pool, var("ITERATIONS")?.parse()?).await?;
    let sessions = SessionManagerLayer::new(store)
        .with_name("sessionid")
        .with_secure(false);
    let routes = Router::new()
        .route("/bench/fill", get(fill))
        .route("/bench/user", get(user))
        .route("/bench/login", post(login))
        .layer(AuthManagerLayerBuilder::new(backend, sessions).build());
    let port: u16 = var("PORT")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

/// One for sessions and users, as in axum-login's examples, with the options of `benches/tower-sessions`.
async fn pool(path: &str) -> Result<SqlitePool, Error> {
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
    Ok(pool)
}

/// The standard session, of `mei`.
async fn fill(mut auth: AuthSession) -> Reply {
    let standard = Standard::default();
    let session = auth.session.clone();
    session
        .insert("cart", standard.cart)
        .await
        .map_err(failed)?;
    session.insert("n", standard.n).await.map_err(failed)?;
    let mei = auth.backend.user_called("mei").await.map_err(failed)?;
    let mei = mei.ok_or(StatusCode::NOT_FOUND)?;
    auth.login(&mei).await.map_err(failed)?;
    Ok("ok".into())
}

async fn user(auth: AuthSession) -> Reply {
    let user = auth.user.ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(user.username)
}

async fn login(mut auth: AuthSession, Form(credentials): Form<Credentials>) -> Reply {
    let user = auth.authenticate(credentials).await.map_err(failed)?;
    let user = user.ok_or(StatusCode::FORBIDDEN)?;
    auth.login(&user).await.map_err(failed)?;
    Ok(user.username)
}

fn failed(error: impl std::fmt::Display) -> StatusCode {
    eprintln!("axum-login: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
