use async_trait::async_trait;
use quintette_core::session::{
    Cleared, Created, Deleted, Receipt, Record, Replaced, Revision, SessionEngine, SessionError,
    SessionKey, Stored,
};
use tracing::warn;

use super::{expires_at, ttl};
use crate::cache::{CacheError, Cached, NamedCache, Swapped};

/// Django's `KEY_PREFIX` of this engine (django/contrib/sessions/backends/cache.py).
const KEY_PREFIX: &str = "django.contrib.sessions.cache";

/// Sessions in a cache, and nowhere else. Django's `django.contrib.sessions.backends.cache`.
///
/// A cache may forget, and then the visitor is logged out. The value is a dict as Django's backend for this cache writes
/// it; what a write compares is the cache's own revision.
#[derive(Clone, Debug)]
pub struct CacheEngine {
    cache: NamedCache,
}

impl CacheEngine {
    /// In this cache.
    pub fn new(cache: NamedCache) -> Self {
        Self { cache }
    }

    fn name(&self, key: &SessionKey) -> String {
        self.cache.name(&format!("{KEY_PREFIX}{}", key.as_str()))
    }
}

#[async_trait]
impl SessionEngine for CacheEngine {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let cached = self.cache.cache().get(&self.name(key)).await;
        Ok(cached
            .map_err(failed)?
            .and_then(|cached| self.stored(cached)))
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let value = self.cache.values().encode(record.data)?;
        let added = self
            .cache
            .cache()
            .add(&self.name(key), value, ttl(record))
            .await;
        Ok(match added.map_err(failed)? {
            Some(revision) => Created::Stored(Receipt::revision(revision)),
            None => Created::Taken,
        })
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let value = self.cache.values().encode(record.data)?;
        let replaced = self
            .cache
            .cache()
            .replace(&self.name(key), seen, value, ttl(record))
            .await;
        Ok(match replaced.map_err(failed)? {
            Swapped::Done(revision) => Replaced::Stored(Receipt::revision(revision)),
            Swapped::Conflict => Replaced::Conflict,
            Swapped::Missing => Replaced::Gone,
        })
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let touched = self
            .cache
            .cache()
            .touch(&self.name(key), seen, ttl(record))
            .await;
        Ok(match touched.map_err(failed)? {
            Swapped::Done(()) => Replaced::Stored(Receipt::revision(seen.clone())),
            Swapped::Conflict => Replaced::Conflict,
            Swapped::Missing => Replaced::Gone,
        })
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let deleted = self.cache.cache().delete(&self.name(key), seen).await;
        Ok(match deleted.map_err(failed)? {
            Swapped::Done(()) => Deleted::Deleted,
            Swapped::Conflict => Deleted::Conflict,
            Swapped::Missing => Deleted::Gone,
        })
    }

    /// A cache expires its entries by itself.
    async fn clear_expired(
        &self,
        _progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        Ok(Cleared::default())
    }
}

impl CacheEngine {
    /// A dict, or `None` with a log line where something else is in the cache, as in Django.
    fn stored(&self, cached: Cached) -> Option<Stored> {
        let data = self.cache.values().decode(&cached.value).unwrap_or_else(|error| {
            warn!(target: "quintette::session", %error, "a session in the cache cannot be read");
            None
        })?;
        let expires_at = cached.ttl.and_then(expires_at);
        let stored = Stored::new(data, cached.into_revision());
        Some(Stored {
            expires_at,
            ..stored
        })
    }
}

fn failed(error: CacheError) -> SessionError {
    if error.is_unknown() {
        SessionError::unknown("the session cache", error)
    } else {
        SessionError::unavailable("the session cache", error)
    }
}
