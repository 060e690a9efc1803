use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache as Moka;

use super::{Cache, CacheError, Cached, Revision, Swapped};

/// Without `MAX_ENTRIES` the cache is bounded by this many bytes.
const DEFAULT_CAPACITY: u64 = 64 * 1024 * 1024;

/// A cache in this process's memory. Django's `LocMemCache`.
///
/// It forgets everything when the process ends, and no other process sees it. When it is full, what was not used for
/// the longest time goes first: a session that is dropped so is a visitor logged out, so give it room.
#[derive(Debug)]
pub struct LocalCache {
    entries: Moka<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Arc<[u8]>,
    ttl: Duration,
    /// `None` is later than any clock.
    expires_at: Option<Instant>,
}

impl Entry {
    fn new(value: &[u8], ttl: Duration) -> Self {
        Self {
            value: value.into(),
            ttl,
            expires_at: Instant::now().checked_add(ttl),
        }
    }

    fn living(self, ttl: Duration) -> Self {
        Self {
            ttl,
            expires_at: Instant::now().checked_add(ttl),
            ..self
        }
    }
}

impl LocalCache {
    /// With room for this many entries (`OPTIONS["MAX_ENTRIES"]`), or for 64 MiB.
    pub fn new(max_entries: Option<u64>) -> Self {
        let builder = Moka::builder()
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(EntryTtl);
        let builder =
            match max_entries {
                Some(entries) => builder.max_capacity(entries),
                None => builder.max_capacity(DEFAULT_CAPACITY).weigher(
                    |name: &String, entry: &Entry| {
                        // An entry's own bookkeeping takes about 200 bytes.
                        u32::try_from(name.len() + entry.value.len() + 200).unwrap_or(u32::MAX)
                    },
                ),
            };
        Self {
            entries: builder.build(),
        }
    }

    /// What becomes of exactly what was seen, or of whatever is there, in one step; `None` removes it.
    fn swap(
        &self,
        name: &str,
        seen: Option<&Revision>,
        to: impl FnOnce(Entry) -> Option<Entry>,
    ) -> Swapped {
        let mut swapped = Swapped::Missing;
        let result = self
            .entries
            .entry_by_ref(name)
            .and_compute_with(|current| match current {
                None => Op::Nop,
                Some(current)
                    if seen.is_some_and(|seen| seen.as_bytes() != &*current.value().value) =>
                {
                    swapped = Swapped::Conflict;
                    Op::Nop
                }
                Some(current) => to(current.into_value()).map_or(Op::Remove, Op::Put),
            });
        match result {
            CompResult::StillNone(_) | CompResult::Unchanged(_) => swapped,
            CompResult::Inserted(_) | CompResult::ReplacedWith(_) | CompResult::Removed(_) => {
                Swapped::Done(())
            }
        }
    }
}

#[async_trait]
impl Cache for LocalCache {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        Ok(self.entries.get(name).map(|entry| Cached {
            value: entry.value.to_vec(),
            revision: None,
            ttl: entry
                .expires_at
                .map(|at| at.saturating_duration_since(Instant::now())),
        }))
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        // Not moka's `insert`: it does not wait for a computation on the same entry, such as `replace`.
        let entry = Entry::new(&value, ttl);
        self.entries
            .entry_by_ref(name)
            .and_compute_with(|_| Op::Put(entry));
        Ok(value.into())
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        let result = self
            .entries
            .entry_by_ref(name)
            .and_compute_with(|current| match current {
                None => Op::Put(Entry::new(&value, ttl)),
                Some(_) => Op::Nop,
            });
        Ok(matches!(result, CompResult::Inserted(_)).then(|| value.into()))
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        let swapped = self.swap(name, Some(seen), |_| Some(Entry::new(&value, ttl)));
        Ok(swapped.with(|| value.into()))
    }

    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        Ok(self.swap(name, Some(seen), |entry| Some(entry.living(ttl))))
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        Ok(self.swap(name, seen, |_| None))
    }
}

/// Each entry lives as long as it was given, counted from its last write.
struct EntryTtl;

impl moka::Expiry<String, Entry> for EntryTtl {
    fn expire_after_create(
        &self,
        _name: &String,
        entry: &Entry,
        _created_at: Instant,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _name: &String,
        entry: &Entry,
        _updated_at: Instant,
        _remaining: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }
}
