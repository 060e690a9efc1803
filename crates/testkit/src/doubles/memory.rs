use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::session::{
    Cleared, Created, Deleted, Listed, Receipt, Record, Replaced, Revision, SessionData,
    SessionEngine, SessionError, SessionKey, Stored,
};

/// The plainest engine that keeps the contract: a map in memory. For tests, and to read before writing an engine.
///
/// Its revision is a number that grows with every write.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: BTreeMap<SessionKey, Entry>,
    writes: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    data: SessionData,
    size: usize,
    expires_at: DateTime<Utc>,
    write: u64,
}

impl MemoryEngine {
    /// One that holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Every change of the shelf is complete before anything in it can panic.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn live(&self, key: &SessionKey) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        (entry.expires_at > Utc::now()).then_some(entry)
    }

    fn put(&mut self, key: &SessionKey, mut entry: Entry) -> Receipt {
        self.writes += 1;
        entry.write = self.writes;
        let revision = entry.revision();
        self.entries.insert(key.clone(), entry);
        Receipt::revision(revision)
    }
}

impl Entry {
    fn new(record: &Record<'_>) -> Result<Self, SessionError> {
        Ok(Self {
            data: record.data.clone(),
            // Refuses what JSON cannot carry, as a store would.
            size: record.data.to_json()?.len(),
            expires_at: record.expires_at,
            write: 0,
        })
    }

    fn revision(&self) -> Revision {
        self.write.to_be_bytes().to_vec().into()
    }
}

#[async_trait]
impl SessionEngine for MemoryEngine {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let shelf = self.shelf();
        Ok(shelf
            .live(key)
            .map(|entry| Stored::new(entry.data.clone(), entry.revision())))
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let entry = Entry::new(record)?;
        let mut shelf = self.shelf();
        if shelf.live(key).is_some() {
            return Ok(Created::Taken);
        }
        Ok(Created::Stored(shelf.put(key, entry)))
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let entry = Entry::new(record)?;
        let mut shelf = self.shelf();
        Ok(match shelf.live(key) {
            None => Replaced::Gone,
            Some(there) if there.revision() != *seen => Replaced::Conflict,
            Some(_) => Replaced::Stored(shelf.put(key, entry)),
        })
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let mut shelf = self.shelf();
        Ok(match shelf.live(key).cloned() {
            None => Replaced::Gone,
            Some(there) if there.revision() != *seen => Replaced::Conflict,
            Some(mut entry) => {
                entry.expires_at = record.expires_at;
                Replaced::Stored(shelf.put(key, entry))
            }
        })
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let mut shelf = self.shelf();
        Ok(match shelf.live(key) {
            None => Deleted::Gone,
            Some(there) if seen.is_some_and(|seen| there.revision() != *seen) => Deleted::Conflict,
            Some(_) => {
                shelf.entries.remove(key);
                Deleted::Deleted
            }
        })
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        let now = Utc::now();
        let mut shelf = self.shelf();
        let before = shelf.entries.len();
        shelf.entries.retain(|_, entry| entry.expires_at > now);
        let removed = (before - shelf.entries.len()) as u64;
        let cleared = Cleared {
            removed,
            expired: Some(removed),
        };
        progress(cleared);
        Ok(cleared)
    }

    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        let now = Utc::now();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self
            .shelf()
            .entries
            .range::<SessionKey, _>((from, Bound::Unbounded))
            .filter(|(_, entry)| entry.expires_at > now)
            .take(limit)
            .map(|(key, entry)| Listed {
                key: key.clone(),
                data: entry.data.clone(),
                expires_at: entry.expires_at,
                size: entry.size,
            })
            .collect())
    }
}
