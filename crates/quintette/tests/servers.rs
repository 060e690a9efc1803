//! The contract, over the engines whose rows a server keeps.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use quintette::cache::NamedCache;
use quintette::db::Database;
use quintette::sessions::engines::{CachedDbEngine, DbEngine};
use quintette::settings::{CacheSettings, DatabaseUrl, Settings};
use quintette_testkit::servers::{MariaDb, Memcached, Postgres, Redis};
use quintette_testkit::{Contracts, EngineSuite, FreshEngine};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Long enough for a machine that is busy with all these tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Stopped when the last test has ended.
struct Servers {
    postgres: Postgres,
    mariadb: MariaDb,
    redis: Redis,
    memcached: Memcached,
}

fn main() -> ExitCode {
    let servers = Arc::new(thread::scope(|scope| {
        let postgres = scope.spawn(|| Postgres::start().unwrap());
        let mariadb = scope.spawn(|| MariaDb::start().unwrap());
        Servers {
            redis: Redis::start().unwrap(),
            memcached: Memcached::start().unwrap(),
            postgres: postgres.join().unwrap(),
            mariadb: mariadb.join().unwrap(),
        }
    }));
    let of = |make: fn(&Servers) -> Fallible<Settings>| {
        let servers = servers.clone();
        move || make(&servers)
    };
    let postgres = of(|servers| in_database(&servers.postgres.new_database()?));
    let mariadb = of(|servers| in_database(&servers.mariadb.new_database()?));
    let with_redis = of(|servers| {
        let settings = in_database(&servers.postgres.new_database()?)?;
        behind(settings, &servers.redis.url())
    });
    let with_memcached = of(|servers| {
        let settings = in_database(&servers.mariadb.new_database()?)?;
        behind(settings, &servers.memcached.url())
    });
    Contracts::new()
        .engine(&EngineSuite::new("db/postgres", move || db(postgres())))
        .engine(&EngineSuite::new("db/mariadb", move || db(mariadb())))
        .engine(
            &EngineSuite::new("cached_db/postgres+redis", move || cached_db(with_redis()))
                .respells_numbers(),
        )
        .engine(
            &EngineSuite::new("cached_db/mariadb+memcached", move || {
                cached_db(with_memcached())
            })
            .respells_numbers(),
        )
        .main()
}

fn in_database(url: &str) -> Fallible<Settings> {
    let mut settings = Settings::new("a secret that is for tests alone");
    settings.session_store_timeout = PATIENCE;
    settings.database_url = Some(url.parse::<DatabaseUrl>()?);
    Ok(settings)
}

/// With a part of this cache that no other test uses.
fn behind(mut settings: Settings, url: &str) -> Fallible<Settings> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut cache = CacheSettings::from_url(url)?;
    cache.key_prefix = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
    settings.caches.insert("default".to_owned(), cache);
    Ok(settings)
}

async fn migrated(settings: &Settings) -> Fallible<Database> {
    let database = Database::connect(settings).await?;
    database.migrate().await?;
    Ok(database)
}

async fn db(settings: Fallible<Settings>) -> Fallible<FreshEngine> {
    let settings = settings?;
    let engine = DbEngine::new(&migrated(&settings).await?, &settings).await?;
    Ok(FreshEngine::new(Arc::new(engine)).with_settings(settings))
}

async fn cached_db(settings: Fallible<Settings>) -> Fallible<FreshEngine> {
    let settings = settings?;
    let database = migrated(&settings).await?;
    let cache = NamedCache::connect_before(&database, &settings, "default").await?;
    let engine = CachedDbEngine::new(&database, cache, &settings).await?;
    Ok(FreshEngine::new(Arc::new(engine)).with_settings(settings))
}
