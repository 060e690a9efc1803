//! Caches, by Django's names: where the `cache` and `cached_db` engines keep sessions.

mod local;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "memcached")]
mod memcached;
mod values;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "redis")]
use chrono::TimeDelta;
use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::settings::{CacheBackend, CacheSettings, Settings};

pub use local::LocalCache;
#[cfg(feature = "memcached")]
pub use memcached::MemcachedCache;
pub use quintette_core::cache::{Cache, CacheError, Cached, Swapped, make_key};
pub use quintette_core::session::Revision;
#[cfg(feature = "redis")]
pub use redis::RedisCache;
pub(crate) use values::Values;

/// A cache of `CACHES`, with the names that Django gives to what it keeps there.
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
    /// Where there is no such alias, or its backend is not to be had.
    pub async fn connect(settings: &Settings, alias: &str) -> Result<Self, SessionError> {
        Self::connect_within(settings, alias, settings.session_store_timeout).await
    }

    /// The same, with a bound of its own on what waits for the cache.
    pub(crate) async fn connect_within(
        settings: &Settings,
        alias: &str,
        timeout: Duration,
    ) -> Result<Self, SessionError> {
        let misconfigured =
            |message: String| SessionError::new(SessionErrorKind::Misconfigured, message);
        let cache = settings.caches.get(alias).ok_or_else(|| {
            misconfigured(format!(
                "SESSION_CACHE_ALIAS is {alias:?}, but CACHES has no such cache"
            ))
        })?;
        let mut values = Values::Pickle;
        let backend: Arc<dyn Cache> = match cache.backend {
            CacheBackend::LocMem => Arc::new(LocalCache::new(max_entries(alias, cache)?)),
            #[cfg(feature = "redis")]
            CacheBackend::Redis | CacheBackend::DjangoRedis => {
                let redis = RedisCache::from_settings(cache, timeout);
                let (redis, written) = redis
                    .map_err(|advice| misconfigured(format!("CACHES[{alias:?}]: {advice}")))?;
                values = written;
                if settings.session_touch_interval > TimeDelta::zero() {
                    Arc::new(redis.with_ttl())
                } else {
                    Arc::new(redis)
                }
            }
            #[cfg(not(feature = "redis"))]
            CacheBackend::Redis | CacheBackend::DjangoRedis => {
                return Err(misconfigured(format!(
                    "CACHES[{alias:?}] is {:?}, but this program was built without Redis: enable the feature \
                     \"redis\" of quintette",
                    cache.backend
                )));
            #[cfg(feature = "memcached")]
            CacheBackend::Memcached(_) => {
                let timeout = settings.session_store_timeout;
                let connected = MemcachedCache::new(cache, timeout);
                Arc::new(
                    connected
                        .map_err(|error| misconfigured(format!("CACHES[{alias:?}]: {error}")))?,
                )
            }
            other => {
                return Err(misconfigured(format!(
                    "CACHES[{alias:?}] is {other:?}, which this version does not speak yet: use \
                     \"django.core.cache.backends.locmem.LocMemCache\""
                )));
            }
        };
        Ok(Self {
            cache: backend,
            key_prefix: cache.key_prefix.clone(),
            version: cache.version,
            values,
        })
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

/// `OPTIONS["MAX_ENTRIES"]`, of which Django takes `int()`.
fn max_entries(alias: &str, cache: &CacheSettings) -> Result<Option<u64>, SessionError> {
    let Some(entries) = cache.options.get("MAX_ENTRIES") else {
        return Ok(None);
    };
    let number = entries.as_u64().or_else(|| entries.as_str()?.parse().ok());
    match number.filter(|number| *number > 0) {
        Some(number) => Ok(Some(number)),
        None => Err(SessionError::new(
            SessionErrorKind::Misconfigured,
            format!(
                "CACHES[{alias:?}][\"OPTIONS\"][\"MAX_ENTRIES\"] is {entries}: write a whole number above 0"
            ),
        )),
    }
}
