//! Caches, by Django's names: where the `cache` and `cached_db` engines keep sessions.
//!
//! | `BACKEND` in `CACHES` | `CACHE_URL` | here | feature |
//! | --- | --- | --- | --- |
//! | `RedisCache`, django-redis's `RedisCache` | `redis://`, `redis+cluster://`, `redis+sentinel://` | `RedisCache` | `redis` |
//! | `PyMemcacheCache`, `PyLibMCCache` | `memcached://`, `pylibmc://` | `MemcachedCache` | `memcached` |
//! | `DatabaseCache` | `database://table` | `DatabaseCache` | that of the database |
//! | `FileBasedCache` | `file:///path` | [`FileBasedCache`] | |
//! | `LocMemCache`, the default | `locmem://` | [`LocalCache`] | |
//! | `DummyCache` | `dummy://` | [`DummyCache`] | |
//!
//! Any other [`Cache`] does as well, in a [`NamedCache`], which gives it Django's names for what it keeps.

mod culling;
#[cfg(feature = "database")]
mod database;
mod dummy;
mod file_based;
mod local;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "redis")]
mod redis;
mod values;

use std::sync::Arc;

#[cfg(feature = "redis")]
use chrono::TimeDelta;
use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::settings::{CacheBackend, CacheSettings, Settings};
use tracing::warn;

#[cfg(feature = "database")]
use crate::db::Database;

#[cfg(feature = "database")]
pub use database::DatabaseCache;
pub use dummy::DummyCache;
pub use file_based::FileBasedCache;
pub use local::LocalCache;
#[cfg(feature = "memcached")]
pub use memcached::MemcachedCache;
pub use quintette_core::cache::{Cache, CacheError, Cached, Swapped, make_key};
pub use quintette_core::session::Revision;
#[cfg(feature = "redis")]
pub use redis::RedisCache;
pub(crate) use values::Values;

/// A cache of `CACHES`, with the names that Django gives to what it keeps there.
///
/// ```
/// use std::sync::Arc;
///
/// use quintette::cache::{LocalCache, NamedCache};
///
/// let cache = NamedCache::new(Arc::new(LocalCache::new(None)));
/// assert_eq!(cache.name("django.contrib.sessions.cacheabc"), ":1:django.contrib.sessions.cacheabc");
/// ```
#[derive(Clone, Debug)]
pub struct NamedCache {
    cache: Arc<dyn Cache>,
    key_prefix: String,
    version: i64,
    values: Values,
}

impl NamedCache {
    /// This cache, with Django's default names: no `KEY_PREFIX`, `VERSION` 1.
    pub fn new(cache: Arc<dyn Cache>) -> Self {
        Self {
            cache,
            key_prefix: String::new(),
            version: 1,
            values: Values::Pickle,
        }
    }

    /// The cache that `CACHES` has under this alias.
    ///
    /// # Errors
    ///
    /// Where there is no such alias, its settings mean nothing here, or this build lacks its feature. Of a `DatabaseCache`
    /// also where its table is missing. Whether a Redis or a Memcached answers is not asked: that shows with the first
    /// operation.
    ///
    /// # Cancellation
    ///
    /// A caller that vanishes leaves nothing behind.
    #[cfg_attr(
        not(feature = "database"),
        expect(clippy::unused_async, reason = "only a table waits for its database")
    )]
    pub async fn connect(settings: &Settings, alias: &str) -> Result<Self, SessionError> {
        let cache = entry(settings, alias)?;
        #[cfg(feature = "database")]
        if cache.backend == CacheBackend::Database {
            let database = Database::connect(settings).await?;
            return Self::in_table(&database, alias, cache).await;
        }
        Self::open(settings, alias, cache, 1)
    }

    /// The same in front of this database, which a `DatabaseCache` shares. Only a quarter of `SESSION_STORE_TIMEOUT` is
    /// for what waits for the cache: it is asked up to three times in a request, and that it hangs must not cost the
    /// request.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancellation
    ///
    /// As [`connect`](Self::connect).
    #[cfg(feature = "database")]
    pub async fn connect_before(
        database: &Database,
        settings: &Settings,
        alias: &str,
    ) -> Result<Self, SessionError> {
        let cache = entry(settings, alias)?;
        if cache.backend == CacheBackend::Database {
            return Self::in_table(database, alias, cache).await;
        }
        Self::open(settings, alias, cache, 4)
    }

    fn open(
        settings: &Settings,
        alias: &str,
        cache: &CacheSettings,
        nth_of_timeout: u32,
    ) -> Result<Self, SessionError> {
        let timeout = settings.session_store_timeout / nth_of_timeout;
        let backend: Arc<dyn Cache> = match cache.backend {
            CacheBackend::LocMem => Arc::new(LocalCache::new(max_entries(alias, cache)?)),
            CacheBackend::FileBased => {
                let (entries, frequency) = culling(alias, cache)?;
                let files = FileBasedCache::new(location(cache))?
                    .with_culling(entries, frequency)
                    .with_timeout(timeout);
                Arc::new(files)
            }
            CacheBackend::Dummy => {
                warn!(
                    target: "quintette::settings",
                    "CACHES[{alias:?}] is DummyCache: what is stored there is forgotten at once"
                );
                Arc::new(DummyCache)
            }
            #[cfg(feature = "redis")]
            CacheBackend::Redis | CacheBackend::DjangoRedis => {
                let (redis, written) = RedisCache::from_settings(cache, timeout)
                    .map_err(|advice| misconfigured(format!("CACHES[{alias:?}]: {advice}")))?;
                // Only then is it worth the asking.
                let redis = if settings.session_touch_interval > TimeDelta::zero() {
                    redis.with_ttl()
                } else {
                    redis
                };
                return Ok(Self::with_names(Arc::new(redis), cache, written));
            }
            #[cfg(feature = "memcached")]
            CacheBackend::Memcached(_) => {
                let memcached = MemcachedCache::new(cache, timeout)
                    .map_err(|advice| misconfigured(format!("CACHES[{alias:?}]: {advice}")))?;
                Arc::new(memcached)
            }
            other => {
                return Err(misconfigured(format!(
                    "CACHES[{alias:?}] is {other:?}, which this program was built without: enable the feature \
                     \"redis\", \"memcached\", or one of the databases, of quintette"
                )));
            }
        };
        Ok(Self::with_names(backend, cache, Values::Pickle))
    }

    #[cfg(feature = "database")]
    async fn in_table(
        database: &Database,
        alias: &str,
        cache: &CacheSettings,
    ) -> Result<Self, SessionError> {
        let (entries, frequency) = culling(alias, cache)?;
        let table = DatabaseCache::new(database, location(cache)).await?;
        let table = table.with_culling(entries, frequency);
        Ok(Self::with_names(Arc::new(table), cache, Values::Pickle))
    }

    fn with_names(backend: Arc<dyn Cache>, cache: &CacheSettings, values: Values) -> Self {
        Self {
            cache: backend,
            key_prefix: cache.key_prefix.clone(),
            version: cache.version,
            values,
        }
    }

    /// The cache itself.
    pub fn cache(&self) -> &dyn Cache {
        &*self.cache
    }

    /// How it writes what it keeps.
    pub(crate) fn values(&self) -> Values {
        self.values
    }

    /// The name under which it keeps `key`.
    pub fn name(&self, key: &str) -> String {
        make_key(&self.key_prefix, self.version, key)
    }
}

fn misconfigured(message: String) -> SessionError {
    SessionError::new(SessionErrorKind::Misconfigured, message)
}

fn entry<'a>(settings: &'a Settings, alias: &str) -> Result<&'a CacheSettings, SessionError> {
    settings.caches.get(alias).ok_or_else(|| {
        misconfigured(format!(
            "SESSION_CACHE_ALIAS is {alias:?}, but CACHES has no such cache"
        ))
    })
}

/// The directory or table: settings without it are not read.
fn location(cache: &CacheSettings) -> &str {
    cache
        .location
        .first()
        .map_or("", |location| location.reveal())
}

/// `MAX_ENTRIES` and `CULL_FREQUENCY`, by default Django's.
fn culling(alias: &str, cache: &CacheSettings) -> Result<(u64, u64), SessionError> {
    let entries = max_entries(alias, cache)?.unwrap_or(300);
    let frequency = number(alias, cache, "CULL_FREQUENCY", 0)?.unwrap_or(3);
    Ok((entries, frequency))
}

fn max_entries(alias: &str, cache: &CacheSettings) -> Result<Option<u64>, SessionError> {
    number(alias, cache, "MAX_ENTRIES", 1)
}

/// A number among the `OPTIONS`, of which Django takes `int()`.
fn number(
    alias: &str,
    cache: &CacheSettings,
    option: &str,
    least: u64,
) -> Result<Option<u64>, SessionError> {
    let Some(value) = cache.options.get(option) else {
        return Ok(None);
    };
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    match number.filter(|number| *number >= least) {
        Some(number) => Ok(Some(number)),
        None => Err(misconfigured(format!(
            "CACHES[{alias:?}][\"OPTIONS\"][{option:?}] is {value}: write a whole number from {least}"
        ))),
    }
}
