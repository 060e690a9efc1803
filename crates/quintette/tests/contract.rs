//! The contract, over every engine and every cache on its real store.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quintette::cache::{
    Cache, CacheError, Cached, DatabaseCache, FileBasedCache, LocalCache, NamedCache, Revision,
    Swapped,
};
use quintette::db::Database;
use quintette::sessions::SessionEngine;
use quintette::sessions::engines::{
    CacheEngine, CachedDbEngine, DbEngine, FileEngine, SignedCookiesEngine,
};
use quintette::settings::{CacheSettings, DatabaseUrl, Settings, SqliteLocation};
use quintette_testkit::{CacheSuite, Contracts, EngineSuite, FreshCache, FreshEngine, MemoryCache};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let memory = || NamedCache::new(Arc::new(MemoryCache::new()));
    Contracts::new()
        .engine(&EngineSuite::new("db/sqlite", db))
        .engine(&EngineSuite::new("file", file))
        .engine(
            &EngineSuite::new("cache/locmem", || async { Ok(cache(local_cache())) })
                .cannot_list()
                .expires_by_itself()
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cache/filebased", cache_in_files)
                .cannot_list()
                .expires_by_itself()
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cache/database/sqlite", cache_in_a_table)
                .cannot_list()
                .expires_by_itself()
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cached_db/sqlite+filebased", cached_db_over_files)
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cached_db/sqlite+database", cached_db_over_a_table)
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cached_db/sqlite+locmem", || cached_db(local_cache()))
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cached_db/sqlite+memory", move || cached_db(memory()))
                .respells_numbers(),
        )
        .engine(&EngineSuite::new("cached_db/no cache", || {
            cached_db(NamedCache::new(Arc::new(DownCache)))
        }))
        .engine(
            &EngineSuite::new("signed_cookies", || async { Ok(signed_cookies(false)) })
                .in_the_cookie(),
        )
        .engine(
            &EngineSuite::new("signed_cookies/encrypted", || async {
                Ok(signed_cookies(true))
            })
            .in_the_cookie(),
        )
        .cache(&CacheSuite::new("locmem", || async {
            Ok(FreshCache::new(Arc::new(LocalCache::new(None))))
        }))
        .cache(&CacheSuite::new("filebased", || async {
            let directory = tempfile::tempdir()?;
            let cache = FileBasedCache::new(directory.path())?.with_timeout(PATIENCE);
            Ok(FreshCache::new(Arc::new(cache)).keeping(directory))
        }))
        .cache(&CacheSuite::new("database/sqlite", || async {
            let directory = tempfile::tempdir()?;
            let (database, _) = database_with_cache(directory.path()).await?;
            let cache = DatabaseCache::new(&database, CACHE_TABLE).await?;
            Ok(FreshCache::new(Arc::new(cache)).keeping(directory))
        }))
        .main()
}

/// A cache that never answers: it may cost speed, and nothing else.
#[derive(Debug)]
struct DownCache;

fn down<T>() -> Result<T, CacheError> {
    Err(CacheError::new("connection refused"))
}

#[async_trait]
impl Cache for DownCache {
    async fn get(&self, _: &str) -> Result<Option<Cached>, CacheError> {
        down()
    }

    async fn set(&self, _: &str, _: Vec<u8>, _: Duration) -> Result<Revision, CacheError> {
        down()
    }

    async fn add(&self, _: &str, _: Vec<u8>, _: Duration) -> Result<Option<Revision>, CacheError> {
        down()
    }

    async fn replace(
        &self,
        _: &str,
        _: &Revision,
        _: Vec<u8>,
        _: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        down()
    }

    async fn touch(&self, _: &str, _: &Revision, _: Duration) -> Result<Swapped, CacheError> {
        down()
    }

    async fn delete(&self, _: &str, _: Option<&Revision>) -> Result<Swapped, CacheError> {
        down()
    }
}

fn settings() -> Settings {
    Settings::new("a secret that is for tests alone")
}

/// A new SQLite file in this directory, with Django's tables.
async fn database(directory: &Path) -> Fallible<(Database, Settings)> {
    let mut settings = settings();
    let file = SqliteLocation::File(directory.join("db.sqlite3"));
    settings.database_url = Some(DatabaseUrl::Sqlite(file));
    let database = Database::create(&settings).await?;
    database.migrate().await?;
    Ok((database, settings))
}

fn local_cache() -> NamedCache {
    NamedCache::new(Arc::new(LocalCache::new(None)))
}

fn fresh(engine: impl SessionEngine, settings: Settings) -> FreshEngine {
    FreshEngine::new(Arc::new(engine)).with_settings(settings)
}

async fn db() -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    let (database, settings) = database(directory.path()).await?;
    let engine = DbEngine::new(&database, &settings).await?;
    Ok(fresh(engine, settings).keeping(directory))
}

/// For as long as the slowest machine may need.
const PATIENCE: Duration = Duration::from_mins(1);

/// What nobody should call a table, so that it is quoted wherever it stands.
const CACHE_TABLE: &str = "my cache-table";

/// The same, with a table for the cache `default`.
async fn database_with_cache(directory: &Path) -> Fallible<(Database, Settings)> {
    let (database, mut settings) = database(directory).await?;
    let cache = CacheSettings::from_url(&format!("database://{CACHE_TABLE}"))?;
    settings.caches.insert("default".into(), cache);
    database.create_cache_tables(&settings).await?;
    Ok((database, settings))
}

fn file_based_cache(directory: &Path) -> Fallible<NamedCache> {
    let cache = FileBasedCache::new(directory.join("cache"))?.with_timeout(PATIENCE);
    Ok(NamedCache::new(Arc::new(cache)))
}

async fn cache_in_files() -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    Ok(cache(file_based_cache(directory.path())?).keeping(directory))
}

async fn cache_in_a_table() -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    let (_, settings) = database_with_cache(directory.path()).await?;
    let cache = NamedCache::connect(&settings, "default").await?;
    Ok(fresh(CacheEngine::new(cache), settings).keeping(directory))
}

async fn cached_db_over_files() -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    let (database, settings) = database(directory.path()).await?;
    let cache = file_based_cache(directory.path())?;
    let engine = CachedDbEngine::new(&database, cache, &settings).await?;
    Ok(fresh(engine, settings).keeping(directory))
}

async fn cached_db_over_a_table() -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    let (database, settings) = database_with_cache(directory.path()).await?;
    let cache = NamedCache::connect_before(&database, &settings, "default").await?;
    let engine = CachedDbEngine::new(&database, cache, &settings).await?;
    Ok(fresh(engine, settings).keeping(directory))
}

async fn cached_db(cache: NamedCache) -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    let (database, settings) = database(directory.path()).await?;
    let engine = CachedDbEngine::new(&database, cache, &settings).await?;
    Ok(fresh(engine, settings).keeping(directory))
}

async fn file() -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    let mut settings = settings();
    settings.session_file_path = Some(directory.path().to_owned());
    let engine = FileEngine::new(&settings)?;
    Ok(fresh(engine, settings).keeping(directory))
}

fn cache(cache: NamedCache) -> FreshEngine {
    fresh(CacheEngine::new(cache), settings())
}

fn signed_cookies(encrypted: bool) -> FreshEngine {
    let mut settings = settings();
    settings.session_cookie_encrypted = encrypted;
    let engine = SignedCookiesEngine::new(&settings);
    fresh(engine, settings)
}
