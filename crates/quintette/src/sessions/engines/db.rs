use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use quintette_core::session::{
    Cleared, Codec, Created, Deleted, Listed, Receipt, Record, Replaced, Revision, SessionData,
    SessionEngine, SessionError, SessionKey, Stored,
};
use quintette_core::settings::Settings;

use crate::db::{Database, SessionTable};

/// How many rows a clean-up deletes with one statement: they alone are locked meanwhile, and not for long.
const BATCH: u32 = 500;

/// Sessions in the table `django_session`. Django's `django.contrib.sessions.backends.db`.
///
/// A replacement is one `UPDATE … WHERE session_key = ? AND session_data = ?`: the stored text itself is the revision,
/// so that no column is added to Django's table, and a change that Django made is seen as any other.
#[derive(Clone, Debug)]
pub struct DbEngine {
    table: Arc<dyn SessionTable>,
    codec: Codec,
}

impl DbEngine {
    /// In this database.
    ///
    /// # Errors
    ///
    /// Where it has no table `django_session`, or cannot answer.
    pub async fn new(database: &Database, settings: &Settings) -> Result<Self, SessionError> {
        Ok(Self {
            table: database.session_table().await?,
            codec: Codec::new(settings),
        })
    }

    /// The same with the application's own [`Serializer`](super::super::Serializer) in the codec.
    #[must_use]
    pub fn with_codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }
}

#[async_trait]
impl SessionEngine for DbEngine {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let row = self.table.select(key, Utc::now()).await?;
        Ok(row.map(|row| {
            let data = self.decode(&row.data);
            Stored::new(data, Revision::from(row.data)).expiring(row.expires_at)
        }))
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let data = self.codec.encode(record.data)?;
        let inserted = self.table.insert(key, &data, record.expires_at).await?;
        Ok(if inserted {
            Created::Stored(Receipt::revision(data))
        } else {
            Created::Taken
        })
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let data = self.codec.encode(record.data)?;
        let now = Utc::now();
        if self
            .table
            .update(key, seen.as_bytes(), &data, record.expires_at, now)
            .await?
        {
            return Ok(Replaced::Stored(Receipt::revision(data)));
        }
        self.conflict_or_gone(key).await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        if self
            .table
            .touch(key, seen.as_bytes(), record.expires_at, Utc::now())
            .await?
        {
            return Ok(Replaced::Stored(Receipt::revision(seen.clone())));
        }
        self.conflict_or_gone(key).await
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        if self.table.delete(key, seen.map(Revision::as_bytes)).await? {
            return Ok(Deleted::Deleted);
        }
        let still_there = seen.is_some() && self.table.select(key, Utc::now()).await?.is_some();
        Ok(if still_there {
            Deleted::Conflict
        } else {
            Deleted::Gone
        })
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        let now = Utc::now();
        let mut cleared = Cleared {
            removed: 0,
            expired: Some(self.table.count_expired(now).await?),
        };
        let mut from = None;
        loop {
            progress(cleared);
            let batch = self.table.delete_expired(BATCH, from, now).await?;
            cleared.removed += batch.removed;
            from = batch.next;
            if from.is_none() {
                progress(cleared);
                return Ok(cleared);
            }
        }
    }

    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        let rows = self.table.page(after, limit, Utc::now()).await?;
        let listed = rows.into_iter().map(|(key, row)| Listed {
            key,
            data: self.decode(&row.data),
            expires_at: row.expires_at,
            size: row.data.len(),
        });
        Ok(listed.collect())
    }
}

impl DbEngine {
    /// Bytes that are no text are as corrupt as any other text.
    fn decode(&self, data: &[u8]) -> SessionData {
        self.codec
            .decode(std::str::from_utf8(data).unwrap_or_default())
    }

    async fn conflict_or_gone(&self, key: &SessionKey) -> Result<Replaced, SessionError> {
        let row = self.table.select(key, Utc::now()).await?;
        Ok(if row.is_some() {
            Replaced::Conflict
        } else {
            Replaced::Gone
        })
    }
}
