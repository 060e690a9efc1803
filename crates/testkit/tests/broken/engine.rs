use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use quintette_core::session::{
    Cleared, Created, Deleted, Listed, Receipt, Record, Replaced, Revision, SessionData,
    SessionEngine, SessionError, SessionErrorKind, SessionKey, Stored,
};
use quintette_testkit::MemoryEngine;

/// What an engine may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
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
pub(crate) struct Broken {
    inner: MemoryEngine,
    defect: Defect,
    remembered: Mutex<HashMap<SessionKey, Stored>>,
}

impl Broken {
    pub(crate) fn new(defect: Defect) -> Self {
        Self {
            inner: MemoryEngine::new(),
            defect,
            remembered: Mutex::default(),
        }
    }

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
