//! Where sessions live: one file for each of Django's `django.contrib.sessions.backends`, each in the order of the
//! [`SessionEngine`](super::SessionEngine) trait.
//!
//! Usually [`connect`](super::connect) makes the one that `SESSION_ENGINE` names. An application with a pool or a cache
//! of its own makes it itself:
//!
//! ```
//! # async fn example(pool: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use quintette::db::{Database, SqliteDatabase};
//! use quintette::sessions::{Sessions, engines::DbEngine};
//! use quintette::settings::Settings;
//!
//! let settings = Settings::load()?;
//! let database = Database::from(SqliteDatabase::from_pool(pool, &settings));
//! let engine = DbEngine::new(&database, &settings).await?;
//! let sessions = Sessions::new(Arc::new(engine), settings);
//! # Ok(())
//! # }
//! ```

mod cache;
#[cfg(feature = "database")]
mod cached_db;
#[cfg(feature = "database")]
mod db;
mod file;
mod signed_cookies;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Record;

pub use cache::CacheEngine;
#[cfg(feature = "database")]
pub use cached_db::CachedDbEngine;
#[cfg(feature = "database")]
pub use db::DbEngine;
pub use file::FileEngine;
pub use signed_cookies::SignedCookiesEngine;

/// When an entry of a cache expires that will live for `ttl`; `None` is later than any date.
fn expires_at(ttl: Duration) -> Option<DateTime<Utc>> {
    Utc::now().checked_add_signed(TimeDelta::from_std(ttl).ok()?)
}

/// How long a cache keeps a record.
fn ttl(record: &Record<'_>) -> Duration {
    (record.expires_at - Utc::now())
        .to_std()
        .unwrap_or_default()
}
