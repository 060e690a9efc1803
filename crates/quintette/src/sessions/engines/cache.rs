use async_trait::async_trait;
use quintette_core::session::{
    Cleared, Created, Deleted, Receipt, Record, Replaced, Revision, SessionData, SessionEngine,
    SessionError, SessionKey, Stored,
};
use tracing::warn;

use super::ttl;
use crate::cache::{CacheError, NamedCache, Swapped};

/// Django's `KEY_PREFIX` of this engine (django/contrib/sessions/backends/cache.py).
const KEY_PREFIX: &str = "django.contrib.sessions.cache";

/// Sessions in a cache, and nowhere else. Django's `django.contrib.sessions.backends.cache`.
///
/// A cache may forget, and then the visitor is logged out. The value is a pickled dict, as Django's caches hold it; its
/// bytes are the revision.
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
        let value = self
            .cache
            .cache()
            .get(&self.name(key))
            .await
            .map_err(unavailable)?;
        Ok(value.and_then(|value| Some(Stored::new(decode(&value)?, Revision::from(value)))))
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let value = record.data.to_pickle()?;
        let added = self
            .cache
            .cache()
            .add(&self.name(key), value.clone(), ttl(record))
            .await;
        Ok(if added.map_err(unavailable)? {
            Created::Stored(Receipt::revision(value))
        } else {
            Created::Taken
        })
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        self.swap(key, seen, record.data.to_pickle()?, record).await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        self.swap(key, seen, seen.as_bytes().to_vec(), record).await
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let deleted = self
            .cache
            .cache()
            .delete(&self.name(key), seen.map(Revision::as_bytes))
            .await;
        Ok(match deleted.map_err(unavailable)? {
            Swapped::Done => Deleted::Deleted,
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
    async fn swap(
        &self,
        key: &SessionKey,
        seen: &Revision,
        value: Vec<u8>,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let swapped = self
            .cache
            .cache()
            .replace(&self.name(key), seen.as_bytes(), value.clone(), ttl(record))
            .await;
        Ok(match swapped.map_err(unavailable)? {
            Swapped::Done => Replaced::Stored(Receipt::revision(value)),
            Swapped::Conflict => Replaced::Conflict,
            Swapped::Missing => Replaced::Gone,
        })
    }
}

/// A dict, or `None` with a log line where something else is in the cache, as in Django.
fn decode(value: &[u8]) -> Option<SessionData> {
    SessionData::from_pickle(value).unwrap_or_else(|error| {
        warn!(target: "quintette::session", %error, "a session in the cache cannot be read");
        None
    })
}

fn unavailable(error: CacheError) -> SessionError {
    SessionError::unavailable("the session cache", error)
}
