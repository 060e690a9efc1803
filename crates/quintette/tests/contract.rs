//! The contract, over every engine and every cache on its real store.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quintette::cache::{Cache, CacheError, Cached, LocalCache, NamedCache, Revision, Swapped};
use quintette::db::Database;
use quintette::sessions::SessionEngine;
use quintette::sessions::engines::{
    CacheEngine, CachedDbEngine, DbEngine, FileEngine, SignedCookiesEngine,
};
use quintette::settings::{DatabaseUrl, Settings, SqliteLocation};
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
