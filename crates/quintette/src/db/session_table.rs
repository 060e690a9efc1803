use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::session::{SessionError, SessionKey};

/// The table `django_session`, in the dialect of one database. Every statement is one round trip.
#[async_trait]
pub(crate) trait SessionTable: std::fmt::Debug + Send + Sync {
    /// `session_data` of an unexpired session.
    async fn select(
        &self,
        key: &SessionKey,
        now: DateTime<Utc>,
    ) -> Result<Option<SessionRow>, SessionError>;

    /// A new row; `false` where there is one already.
    async fn insert(
        &self,
        key: &SessionKey,
        data: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, SessionError>;

    /// Replaces the row whose `session_data` is `seen`; `false` where there is none that is unexpired.
    async fn update(
        &self,
        key: &SessionKey,
        seen: &[u8],
        data: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError>;

    /// Moves the expiry of the row whose `session_data` is `seen`; `false` where there is none that is unexpired.
    async fn touch(
        &self,
        key: &SessionKey,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError>;

    /// Deletes the row, or only the row whose `session_data` is `seen`; `false` where there is none.
    async fn delete(&self, key: &SessionKey, seen: Option<&[u8]>) -> Result<bool, SessionError>;

    /// How many rows have expired.
    async fn count_expired(&self, now: DateTime<Utc>) -> Result<u64, SessionError>;

    /// Deletes at most `limit` rows that have expired, the earliest first; `from` is the `next` of the batch before.
    async fn delete_expired(
        &self,
        limit: u32,
        from: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<ExpiredBatch, SessionError>;

    /// The next unexpired rows in the order of their keys.
    async fn page(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<(SessionKey, SessionRow)>, SessionError>;
}

/// A row of `django_session`.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    /// The signed text, or whatever stands in its place.
    pub(crate) data: Vec<u8>,
    /// `expire_date`.
    pub(crate) expires_at: DateTime<Utc>,
}

/// What a part of a clean-up did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiredBatch {
    /// How many rows it deleted.
    pub(crate) removed: u64,
    /// Where the next part begins: no row that expired earlier is left to delete. `None` where none is left at all.
    pub(crate) next: Option<DateTime<Utc>>,
}
