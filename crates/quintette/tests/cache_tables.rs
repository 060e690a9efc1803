//! The contract, over Django's cache in a table of a PostgreSQL and of a MariaDB.

use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use quintette::cache::{DatabaseCache, NamedCache};
use quintette::db::Database;
use quintette::sessions::engines::CacheEngine;
use quintette::settings::{CacheSettings, Settings};
use quintette_testkit::servers::{MariaDb, Postgres, ServerError};
use quintette_testkit::{CacheSuite, Contracts, EngineSuite, FreshCache, FreshEngine};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().unwrap());
static MARIADB: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start().unwrap());

/// What nobody should call a table, so that it is quoted wherever it stands.
const TABLE: &str = "My cache-table.1";

fn main() -> ExitCode {
    let postgres = || POSTGRES.new_database();
    let mariadb = || MARIADB.new_database();
    Contracts::new()
        .cache(&CacheSuite::new("database/postgres", move || {
            cache(postgres)
        }))
        .cache(&CacheSuite::new("database/mariadb", move || cache(mariadb)))
        .engine(
            &EngineSuite::new("cache/database/postgres", move || engine(postgres))
                .cannot_list()
                .expires_by_itself()
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cache/database/mariadb", move || engine(mariadb))
                .cannot_list()
                .expires_by_itself()
                .respells_numbers(),
        )
        .main()
}

/// A new database with the cache's table in it.
async fn database(url: fn() -> Result<String, ServerError>) -> Fallible<(Database, Settings)> {
    let url = tokio::task::spawn_blocking(url).await??;
    let mut settings = Settings::new("a secret that is for tests alone");
    settings.database_url = Some(url.parse()?);
    let cache = CacheSettings::from_url(&format!("database://{TABLE}"))?;
    settings.caches.insert("default".into(), cache);
    let database = Database::connect(&settings).await?;
    let missing = DatabaseCache::new(&database, TABLE).await.unwrap_err();
    assert!(
        missing.to_string().contains("quintette migrate"),
        "{missing}"
    );
    assert_eq!(database.create_cache_tables(&settings).await?, [TABLE]);
    assert!(database.create_cache_tables(&settings).await?.is_empty());
    Ok((database, settings))
}

async fn cache(url: fn() -> Result<String, ServerError>) -> Fallible<FreshCache> {
    let (database, _) = database(url).await?;
    let cache = DatabaseCache::new(&database, TABLE).await?;
    Ok(FreshCache::new(Arc::new(cache)))
}

async fn engine(url: fn() -> Result<String, ServerError>) -> Fallible<FreshEngine> {
    let (database, settings) = database(url).await?;
    let cache = NamedCache::connect_before(&database, &settings, "default").await?;
    let engine = FreshEngine::new(Arc::new(CacheEngine::new(cache)));
    Ok(engine.with_settings(settings))
}
