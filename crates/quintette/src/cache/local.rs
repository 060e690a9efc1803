use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache as Moka;

use super::{Cache, CacheError, Swapped};

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

    fn swap(&self, name: &str, seen: Option<&[u8]>, to: Option<Entry>) -> Swapped {
        let mut swapped = Swapped::Missing;
        let result = self
            .entries
            .entry_by_ref(name)
            .and_compute_with(|current| match current {
                None => Op::Nop,
                Some(current) if seen.is_some_and(|seen| seen != &*current.value().value) => {
                    swapped = Swapped::Conflict;
                    Op::Nop
                }
                Some(_) => to.map_or(Op::Remove, Op::Put),
            });
        match result {
            CompResult::StillNone(_) | CompResult::Unchanged(_) => swapped,
            CompResult::Inserted(_) | CompResult::ReplacedWith(_) | CompResult::Removed(_) => {
                Swapped::Done
            }
        }
    }
}

#[async_trait]
impl Cache for LocalCache {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(self.entries.get(name).map(|entry| entry.value.to_vec()))
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<(), CacheError> {
        // Not moka's `insert`: it does not wait for a computation on the same entry, such as `replace`.
        let entry = Entry {
            value: value.into(),
            ttl,
        };
        self.entries
            .entry_by_ref(name)
            .and_compute_with(|_| Op::Put(entry));
        Ok(())
    }

    async fn add(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<bool, CacheError> {
        let result = self
            .entries
            .entry_by_ref(name)
            .and_compute_with(|current| match current {
                None => Op::Put(Entry {
                    value: value.into(),
                    ttl,
                }),
                Some(_) => Op::Nop,
            });
        Ok(matches!(result, CompResult::Inserted(_)))
    }

    async fn replace(
        &self,
        name: &str,
        seen: &[u8],
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        Ok(self.swap(
            name,
            Some(seen),
            Some(Entry {
                value: value.into(),
                ttl,
            }),
        ))
    }

    async fn delete(&self, name: &str, seen: Option<&[u8]>) -> Result<Swapped, CacheError> {
        Ok(self.swap(name, seen, None))
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
