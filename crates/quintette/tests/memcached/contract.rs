//! The contract of caches and engines, over Memcached.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use quintette::cache::{MemcachedCache, NamedCache};
use quintette::db::Database;
use quintette::sessions::engines::{CacheEngine, CachedDbEngine};
use quintette::settings::{CacheSettings, DatabaseUrl, Settings, SqliteLocation};
use quintette_testkit::servers::Memcached;
use quintette_testkit::{CacheSuite, Contracts, EngineSuite, FreshCache, FreshEngine};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    Contracts::new()
        .cache(&CacheSuite::new("memcached", || async {
            let (server, cache) = memcached()?;
            Ok(FreshCache::new(Arc::new(cache)).keeping(server))
        }))
        .engine(
            &EngineSuite::new("cache/memcached", cache)
                .cannot_list()
                .expires_by_itself()
                .respells_numbers(),
        )
        .engine(&EngineSuite::new("cached_db/sqlite+memcached", cached_db).respells_numbers())
        .main()
}

/// A server of its own. The patience is that of a busy machine: no case is about time-outs.
fn memcached() -> Fallible<(Memcached, MemcachedCache)> {
    let server = Memcached::start()?;
    let settings = CacheSettings::from_url(&server.url())?;
    let cache = MemcachedCache::new(&settings, Duration::from_mins(1))?;
    Ok((server, cache))
}

async fn cache() -> Fallible<FreshEngine> {
    let (server, cache) = memcached()?;
    let engine = CacheEngine::new(NamedCache::new(Arc::new(cache)));
    Ok(FreshEngine::new(Arc::new(engine))
        .with_settings(settings())
        .keeping(server))
}

async fn cached_db() -> Fallible<FreshEngine> {
    let (server, cache) = memcached()?;
    let directory = tempfile::tempdir()?;
    let mut settings = settings();
    let file = SqliteLocation::File(directory.path().join("db.sqlite3"));
    settings.database_url = Some(DatabaseUrl::Sqlite(file));
    let database = Database::create(&settings).await?;
    database.migrate().await?;
    let cache = NamedCache::new(Arc::new(cache));
    let engine = CachedDbEngine::new(&database, cache, &settings).await?;
    Ok(FreshEngine::new(Arc::new(engine))
        .with_settings(settings)
        .keeping((server, directory)))
}

fn settings() -> Settings {
    Settings::new("a secret that is for tests alone")
}
