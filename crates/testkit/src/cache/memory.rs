use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use quintette_core::cache::{Cache, CacheError, Cached, Swapped};
use quintette_core::session::Revision;

/// The plainest cache that keeps the contract: a map in memory, which forgets nothing before its time. For tests.
#[derive(Debug, Default)]
pub struct MemoryCache {
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    value: Vec<u8>,
    /// `None` is later than any clock.
    expires_at: Option<Instant>,
}

/// The bytes are a visitor's: `Debug` prints their number alone.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} bytes)", self.value.len())
    }
}

impl MemoryCache {
    /// One that holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entries that have not expired.
    fn live(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Every change of the map is complete before anything in it can panic.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        entries.retain(|_, entry| entry.expires_at.is_none_or(|at| at > now));
        entries
    }
}

impl Entry {
    fn new(value: Vec<u8>, ttl: Duration) -> Self {
        Self {
            value,
            expires_at: Instant::now().checked_add(ttl),
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        let entries = self.live();
        Ok(entries
            .get(name)
            .map(|entry| Cached::new(entry.value.clone())))
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        let entry = Entry::new(value.clone(), ttl);
        self.live().insert(name.to_owned(), entry);
        Ok(value.into())
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        let mut entries = self.live();
        if entries.contains_key(name) {
            return Ok(None);
        }
        entries.insert(name.to_owned(), Entry::new(value.clone(), ttl));
        Ok(Some(value.into()))
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        Ok(match self.live().get_mut(name) {
            None => Swapped::Missing,
            Some(entry) if entry.value != seen.as_bytes() => Swapped::Conflict,
            Some(entry) => {
                *entry = Entry::new(value.clone(), ttl);
                Swapped::Done(value.into())
            }
        })
    }

    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        Ok(match self.live().get_mut(name) {
            None => Swapped::Missing,
            Some(entry) if entry.value != seen.as_bytes() => Swapped::Conflict,
            Some(entry) => {
                entry.expires_at = Instant::now().checked_add(ttl);
                Swapped::Done(())
            }
        })
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        let mut entries = self.live();
        Ok(match entries.get(name) {
            None => Swapped::Missing,
            Some(entry) if seen.is_some_and(|seen| entry.value != seen.as_bytes()) => {
                Swapped::Conflict
            }
            Some(_) => {
                entries.remove(name);
                Swapped::Done(())
            }
        })
    }
}
