//! Stores that fail in mid-load, counted: nothing acknowledged is lost, nothing is reported saved that was not, nobody
//! who was logged out comes back, nobody waits beyond the bound, and service returns without a restart.

mod cached_db;
mod databases;
mod disk;
mod load;
mod memcached;
mod redis;

use std::time::Duration;

use quintette::db::Database;
use quintette::sessions::{self, Sessions};
use quintette::settings::{CacheSettings, DatabaseUrl, SessionEngineName, Settings};

/// How long a request may wait for its store.
const BOUND: Duration = Duration::from_secs(1);

fn settings(engine: SessionEngineName) -> Settings {
    let mut settings = Settings::new("a secret that is for tests alone");
    settings.session_engine = engine;
    settings.session_store_timeout = BOUND;
    settings
}

/// Sessions in the database at this URL, with Django's tables made.
async fn in_database(url: &str) -> Sessions {
    let settings = with_database(settings(SessionEngineName::Db), url).await;
    sessions::connect(settings).await.unwrap()
}

/// Sessions in the cache at this URL.
async fn in_cache(url: &str) -> Sessions {
    let settings = with_cache(settings(SessionEngineName::Cache), url);
    sessions::connect(settings).await.unwrap()
}

/// Sessions in the database, read through the cache.
async fn in_both(database: &str, cache: &str) -> Sessions {
    let settings = with_database(settings(SessionEngineName::CachedDb), database).await;
    sessions::connect(with_cache(settings, cache))
        .await
        .unwrap()
}

async fn with_database(mut settings: Settings, url: &str) -> Settings {
    settings.database_url = Some(url.parse::<DatabaseUrl>().unwrap());
    let database = Database::create(&settings).await.unwrap();
    database.migrate().await.unwrap();
    settings
}

fn with_cache(mut settings: Settings, url: &str) -> Settings {
    let cache = CacheSettings::from_url(url).unwrap();
    settings.caches.insert("default".to_owned(), cache);
    settings
}

/// Runs what blocks, such as starting a server, while the load goes on.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// This URL with another port: that of a proxy.
fn through(url: &str, port: u16) -> String {
    let (before, rest) = url.rsplit_once(':').expect("the URL has a port");
    let after = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
    format!("{before}:{port}{after}")
}
