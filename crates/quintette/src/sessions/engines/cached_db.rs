mod owed;

use std::time::Duration;

use async_trait::async_trait;
use quintette_core::session::{
    Cleared, Codec, Created, Deleted, Listed, Record, Replaced, Revision, SessionEngine,
    SessionError, SessionErrorKind, SessionKey, Stored,
};
use quintette_core::settings::Settings;
use tracing::warn;

use super::{DbEngine, expires_at, ttl};
use crate::cache::{CacheError, NamedCache, Swapped};
use crate::db::Database;
use owed::{Debt, Owed};

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
/// A cache that fails costs speed, never the request: what it could not be told, this process owes it, and does not read
/// there until it has been told. These windows remain:
///
/// - A Django process fills and writes the cache without comparing. A Django reader that is slow between its row and
///   its fill can leave an older value there, as it can among Django processes, until the next write or expiry.
/// - While this process cannot reach the cache but others can, they may read what is older there than the row. This
///   process itself reads the row, and deletes the entry as soon as it reaches the cache again. Where it is killed before
///   that, or between the row and the cache, the entry stays until it expires.
/// - A write whose answer was lost keeps the cache empty for a minute. Should the database do it later than that, the
///   entry may be older than the row until the next write or expiry.
/// - A cache that forgets what it has acknowledged may remember what was there before: Redis that starts from a snapshot,
///   or whose replica takes over before it has heard of the last writes. Where the cache keeps nothing on disk
///   (`save ""`, `appendonly no`), a restart leaves nothing old there.
/// - `LocMemCache` is one process's own. Another process that serves the same sessions has another one, which does not
///   follow: with several processes, take a cache that they share.
#[derive(Clone, Debug)]
pub struct CachedDbEngine {
    db: DbEngine,
    cache: NamedCache,
    owed: Owed,
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
            owed: Owed::new(cache.clone()),
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
        if self.owed.contains(&name) {
            return self.db.load(key).await;
        }
        let marker = match self.cache.cache().get(&name).await {
            Ok(Some(cached)) => match self.cache.values().decode(&cached.value) {
                Ok(Some(data)) => {
                    let expires_at = cached.ttl.and_then(expires_at);
                    return Ok(Some(Stored {
                        expires_at,
                        ..Stored::new(data, None)
                    }));
                }
                // Somebody's marker: a writer, a logout or a reader is at work, and sees to the cache.
                Ok(None) => None,
                Err(error) => {
                    warn!(target: "quintette::session", %error, "a session in the cache cannot be read; its row is");
                    self.swap_for_marker(&name, &cached.into_revision()).await
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
            (None, marker) => self.remove_marker(&name, marker.as_ref()).await,
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
            // Nothing is owed where it does not follow: of a new key the cache holds nothing older.
            self.follow(&name, marker.as_ref(), record).await;
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
        let debt = self.owed.debt(&name);
        let marker = self.set_marker(&name).await;
        let replaced = match self.db.replace(key, seen, record).await {
            Ok(replaced) => replaced,
            Err(error) => return Err(may_be_done_yet(error, marker.as_ref(), debt)),
        };
        if self.settle(&name, marker.as_ref(), &replaced, record).await {
            debt.settle();
        }
        Ok(replaced)
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let name = self.name(key);
        let debt = self.owed.debt(&name);
        let marker = self.set_marker(&name).await;
        let touched = match self.db.touch(key, seen, record).await {
            Ok(touched) => touched,
            Err(error) => return Err(may_be_done_yet(error, marker.as_ref(), debt)),
        };
        if self.settle(&name, marker.as_ref(), &touched, record).await {
            debt.settle();
        }
        Ok(touched)
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let name = self.name(key);
        let debt = self.owed.debt(&name);
        let marker = self.set_marker(&name).await;
        let deleted = match self.db.delete(key, seen).await {
            Ok(deleted) => deleted,
            Err(error) => return Err(may_be_done_yet(error, marker.as_ref(), debt)),
        };
        let settled = match deleted {
            Deleted::Deleted | Deleted::Gone => self.remove(&name).await,
            Deleted::Conflict => {
                self.remove_marker(&name, marker.as_ref()).await;
                true
            }
        };
        if settled {
            debt.settle();
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
    /// After a write: the cache follows where the row has changed; else it is left to whoever changes it. Says whether
    /// that is done.
    async fn settle(
        &self,
        name: &str,
        marker: Option<&Marker>,
        replaced: &Replaced,
        record: &Record<'_>,
    ) -> bool {
        match replaced {
            Replaced::Stored(_) => self.follow(name, marker, record).await,
            Replaced::Conflict | Replaced::Gone => {
                self.remove_marker(name, marker).await;
                true
            }
        }
    }

    /// After the row has changed: its value in the marker's place, or nothing (rule 2).
    async fn follow(&self, name: &str, marker: Option<&Marker>, record: &Record<'_>) -> bool {
        let filled = match marker {
            Some(marker) => self.fill(name, marker, record).await,
            None => false,
        };
        filled || self.remove(name).await
    }

    /// A reader's marker: only where nothing is. `None` where something is, or the cache fails.
    async fn add_marker(&self, name: &str) -> Option<Marker> {
        let value = self.new_marker()?;
        let added = self.cache.cache().add(name, value, MARKER_TTL).await;
        added.inspect_err(report).ok()?.map(Marker)
    }

    /// A reader's marker in place of exactly what it saw.
    async fn swap_for_marker(&self, name: &str, seen: &Revision) -> Option<Marker> {
        let value = self.new_marker()?;
        let swapped = self
            .cache
            .cache()
            .replace(name, seen, value, MARKER_TTL)
            .await;
        match swapped.inspect_err(report).ok()? {
            Swapped::Done(revision) => Some(Marker(revision)),
            Swapped::Conflict | Swapped::Missing => None,
        }
    }

    /// A writer's marker: in place of whatever is there, which from here on nobody reads.
    async fn set_marker(&self, name: &str) -> Option<Marker> {
        let value = self.new_marker()?;
        let set = self.cache.cache().set(name, value, MARKER_TTL).await;
        set.inspect_err(report).ok().map(Marker)
    }

    /// Puts a value in the place of exactly this marker (rule 1); says whether the marker's place is settled.
    async fn fill(&self, name: &str, marker: &Marker, record: &Record<'_>) -> bool {
        // Caches count in whole seconds and round up: in the cache it expires first, or with the row.
        let ttl = Duration::from_secs(ttl(record).as_secs());
        let filled = match self.cache.values().encode(record.data) {
            Ok(value) if !ttl.is_zero() => {
                let replaced = self
                    .cache
                    .cache()
                    .replace(name, &marker.0, value, ttl)
                    .await;
                replaced.map(|replaced| matches!(replaced, Swapped::Done(_)))
            }
            _ => {
                let deleted = self.cache.cache().delete(name, Some(&marker.0)).await;
                deleted.map(|deleted| deleted == Swapped::Done(()))
            }
        };
        filled.inspect_err(report).unwrap_or(false)
    }

    async fn remove_marker(&self, name: &str, marker: Option<&Marker>) {
        if let Some(marker) = marker {
            let removed = self.cache.cache().delete(name, Some(&marker.0)).await;
            // Whoever overwrote the marker sees to the cache.
            let _ = removed.inspect_err(report);
        }
    }

    /// Deletes whatever is there.
    async fn remove(&self, name: &str) -> bool {
        let removed = self.cache.cache().delete(name, None).await;
        removed.inspect_err(report).is_ok()
    }

    /// A value that nobody else has. Without randomness there is none, and the cache is left alone.
    fn new_marker(&self) -> Option<Vec<u8>> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).ok()?;
        Some(self.cache.values().marker(&nonce))
    }
}

/// A marker that its owner has put into the cache, as the cache compares it.
struct Marker(Revision);

/// A write that nobody knows to be done may be done yet, when whoever asks finds the row as it was: it may wait for a lock,
/// or in a connection that hangs. Its marker, where it has one, stays until it expires: until then nobody fills.
fn may_be_done_yet(error: SessionError, marker: Option<&Marker>, debt: Debt<'_>) -> SessionError {
    if error.kind() == SessionErrorKind::Unknown && marker.is_some() {
        debt.settle();
    }
    error
}

fn report(error: &CacheError) {
    warn!(target: "quintette::session", %error, "sessions go to the database alone");
}
