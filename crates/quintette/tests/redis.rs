//! The contract, over Redis: one server, a Cluster, and a master behind Sentinels.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use quintette::cache::{Cache, CacheError, Cached, NamedCache, RedisCache, Revision, Swapped};
use quintette::db::Database;
use quintette::sessions::engines::{CacheEngine, CachedDbEngine};
use quintette::settings::{CacheBackend, CacheSettings, DatabaseUrl, Settings, SqliteLocation};
use quintette_testkit::servers::{Redis, RedisCluster, RedisSentinel};
use quintette_testkit::{CacheSuite, Contracts, EngineSuite, FreshCache, FreshEngine};
use serde_json::{Value, json};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Long enough for a machine that is busy with all these tests.
const WAIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let redis = Redis::start().unwrap();
    let cluster = RedisCluster::start().unwrap();
    let sentinel = RedisSentinel::start().unwrap();
    let cluster_url = cluster.url();
    let sentinel_url = sentinel.url();
    let redis_url = redis.url();

    let mut contracts = Contracts::new();
    for (name, url) in [
        ("redis", &redis_url),
        ("redis cluster", &cluster_url),
        ("redis sentinel", &sentinel_url),
    ] {
        let settings = CacheSettings::from_url(url).unwrap();
        contracts = contracts
            .cache(&CacheSuite::new(name, fresh_cache(url)))
            .engine(&cached(&format!("cache/{name}"), settings).respells_numbers());
    }
    let pickled = layout(&redis_url, json!({ "COMPRESSOR": compressor("zlib.Zlib") }));
    let json = json!({
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        "COMPRESSOR": compressor("gzip.Gzip"),
    });
    let cached_db = CacheSettings::from_url(&redis_url).unwrap();
    contracts
        .engine(&cached("cache/django-redis zlib", pickled).respells_numbers())
        .engine(&cached("cache/django-redis json", layout(&redis_url, json)))
        .engine(
            &EngineSuite::new("cached_db/sqlite+redis", move || {
                in_cached_db(cached_db.clone())
            })
            .respells_numbers(),
        )
        .main()
}

fn compressor(name: &str) -> String {
    format!("django_redis.compressors.{name}Compressor")
}

/// A cache of django-redis with these `OPTIONS`.
fn layout(url: &str, options: Value) -> CacheSettings {
    let mut settings = CacheSettings::from_url(url).unwrap();
    settings.backend = CacheBackend::DjangoRedis;
    settings.options = serde_json::from_value(options).unwrap();
    settings
}

/// Different for each test, since they share the servers.
fn prefix() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn settings(mut cache: CacheSettings) -> Settings {
    let mut settings = Settings::new("a secret that is for tests alone");
    cache.key_prefix = prefix();
    settings.caches.insert("default".to_owned(), cache);
    settings.session_store_timeout = WAIT;
    settings
}

fn cached(name: &str, cache: CacheSettings) -> EngineSuite {
    let engine = move || {
        let settings = settings(cache.clone());
        async move {
            let cache = NamedCache::connect(&settings, "default").await?;
            let engine = Arc::new(CacheEngine::new(cache));
            Ok(FreshEngine::new(engine).with_settings(settings))
        }
    };
    EngineSuite::new(name, engine)
        .cannot_list()
        .expires_by_itself()
}

async fn in_cached_db(cache: CacheSettings) -> Fallible<FreshEngine> {
    let directory = tempfile::tempdir()?;
    let mut settings = settings(cache);
    let file = SqliteLocation::File(directory.path().join("db.sqlite3"));
    settings.database_url = Some(DatabaseUrl::Sqlite(file));
    let database = Database::create(&settings).await?;
    database.migrate().await?;
    let cache = NamedCache::connect(&settings, "default").await?;
    let engine = CachedDbEngine::new(&database, cache, &settings).await?;
    let fresh = FreshEngine::new(Arc::new(engine));
    Ok(fresh.with_settings(settings).keeping(directory))
}

fn fresh_cache(
    url: &str,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Fallible<FreshCache>> + Send>>
+ Send
+ Sync
+ 'static {
    let url = url.to_owned();
    move || {
        let url = url.clone();
        Box::pin(async move {
            let cache = RedisCache::connect(&url, WAIT)?;
            Ok(FreshCache::new(Arc::new(Prefixed {
                cache,
                prefix: prefix(),
            })))
        })
    }
}

/// A part of a server that is one test's own.
#[derive(Debug)]
struct Prefixed {
    cache: RedisCache,
    prefix: String,
}

impl Prefixed {
    fn name(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }
}

#[async_trait]
impl Cache for Prefixed {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        self.cache.get(&self.name(name)).await
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        self.cache.set(&self.name(name), value, ttl).await
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        self.cache.add(&self.name(name), value, ttl).await
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        self.cache.replace(&self.name(name), seen, value, ttl).await
    }

    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        self.cache.touch(&self.name(name), seen, ttl).await
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        self.cache.delete(&self.name(name), seen).await
    }
}
