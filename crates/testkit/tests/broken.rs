//! Engines and caches that break a promise, each in its own way, and the case that says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use quintette_core::cache::{Cache, CacheError, Cached, Swapped};
use quintette_core::session::{
    Cleared, Created, Deleted, Listed, Receipt, Record, Replaced, Revision, SessionData,
    SessionEngine, SessionError, SessionErrorKind, SessionKey, Stored,
};
use quintette_testkit::{
    CacheSuite, EngineSuite, FreshCache, FreshEngine, MemoryCache, MemoryEngine,
};

/// What an engine may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// A replacement does not look at the revision.
    LastWriterWins,
    /// It looks, and then writes: two steps.
    LooksThenWrites,
    /// A replacement of what is gone stores it anew.
    Resurrects,
    /// So does a touch.
    TouchResurrects,
    /// A creation overwrites.
    CreatesOver,
    /// A deletion of a revision deletes whatever is there.
    DeletesWhatever,
    /// A second deletion is an error.
    DeletesOnlyOnce,
    /// A deletion is forgotten by the cache.
    ServesTheDeleted,
    /// Reads come from a cache that writes do not reach.
    ReadsAreStale,
    /// An expiry is never looked at.
    NeverExpires,
    /// A touch keeps the expiry as it was.
    TouchKeepsTheExpiry,
    /// A touch stores no more than the revision.
    TouchForgetsTheData,
    /// Keys are compared without regard to case.
    IgnoresCase,
    /// Keys that are not plain are errors.
    RefusesOddKeys,
    /// Numbers go through `f64`.
    ConvertsNumbers,
    /// Keys are sorted.
    SortsKeys,
    /// Clearing removes the living.
    ClearsTheLiving,
    /// Pages begin with the last session of the page before.
    PagesOverlap,
    /// The expired are listed.
    ListsTheExpired,
    /// A load for an update has no revision.
    LoadsWithoutRevision,
    /// A failure is an empty answer.
    AnswersNothing,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryEngine,
    defect: Defect,
    remembered: Mutex<HashMap<SessionKey, Stored>>,
}

fn suite(defect: Defect) -> EngineSuite {
    EngineSuite::new("broken", move || async move {
        let engine = Broken {
            inner: MemoryEngine::new(),
            defect,
            remembered: Mutex::default(),
        };
        Ok(FreshEngine::new(Arc::new(engine)))
    })
}

/// All of these cases fail for this defect.
fn fails(defect: Defect, cases: &[&str]) {
    let suite = suite(defect);
    for case in cases {
        assert!(suite.cases().contains(case), "there is no case {case}");
        assert!(suite.run(case).is_err(), "{defect:?} passes {case}");
    }
}

#[test]
fn a_lost_update_is_found() {
    fails(
        Defect::LastWriterWins,
        &[
            "replacing_a_stale_revision_is_a_conflict_and_changes_nothing",
            "of_many_who_replace_one_revision_at_once_one_does",
            "requests_that_write_different_keys_at_once_lose_none",
            "requests_that_update_one_counter_at_once_count_exactly",
            "a_save_that_met_another_one_says_so",
        ],
    );
}

#[test]
fn a_comparison_that_is_not_one_step_with_the_write_is_found() {
    fails(
        Defect::LooksThenWrites,
        &[
            "of_many_who_replace_one_revision_at_once_one_does",
            "requests_that_write_different_keys_at_once_lose_none",
            "requests_that_update_one_counter_at_once_count_exactly",
            "removing_and_inserting_at_once_does_both",
        ],
    );
    let sequential = "replacing_a_stale_revision_is_a_conflict_and_changes_nothing";
    suite(Defect::LooksThenWrites).run(sequential).unwrap();
}

#[test]
fn a_resurrection_is_found() {
    fails(
        Defect::Resurrects,
        &[
            "replacing_a_deleted_session_is_gone_and_brings_nothing_back",
            "an_unknown_key_is_none_and_creates_nothing",
            "a_session_flushed_during_a_slow_request_is_not_brought_back",
            "a_session_flushed_during_a_save_is_not_brought_back",
            "writers_during_a_flush_bring_nothing_back",
            "a_write_after_a_cycle_is_interrupted",
        ],
    );
    fails(
        Defect::TouchResurrects,
        &[
            "touching_a_deleted_session_is_gone_and_brings_nothing_back",
            "a_session_flushed_during_a_touch_is_not_brought_back",
        ],
    );
}

#[test]
fn an_overwriting_creation_is_found() {
    fails(
        Defect::CreatesOver,
        &[
            "creating_under_a_key_that_exists_is_taken_and_leaves_it_as_it_was",
            "of_many_who_create_one_key_at_once_one_has_it",
        ],
    );
}

#[test]
fn a_wrong_deletion_is_found() {
    fails(
        Defect::DeletesWhatever,
        &[
            "deleting_a_stale_revision_is_a_conflict_and_deletes_nothing",
            "of_a_delete_and_a_replace_at_once_one_is_done",
            "a_write_during_a_cycle_moves_along",
        ],
    );
    fails(Defect::DeletesOnlyOnce, &["deleting_twice_is_fine"]);
}

#[test]
fn a_stale_cache_is_found() {
    fails(
        Defect::ServesTheDeleted,
        &[
            "deleting_removes_whatever_is_stored",
            "flushing_deletes_at_once_and_the_cookie_goes",
        ],
    );
    fails(
        Defect::ReadsAreStale,
        &[
            "replacing_the_newest_revision_stores_and_gives_the_next_revision",
            "what_one_request_stores_the_next_one_reads",
            "a_read_after_an_acknowledged_save_is_never_older",
        ],
    );
}

#[test]
fn a_wrong_expiry_is_found() {
    fails(
        Defect::NeverExpires,
        &[
            "a_session_that_is_created_expired_is_none",
            "replacing_moves_the_expiry",
            "touching_moves_the_expiry_back",
            "writing_to_an_expired_session_is_gone_and_brings_nothing_back",
            "a_session_whose_time_has_passed_is_gone",
        ],
    );
    fails(
        Defect::TouchKeepsTheExpiry,
        &[
            "touching_moves_the_expiry_back",
            "touching_moves_the_expiry_on",
        ],
    );
}

#[test]
fn a_touch_that_rewrites_is_found() {
    fails(
        Defect::TouchForgetsTheData,
        &[
            "touching_keeps_the_data_byte_for_byte",
            "a_session_that_is_saved_on_every_request_keeps_its_data",
        ],
    );
}

#[test]
fn wrong_keys_are_found() {
    fails(Defect::IgnoresCase, &["a_key_is_matched_to_the_letter"]);
    fails(
        Defect::RefusesOddKeys,
        &[
            "a_hostile_key_is_none_and_creates_nothing",
            "a_hostile_cookie_is_an_empty_session",
        ],
    );
}

#[test]
fn wrong_values_are_found() {
    fails(
        Defect::ConvertsNumbers,
        &[
            "a_number_keeps_its_spelling",
            "what_a_request_did_not_touch_stays_byte_for_byte",
        ],
    );
    fails(Defect::SortsKeys, &["the_order_of_the_keys_is_kept"]);
}

#[test]
fn a_wrong_sweep_or_list_is_found() {
    fails(
        Defect::ClearsTheLiving,
        &["clearing_what_has_expired_removes_exactly_that_and_counts_it"],
    );
    fails(
        Defect::PagesOverlap,
        &["pages_of_a_list_lose_none_and_repeat_none"],
    );
    fails(
        Defect::ListsTheExpired,
        &["a_list_is_without_the_expired_and_the_deleted"],
    );
}

#[test]
fn a_load_for_an_update_without_a_revision_is_found() {
    fails(
        Defect::LoadsWithoutRevision,
        &[
            "what_one_request_stores_the_next_one_reads",
            "a_session_flushed_during_a_save_is_not_brought_back",
        ],
    );
}

#[test]
fn a_store_that_answers_nothing_is_found() {
    fails(
        Defect::AnswersNothing,
        &[
            "an_empty_session_is_a_session",
            "plain_values_come_back_as_they_were",
        ],
    );
}

#[test]
fn a_case_that_does_not_exist_is_an_error() {
    assert!(suite(Defect::NeverExpires).run("no such case").is_err());
}

#[test]
fn a_store_that_cannot_be_made_fails_every_case_with_its_reason() {
    let suite = EngineSuite::new("missing", || async {
        Err("redis is not installed: apt-get install redis-server".into())
    });
    let error = suite.run("an_empty_session_is_a_session").unwrap_err();
    assert!(error.contains("apt-get install redis-server"), "{error}");
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// What is stored, the deleted and the expired included where that is the defect.
    fn remember(&self, key: &SessionKey, data: &SessionData, receipt: &Receipt) {
        let stored = Stored::new(data.clone(), receipt.revision.clone());
        self.remembered.lock().unwrap().insert(key.clone(), stored);
    }

    fn remembered(&self, key: &SessionKey) -> Option<Stored> {
        self.remembered.lock().unwrap().get(key).cloned()
    }

    /// The record as this engine stores it.
    fn stored_as(&self, record: &Record<'_>) -> (SessionData, DateTime<Utc>) {
        let mut data = record.data.clone();
        if self.has(Defect::ConvertsNumbers) {
            let json = data
                .to_json()
                .unwrap()
                .replace("1180591620717411303424", "1.18e21");
            data = SessionData::from_json(json.as_bytes()).unwrap();
        }
        if self.has(Defect::SortsKeys) {
            let mut entries: Vec<_> = data
                .iter()
                .map(|(k, v)| (k.into_owned(), v.cloned()))
                .collect();
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            data = SessionData::default();
            for (key, value) in entries {
                data.insert(&key, value.unwrap());
            }
        }
        let expires_at = if self.has(Defect::NeverExpires) {
            Utc::now() + TimeDelta::days(1_000)
        } else {
            record.expires_at
        };
        (data, expires_at)
    }

    fn key(&self, key: &SessionKey) -> Result<SessionKey, SessionError> {
        if self.has(Defect::RefusesOddKeys) && !key.is_plain() {
            let message = "what a strange key";
            return Err(SessionError::new(SessionErrorKind::Misconfigured, message));
        }
        if self.has(Defect::IgnoresCase) {
            return Ok(SessionKey::parse(key.as_str().to_lowercase()).unwrap());
        }
        Ok(key.clone())
    }

    async fn current(&self, key: &SessionKey) -> Option<Revision> {
        let stored = self.inner.load(key).await.unwrap();
        stored.and_then(|stored| stored.revision)
    }
}

#[async_trait]
impl SessionEngine for Broken {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let key = self.key(key)?;
        match self.defect {
            Defect::AnswersNothing => Ok(None),
            Defect::ServesTheDeleted | Defect::ReadsAreStale => Ok(self.remembered(&key)),
            _ => self.load_for_update(&key).await,
        }
    }

    async fn load_for_update(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let key = self.key(key)?;
        let mut stored = self.inner.load(&key).await?;
        if self.has(Defect::LoadsWithoutRevision)
            && let Some(stored) = &mut stored
        {
            stored.revision = None;
        }
        Ok(stored)
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let (data, expires_at) = self.stored_as(record);
        let record = Record {
            data: &data,
            expires_at,
        };
        if self.has(Defect::CreatesOver) {
            self.inner.delete(key, None).await?;
        }
        let created = self.inner.create(key, &record).await?;
        if let Created::Stored(receipt) = &created {
            self.remember(key, &data, receipt);
            if self.has(Defect::LoadsWithoutRevision) {
                let receipt = Receipt {
                    revision: None,
                    key: None,
                };
                return Ok(Created::Stored(receipt));
            }
        }
        Ok(created)
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let key = &self.key(key)?;
        let (data, expires_at) = self.stored_as(record);
        let record = &Record {
            data: &data,
            expires_at,
        };
        let mut seen = seen.clone();
        match (self.defect, self.current(key).await) {
            (Defect::LastWriterWins, Some(current)) => seen = current,
            (Defect::LooksThenWrites, Some(current)) if current == seen => {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                match self.current(key).await {
                    Some(current) => seen = current,
                    None => return Ok(Replaced::Gone),
                }
            }
            (Defect::Resurrects, None) => {
                return Ok(match self.inner.create(key, record).await? {
                    Created::Stored(receipt) => Replaced::Stored(receipt),
                    Created::Taken => Replaced::Conflict,
                });
            }
            _ => {}
        }
        let replaced = self.inner.replace(key, &seen, record).await?;
        if let (Replaced::Stored(receipt), Defect::ServesTheDeleted) = (&replaced, self.defect) {
            self.remember(key, &data, receipt);
        }
        Ok(replaced)
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let key = &self.key(key)?;
        let (_, mut expires_at) = self.stored_as(record);
        if self.has(Defect::TouchKeepsTheExpiry) {
            let listed = self.inner.list(None, 1_000).await?;
            let listed = listed.into_iter().find(|listed| listed.key == *key);
            expires_at = listed.map_or(expires_at, |listed| listed.expires_at);
        }
        let empty = SessionData::default();
        let record = Record {
            data: if self.has(Defect::TouchForgetsTheData) {
                &empty
            } else {
                record.data
            },
            expires_at,
        };
        match self.defect {
            Defect::TouchForgetsTheData => self.inner.replace(key, seen, &record).await,
            Defect::TouchResurrects if self.current(key).await.is_none() => {
                Ok(match self.inner.create(key, &record).await? {
                    Created::Stored(receipt) => Replaced::Stored(receipt),
                    Created::Taken => Replaced::Conflict,
                })
            }
            _ => self.inner.touch(key, seen, &record).await,
        }
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let key = &self.key(key)?;
        let seen = seen.filter(|_| !self.has(Defect::DeletesWhatever));
        let deleted = self.inner.delete(key, seen).await?;
        if deleted == Deleted::Gone && self.has(Defect::DeletesOnlyOnce) {
            return Err(SessionError::unavailable("the broken store", "no such row"));
        }
        if self.has(Defect::ReadsAreStale) {
            self.remembered.lock().unwrap().remove(key);
        }
        Ok(deleted)
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        if self.has(Defect::ClearsTheLiving)
            && let Some(first) = self.inner.list(None, 1).await?.first()
        {
            self.inner.delete(&first.key, None).await?;
        }
        self.inner.clear_expired(progress).await
    }

    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        if self.has(Defect::ListsTheExpired) {
            let remembered = self.remembered.lock().unwrap();
            let mut listed: Vec<Listed> = remembered
                .iter()
                .filter(|(key, _)| after.is_none_or(|after| *key > after))
                .map(|(key, stored)| Listed {
                    key: key.clone(),
                    data: stored.data.clone(),
                    expires_at: Utc::now(),
                    size: 1,
                })
                .collect();
            listed.sort_by(|one, other| one.key.cmp(&other.key));
            listed.truncate(limit);
            return Ok(listed);
        }
        let mut listed = self.inner.list(after, limit).await?;
        if self.has(Defect::PagesOverlap)
            && let (Some(after), Some(first)) = (after, listed.first_mut())
        {
            first.key = after.clone();
        }
        Ok(listed)
    }
}

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
