//! Django's sessions for Rust web services, and what stands on them, byte-compatible with a live Django.
//!
//! A Rust service and a Django site that share a `SECRET_KEY` and a store share their visitors: who has a cart there
//! has it here. All five of Django's engines are here (database, cache, cached database, files, signed cookies), every
//! setting by its name, every default; and on top of them logins, permissions, CSRF protection, messages and context
//! processors.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use quintette::sessions::{self, Session, SessionError, SessionLayer};
//! use quintette::settings::Settings;
//!
//! async fn visits(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
//!     Ok(format!("Visit number {visits}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let settings = Settings::load()?; // settings.toml, then the environment
//!     let sessions = sessions::connect(settings).await?; // the engine that SESSION_ENGINE names
//!     let app = Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions));
//!     axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8000").await?, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! | what | where |
//! | --- | --- |
//! | the session of a request, engines, the layer, inactivity timeout | [`sessions`] |
//! | users, logins, permissions, passwords | `auth` |
//! | messages to the visitor | [`messages`] |
//! | forms that only this site may send | [`csrf`] |
//! | what every page can name | `templates` |
//! | caches | [`cache`] |
//! | databases and migrations | [`db`] |
//! | host, path, address of a request; safe redirects | [`http`] |
//! | settings by Django's names | [`settings`] |
//! | signed values | [`signing`] |
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `axum` (default) | [`Session`](sessions::Session) as an extractor and its errors as responses. The layers are plain tower and need no feature |
//! | `sqlite` (default) | the engines `db` and `cached_db`, and Django's cache table, on SQLite |
//! | `postgres`, `mysql` | the same on PostgreSQL; on MariaDB and MySQL |
//! | `redis` | caches in Redis, in a Redis Cluster and behind Sentinels |
//! | `redis-compressors` | the lz4, lzma and zstd of django-redis |
//! | `memcached` | caches in Memcached |
//! | `auth` | users and logins, on one of the databases; password hashers |
//! | `templates` | Django's context processors, for minijinja |
//!
//! `database` comes with each of the databases. TLS to a server is the application's choice: it depends on `sqlx` or
//! `redis` itself, with the TLS feature that it wants.
//!
//! # When a store fails
//!
//! No request waits for its store for longer than `SESSION_STORE_TIMEOUT`, two seconds by default, at a time. A store that
//! is down is an error of kind [`Unavailable`](sessions::SessionErrorKind::Unavailable), a write whose answer was lost one
//! of kind [`Unknown`](sessions::SessionErrorKind::Unknown); both are a 503. When the store is back, so is the service.

#[cfg(feature = "auth")]
pub mod auth;
pub mod cache;
pub mod csrf;
#[cfg(feature = "database")]
pub mod db;
mod files;
mod gate;
pub mod http;
pub mod messages;
mod seal;
pub mod sessions;
#[cfg(feature = "templates")]
pub mod templates;

pub use quintette_core::{cookie, json, settings, signing, time};
