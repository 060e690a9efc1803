use std::sync::Arc;

use async_trait::async_trait;
use quintette_core::cache::{Cache, CacheError, Cached, Swapped};
use quintette_core::session::Revision;
use quintette_testkit::{CacheSuite, FreshCache, MemoryCache};

/// What a cache may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CacheDefect {
    /// Looks, and then adds or replaces: two steps.
    LooksThenWrites,
    /// Replaces what is not there.
    ReplacesNothing,
    /// Deletes whatever is there.
    DeletesWhatever,
    /// Never forgets.
    NeverForgets,
    /// Keeps the time of the first write.
    KeepsTheFirstTime,
    /// Says that it has touched, and has not.
    TouchesNothing,
}

#[derive(Debug)]
struct BrokenCache(MemoryCache, CacheDefect);

fn cache_fails(defect: CacheDefect, cases: &[&str]) {
    let suite = CacheSuite::new("broken", move || async move {
        Ok(FreshCache::new(Arc::new(BrokenCache(
            MemoryCache::new(),
            defect,
        ))))
    });
    for case in cases {
        assert!(suite.cases().contains(case), "there is no case {case}");
        assert!(suite.run(case).is_err(), "{defect:?} passes {case}");
    }
}

#[test]
fn a_cache_that_looks_before_it_writes_is_found() {
    cache_fails(
        CacheDefect::LooksThenWrites,
        &[
            "of_many_who_add_at_once_one_does",
            "of_many_who_replace_at_once_none_is_lost",
        ],
    );
}

#[test]
fn a_cache_that_brings_back_what_is_missing_is_found() {
    cache_fails(
        CacheDefect::ReplacesNothing,
        &[
            "replacing_what_is_missing_stores_nothing",
            "what_has_expired_is_missing",
        ],
    );
}

#[test]
fn a_cache_that_deletes_what_was_not_seen_is_found() {
    cache_fails(
        CacheDefect::DeletesWhatever,
        &["deleting_something_else_is_a_conflict_and_deletes_nothing"],
    );
}

#[test]
fn a_cache_that_does_not_touch_is_found() {
    cache_fails(
        CacheDefect::TouchesNothing,
        &[
            "touching_something_else_is_a_conflict_and_what_is_missing_stays_so",
            "a_value_is_forgotten_when_its_time_has_passed",
            "every_write_sets_the_time_anew",
        ],
    );
}

#[test]
fn a_cache_that_forgets_at_the_wrong_time_is_found() {
    cache_fails(
        CacheDefect::KeepsTheFirstTime,
        &["every_write_sets_the_time_anew"],
    );
    // Waits ten seconds for what never comes.
    cache_fails(
        CacheDefect::NeverForgets,
        &["a_value_is_forgotten_when_its_time_has_passed"],
    );
}

type Ttl = std::time::Duration;

#[async_trait]
impl Cache for BrokenCache {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        self.0.get(name).await
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Ttl) -> Result<Revision, CacheError> {
        self.0.set(name, value, self.ttl(ttl)).await
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Ttl,
    ) -> Result<Option<Revision>, CacheError> {
        if self.1 == CacheDefect::LooksThenWrites {
            if self.0.get(name).await?.is_some() {
                return Ok(None);
            }
            tokio::time::sleep(Ttl::from_millis(1)).await;
            return self.0.set(name, value, ttl).await.map(Some);
        }
        self.0.add(name, value, self.ttl(ttl)).await
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Ttl,
    ) -> Result<Swapped<Revision>, CacheError> {
        let there = self.0.get(name).await?;
        match self.1 {
            CacheDefect::LooksThenWrites
                if there.as_ref().map(|there| &*there.value) == Some(seen.as_bytes()) =>
            {
                tokio::time::sleep(Ttl::from_millis(1)).await;
                self.0.set(name, value, ttl).await.map(Swapped::Done)
            }
            CacheDefect::ReplacesNothing if there.is_none() => {
                self.0.set(name, value, ttl).await.map(Swapped::Done)
            }
            CacheDefect::KeepsTheFirstTime => {
                let short = Ttl::from_millis(10);
                self.0.replace(name, seen, value, short).await
            }
            _ => self.0.replace(name, seen, value, self.ttl(ttl)).await,
        }
    }

    async fn touch(&self, name: &str, seen: &Revision, ttl: Ttl) -> Result<Swapped, CacheError> {
        match self.1 {
            CacheDefect::TouchesNothing => Ok(Swapped::Done(())),
            _ => self.0.touch(name, seen, self.ttl(ttl)).await,
        }
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        let seen = seen.filter(|_| self.1 != CacheDefect::DeletesWhatever);
        self.0.delete(name, seen).await
    }
}

impl BrokenCache {
    fn ttl(&self, ttl: Ttl) -> Ttl {
        match self.1 {
            CacheDefect::NeverForgets => Ttl::from_secs(1_000_000),
            _ => ttl,
        }
    }
}
