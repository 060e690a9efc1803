use std::time::Duration;

use async_trait::async_trait;

use quintette_core::pickle;
use quintette_core::session::{
    Cleared, Codec, Created, Deleted, Listed, Record, Replaced, Revision, SessionData,
    SessionEngine, SessionError, SessionKey, Stored,
};
use quintette_core::settings::Settings;
use tracing::warn;

use super::{DbEngine, ttl};
use crate::cache::{CacheError, NamedCache, Swapped};
use crate::db::Database;

/// Django's `KEY_PREFIX` of this engine (`django/contrib/sessions/backends/cached_db.py`).
const KEY_PREFIX: &str = "django.contrib.sessions.cached_db";

/// How long a marker stands in for a value whose writer never came back.
const MARKER_TTL: Duration = Duration::from_mins(1);

/// Sessions in the table `django_session`, read through a cache. Django's `django.contrib.sessions.backends.cached_db`.
///
/// # Never older than the row
///
/// The row decides; the cache follows it. Whoever is about to put a value into the cache first puts a *marker* there,
/// a value nobody else has, and only then reads or writes the row. There are two rules:
///
/// 1. A value gets into the cache only in place of exactly its owner's marker, by compare-and-swap.
/// 2. Whoever has changed the row touches the cache before it says so: its value takes the place of its marker, or,
///    where the marker is no longer there, whatever is there is deleted.
///
/// So once a save or a logout is acknowledged, nothing older is in the cache, nor gets there: what was there before is
/// overwritten or deleted by rule 2, and with it the marker of everyone who read the row before it changed, so that by
/// rule 1 they fill nothing.
///
/// To Django a marker is a pickled `None`, which it takes for an empty place: it reads the row. A marker expires after a
/// minute, should its owner vanish; the rules do not depend on that time.
///
/// A cache that fails costs speed, never the request. These windows remain:
///
/// - A Django process fills and writes the cache without comparing. A Django reader that is slow between its row and
///   its fill can leave an older value there, as it can among Django processes, until the next write or expiry.
/// - While this process cannot reach the cache but others can, or where it is killed between the row and the cache, what
///   others put there stays until it expires.
/// - `LocMemCache` is one process's own. Another process that serves the same sessions has another one, which does not
///   follow: with several processes, take a cache that they share.
#[derive(Clone, Debug)]
pub struct CachedDbEngine {
    db: DbEngine,
    cache: NamedCache,
}

impl CachedDbEngine {
    /// In this database, with this cache in front.
    ///
    /// # Errors
    ///
    /// Where the database has no table `django_session`, or cannot answer.
    pub async fn new(
        database: &Database,
        cache: NamedCache,
        settings: &Settings,
    ) -> Result<Self, SessionError> {
        Ok(Self {
            db: DbEngine::new(database, settings).await?,
            cache,
        })
    }

    /// The same with the application's own [`Serializer`](super::super::Serializer) in the codec of the database.
    #[must_use]
    pub fn with_codec(mut self, codec: Codec) -> Self {
        self.db = self.db.with_codec(codec);
        self
    }

    fn name(&self, key: &SessionKey) -> String {
        self.cache.name(&format!("{KEY_PREFIX}{}", key.as_str()))
    }
}

#[async_trait]
impl SessionEngine for CachedDbEngine {
    /// From the cache, without a revision; else from the row, which then fills the cache.
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let name = self.name(key);
        let marker = match self.cache.cache().get(&name).await {
            Ok(Some(value)) => match SessionData::from_pickle(&value) {
                Ok(Some(data)) => return Ok(Some(Stored::new(data, None))),
                // Somebody's marker: a writer, a logout or a reader is at work, and sees to the cache.
                Ok(None) => None,
                Err(error) => {
                    warn!(target: "quintette::session", %error, "a session in the cache cannot be read; its row is");
                    self.swap_for_marker(&name, &value).await
                }
            },
            Ok(None) => self.add_marker(&name).await,
            Err(error) => {
                report(&error);
                None
            }
        };
        let stored = self.db.load(key).await?;
        match (&stored, &marker) {
            (Some(stored), Some(marker)) => {
                let expires_at = stored.expires_at.unwrap_or_default();
                let record = Record {
                    data: &stored.data,
                    expires_at,
                };
                self.fill(&name, marker, &record).await;
            }
            (None, marker) => self.remove_marker(&name, marker.as_deref()).await,
            (Some(_), None) => {}
        }
        Ok(stored)
    }

    async fn load_for_update(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        self.db.load(key).await
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let name = self.name(key);
        let marker = self.add_marker(&name).await;
        let created = self.db.create(key, record).await?;
        if let Created::Stored(_) = created {
            self.follow(&name, marker.as_deref(), record).await;
        }
        Ok(created)
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let name = self.name(key);
        let marker = self.set_marker(&name).await;
        let replaced = self.db.replace(key, seen, record).await?;
        self.settle(&name, marker.as_deref(), &replaced, record)
            .await;
        Ok(replaced)
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let name = self.name(key);
        let marker = self.set_marker(&name).await;
        let touched = self.db.touch(key, seen, record).await?;
        self.settle(&name, marker.as_deref(), &touched, record)
            .await;
        Ok(touched)
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let name = self.name(key);
        let marker = self.set_marker(&name).await;
        let deleted = self.db.delete(key, seen).await?;
        match deleted {
            Deleted::Deleted | Deleted::Gone => self.remove(&name).await,
            Deleted::Conflict => self.remove_marker(&name, marker.as_deref()).await,
        }
        Ok(deleted)
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        self.db.clear_expired(progress).await
    }

    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        self.db.list(after, limit).await
    }
}

impl CachedDbEngine {
    /// After a write: the cache follows where the row has changed; else it is left to whoever changes it.
    async fn settle(
        &self,
        name: &str,
        marker: Option<&[u8]>,
        replaced: &Replaced,
        record: &Record<'_>,
    ) {
        match replaced {
            Replaced::Stored(_) => self.follow(name, marker, record).await,
            Replaced::Conflict | Replaced::Gone => self.remove_marker(name, marker).await,
        }
    }

    /// After the row has changed: its value in the marker's place, or nothing (rule 2).
    async fn follow(&self, name: &str, marker: Option<&[u8]>, record: &Record<'_>) {
        let filled = match marker {
            Some(marker) => self.fill(name, marker, record).await,
            None => Swapped::Missing,
        };
        if filled != Swapped::Done {
            self.remove(name).await;
        }
    }

    /// A reader's marker: only where nothing is. `None` where something is, or the cache fails.
    async fn add_marker(&self, name: &str) -> Option<Vec<u8>> {
        let marker = new_marker()?;
        let added = self
            .cache
            .cache()
            .add(name, marker.clone(), MARKER_TTL)
            .await;
        added.inspect_err(report).unwrap_or(false).then_some(marker)
    }

    /// A reader's marker in place of exactly this value.
    async fn swap_for_marker(&self, name: &str, seen: &[u8]) -> Option<Vec<u8>> {
        let marker = new_marker()?;
        let swapped = self
            .cache
            .cache()
            .replace(name, seen, marker.clone(), MARKER_TTL)
            .await;
        (swapped.inspect_err(report).ok()? == Swapped::Done).then_some(marker)
    }

    /// A writer's marker: in place of whatever is there, which from here on nobody reads.
    async fn set_marker(&self, name: &str) -> Option<Vec<u8>> {
        let marker = new_marker()?;
        self.cache
            .cache()
            .set(name, marker.clone(), MARKER_TTL)
            .await
            .inspect_err(report)
            .ok()?;
        Some(marker)
    }

    /// Puts a value in the place of exactly this marker (rule 1).
    async fn fill(&self, name: &str, marker: &[u8], record: &Record<'_>) -> Swapped {
        let ttl = ttl(record);
        let filled = match record.data.to_pickle() {
            Ok(value) if !ttl.is_zero() => {
                self.cache.cache().replace(name, marker, value, ttl).await
            }
            _ => self.cache.cache().delete(name, Some(marker)).await,
        };
        filled.inspect_err(report).unwrap_or(Swapped::Conflict)
    }

    async fn remove_marker(&self, name: &str, marker: Option<&[u8]>) {
        if let Some(marker) = marker {
            let removed = self.cache.cache().delete(name, Some(marker)).await;
            // Whoever overwrote the marker sees to the cache.
            let _ = removed.inspect_err(report);
        }
    }

    /// Deletes whatever is there.
    async fn remove(&self, name: &str) {
        let _ = self
            .cache
            .cache()
            .delete(name, None)
            .await
            .inspect_err(report);
    }
}

/// A value that nobody else has. Without randomness there is none, and the cache is left alone.
fn new_marker() -> Option<Vec<u8>> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).ok()?;
    Some(pickle::encode_none(&nonce))
}

fn report(error: &CacheError) {
    warn!(target: "quintette::session", %error, "sessions go to the database alone");
}
