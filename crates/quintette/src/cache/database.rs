use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use quintette_core::session::{SessionError, SessionErrorKind};
use tracing::warn;

use super::culling::Culling;
use super::{Cache, CacheError, Cached, Revision, Swapped};
use crate::db::{CacheTable, Database};

/// The last time that Python's dates hold in every time zone.
const LAST: DateTime<Utc> = DateTime::from_timestamp(253_402_214_400, 0)
    .expect("9999-12-31T00:00:00Z is within chrono's years");

/// A cache in a table of the database. Django's `DatabaseCache`.
///
/// A row is the value in base64 and when it expires, in whole seconds: an entry may live for up to a second less than it
/// was given. What a write compares is the text of the value. An expired row goes when somebody meets it, or at a culling.
///
/// `quintette migrate` makes the tables that `CACHES` names, as Django's `manage.py createcachetable`. The table is in the
/// database of `DATABASE_URL`; there are no routers.
///
/// # Culling
///
/// As in Django the table holds 300 rows, unless `OPTIONS` has another `MAX_ENTRIES`. When there are more, what has
/// expired goes, and if that is not enough, one in three (`CULL_FREQUENCY`), first those whose keys sort first. Where
/// sessions live here and nowhere else, so many visitors are logged out: give it room.
///
/// # Beside Django
///
/// Every write here is one statement that compares. Django's `set` compares nothing: it overwrites what was stored since
/// it looked. It brings nothing back that it did not store itself.
#[derive(Clone, Debug)]
pub struct DatabaseCache {
    table: Arc<dyn CacheTable>,
    culling: Culling,
}

impl DatabaseCache {
    /// In this table, Django's `LOCATION`.
    ///
    /// # Errors
    ///
    /// Where this can be no table's name, the database has no such table, or it cannot answer.
    pub async fn new(database: &Database, table: &str) -> Result<Self, SessionError> {
        Ok(Self {
            table: database.cache_table(table).await?,
            culling: Culling::default(),
        })
    }

    /// The same with Django's `MAX_ENTRIES` and `CULL_FREQUENCY`: when it holds more entries, one in `cull_frequency`
    /// goes, or all of them where that is zero. 300 and 3 by default.
    #[must_use]
    pub fn with_culling(self, max_entries: u64, cull_frequency: u64) -> Self {
        Self {
            culling: Culling::new(max_entries, cull_frequency),
            ..self
        }
    }

    /// Deletes rows where there are too many. That it cannot is no reason not to write one more.
    async fn cull(&self) {
        if !self.culling.is_due() {
            return;
        }
        match self.cull_now().await {
            Ok(rows) => self.culling.counted(rows),
            Err(error) => {
                warn!(target: "quintette::cache", %error, "the cache's table cannot be culled");
            }
        }
    }

    /// How many rows are left.
    async fn cull_now(&self) -> Result<u64, SessionError> {
        let mut rows = self.table.count().await?;
        if rows <= self.culling.max_entries {
            return Ok(rows);
        }
        if self.culling.frequency > 0 {
            rows = rows.saturating_sub(self.table.delete_expired(None, Utc::now()).await?);
        }
        if rows <= self.culling.max_entries {
            return Ok(rows);
        }
        let share = self.culling.share(rows);
        self.table.delete_first(share).await?;
        Ok(rows - share)
    }

    async fn conflict_or_missing(&self, name: &str) -> Result<Swapped, CacheError> {
        let row = self.table.select(name).await.map_err(failed)?;
        Ok(if row.is_some_and(|row| row.expires_at >= Utc::now()) {
            Swapped::Conflict
        } else {
            Swapped::Missing
        })
    }
}

#[async_trait]
impl Cache for DatabaseCache {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        let Some(row) = self.table.select(name).await.map_err(failed)? else {
            return Ok(None);
        };
        let now = Utc::now();
        if row.expires_at < now {
            // What cannot be deleted now is expired all the same.
            let _ = self.table.delete_expired(Some(name), now).await;
            return Ok(None);
        }
        let value = STANDARD.decode(&row.value).unwrap_or_else(|error| {
            warn!(target: "quintette::cache", %error, "a value in the cache's table is no base64");
            // No bytes are no pickle, so whoever wants one sees that this is broken, and can replace it.
            Vec::new()
        });
        Ok(Some(Cached {
            value,
            revision: Some(row.value.into()),
            ttl: (row.expires_at - now).to_std().ok(),
        }))
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        self.cull().await;
        let text = STANDARD.encode(value);
        let set = self.table.upsert(name, &text, expires_at(ttl)).await;
        set.map_err(failed)?;
        Ok(text.into())
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        self.cull().await;
        let text = STANDARD.encode(value);
        let added = self
            .table
            .insert(name, &text, expires_at(ttl), Utc::now())
            .await;
        Ok(added.map_err(failed)?.then(|| text.into()))
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        let text = STANDARD.encode(value);
        let replaced = self
            .table
            .update(name, seen.as_bytes(), &text, expires_at(ttl), Utc::now())
            .await;
        if replaced.map_err(failed)? {
            return Ok(Swapped::Done(text.into()));
        }
        Ok(self.conflict_or_missing(name).await?.with(|| text.into()))
    }

    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        let touched = self
            .table
            .touch(name, seen.as_bytes(), expires_at(ttl), Utc::now())
            .await;
        if touched.map_err(failed)? {
            return Ok(Swapped::Done(()));
        }
        self.conflict_or_missing(name).await
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        let deleted = self
            .table
            .delete(name, seen.map(Revision::as_bytes), Utc::now())
            .await;
        if deleted.map_err(failed)? {
            return Ok(Swapped::Done(()));
        }
        match seen {
            Some(_) => self.conflict_or_missing(name).await,
            None => Ok(Swapped::Missing),
        }
    }
}

/// As Django writes it: in whole seconds, and what is over at once has been over for a second.
fn expires_at(ttl: Duration) -> DateTime<Utc> {
    let lives = if ttl.is_zero() {
        TimeDelta::seconds(-1)
    } else {
        TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX)
    };
    let expires_at = Utc::now().checked_add_signed(lives).unwrap_or(LAST);
    expires_at.min(LAST).trunc_subsecs(0)
}

fn failed(error: SessionError) -> CacheError {
    if error.kind() == SessionErrorKind::Unknown {
        CacheError::unknown(error)
    } else {
        CacheError::new(error)
    }
}
