use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{SessionData, SessionError, SessionErrorKind, SessionKey};

/// Where sessions live: one implementation for each of Django's engines, or your own.
///
/// The trait is object-safe, so that `SESSION_ENGINE` chooses at run time. Prove your own engine with the contract
/// suite of `quintette-testkit`.
///
/// # What an engine must keep
///
/// - **Keys are the attacker's to choose.** Any text of eight characters or more may come: an unknown one is
///   [`None`], never an error, never a path outside the store, never a new record.
/// - **Writes are compare-and-swap.** [`replace`](Self::replace), [`touch`](Self::touch) and a
///   [`delete`](Self::delete) with a revision take effect only while the store still holds that revision. The
///   comparison and the write are one step.
/// - **What is gone stays gone.** Nothing but [`create`](Self::create) makes a record.
/// - **A store that cannot answer is an error** of kind [`Unavailable`](SessionErrorKind::Unavailable), never
///   `None` and never a write that is reported as done. A write that was sent, and whose answer was lost, is
///   [`Unknown`](SessionErrorKind::Unknown): nobody may take it for done, or for not done.
///
/// # Cancellation
///
/// A caller may vanish at any `await`. A single operation must then either have happened or not have happened.
/// [`Session`](super::Session) runs its commits in a task of their own, so that an operation which was begun for a
/// web request is not cancelled with it.
#[async_trait]
pub trait SessionEngine: fmt::Debug + Send + Sync + 'static {
    /// What is stored under `key`: `None` where it is unknown or expired.
    ///
    /// A record that cannot be decoded (corrupt, or signed with another `SECRET_KEY`) is logged, and read as an empty
    /// session, as Django does; its revision stays usable. An engine with a cache in front may answer from it, with
    /// no revision.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError>;

    /// As [`load`](Self::load), but past any cache, and always with a revision: a write is about to follow.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    async fn load_for_update(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        self.load(key).await
    }

    /// Stores a new session, and never over an existing one.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, or the record cannot be stored (it holds a foreign value, it is too large);
    /// [`Unknown`](SessionErrorKind::Unknown) where it may be stored nevertheless.
    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError>;

    /// Replaces exactly the revision that was `seen`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, or the record cannot be stored; [`Unknown`](SessionErrorKind::Unknown) where it
    /// may be stored nevertheless.
    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError>;

    /// Moves the expiry of exactly the revision that was `seen`, and keeps its data as it is stored.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError>;

    /// Deletes the session: whatever is stored, or only the revision that was `seen`. After it has returned, no
    /// load and no cache serves the session again.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError>;

    /// Removes what has expired, in batches that hold no long lock, and tells `progress` after each.
    ///
    /// Where the store expires its records itself, there is nothing to do. Django's `clear_expired`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer. What was removed until then stays removed.
    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError>;

    /// The next `limit` sessions whose keys sort after `after`, the unexpired ones, in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](SessionErrorKind::Unsupported) where the store cannot enumerate (a cache, a cookie), and where
    /// it cannot answer.
    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        let _ = (after, limit);
        Err(SessionError::new(
            SessionErrorKind::Unsupported,
            "This SESSION_ENGINE cannot list its sessions: only \"db\", \"cached_db\" and \"file\" can",
        ))
    }
}

/// What an engine compares to see whether another has stored since: the stored text, the cached bytes, a counter.
///
/// Opaque to everyone but the engine that made it. `Debug` prints nothing of it, since it may be the data itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Revision(Vec<u8>);

impl Revision {
    /// The bytes that the engine compares.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<String> for Revision {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Vec<u8>> for Revision {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({} bytes)", self.0.len())
    }
}

/// A session as an engine found it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its data.
    pub data: SessionData,
    /// What a later write compares; `None` where the answer came from a cache that cannot tell.
    pub revision: Option<Revision>,
    /// When it expires, where the store tells.
    pub expires_at: Option<DateTime<Utc>>,
    /// What was stored is unusable and is to be written anew, even by a request that changes nothing. Only
    /// `signed_cookies` says so: Django replaces a cookie that it cannot read.
    pub rewrite: bool,
}

impl Stored {
    /// Data, and the revision that a later write compares.
    pub fn new(data: SessionData, revision: impl Into<Option<Revision>>) -> Self {
        Self {
            data,
            revision: revision.into(),
            expires_at: None,
            rewrite: false,
        }
    }

    /// The same, with the time at which it expires.
    #[must_use]
    pub fn expiring(mut self, expires_at: DateTime<Utc>) -> Self {
        self.expires_at = Some(expires_at);
        self
    }
}

/// A session as an engine is to store it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The data to store.
    pub data: &'a SessionData,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
}

/// What a store holds after a successful write.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// What a further write compares; `None` where it has to load first.
    pub revision: Option<Revision>,
    /// The key under which the session is found from now on, where the write changed it. Only `signed_cookies` does
    /// that: its key is the data itself.
    pub key: Option<SessionKey>,
}

impl Receipt {
    /// A write that left the key as it was.
    pub fn revision(revision: impl Into<Revision>) -> Self {
        Self {
            revision: Some(revision.into()),
            key: None,
        }
    }
}

/// The end of a [`create`](SessionEngine::create).
#[derive(Clone, Debug)]
pub enum Created {
    /// It is stored.
    Stored(Receipt),
    /// There is such a session already; nothing was stored. Try another key.
    Taken,
}

/// The end of a [`replace`](SessionEngine::replace) or a [`touch`](SessionEngine::touch).
#[derive(Clone, Debug)]
pub enum Replaced {
    /// It is stored.
    Stored(Receipt),
    /// Another revision has been stored since; nothing was written.
    Conflict,
    /// The session was deleted or has expired since; nothing was written.
    Gone,
}

/// The end of a [`delete`](SessionEngine::delete).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone now.
    Deleted,
    /// Another revision has been stored since; nothing was deleted.
    Conflict,
    /// There was nothing to delete.
    Gone,
}

/// How far a clean-up has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Expired sessions removed so far.
    pub removed: u64,
    /// Expired sessions there were at the start, where the store can tell.
    pub expired: Option<u64>,
}

/// One session in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its key. A secret: whoever knows it is that visitor.
    pub key: SessionKey,
    /// Its data.
    pub data: SessionData,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// How much the store holds for it, in bytes.
    pub size: usize,
}
