//! Caches, as far as sessions need them, and the names under which Django keeps things there.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::session::Revision;

type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A cache: bytes under a name, for a time. One implementation for each of Django's cache backends.
///
/// Every write but [`set`](Self::set) compares and swaps, so that a session in a cache loses nothing: it takes effect
/// only where the cache still holds the [`Revision`] that was seen. What a revision is, the cache decides: the bytes
/// themselves, or a number that the server gives to each write. The trait is object-safe: `CACHES` chooses at run time.
///
/// A `ttl` of zero is over at once: what is stored so, nobody finds.
///
/// # Cancellation
///
/// A caller may vanish at any `await`; an operation has then happened or it has not.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// What is under `name`; `None` where there is nothing or it has expired.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer.
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError>;

    /// Stores `value`, whatever was there before.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer; [unknown](CacheError::unknown) where it may have been done nevertheless.
    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError>;

    /// Stores `value` where there is none; `None` where there is one.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer; [unknown](CacheError::unknown) where it may have been done nevertheless.
    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError>;

    /// Stores `value` in place of exactly what was `seen`, in one step.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer; [unknown](CacheError::unknown) where it may have been done nevertheless.
    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError>;

    /// Lets exactly what was `seen` live for `ttl` from now, and keeps it as it is, its revision included. Where
    /// something else is there by now, a cache may have moved the time of that.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer; [unknown](CacheError::unknown) where it may have been done nevertheless.
    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError>;

    /// Deletes exactly what was `seen`, or whatever is there.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer; [unknown](CacheError::unknown) where it may have been done nevertheless.
    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError>;
}

/// What a cache holds under a name.
#[derive(Clone, PartialEq, Eq)]
pub struct Cached {
    /// The bytes.
    pub value: Vec<u8>,
    /// What a later write compares; `None` where that is the bytes themselves.
    pub revision: Option<Revision>,
    /// How long it will live, where the cache tells without being asked for it.
    pub ttl: Option<Duration>,
}

impl Cached {
    /// Bytes that are their own revision.
    pub fn new(value: Vec<u8>) -> Self {
        Self {
            value,
            revision: None,
            ttl: None,
        }
    }

    /// What a later write compares.
    pub fn into_revision(self) -> Revision {
        self.revision.unwrap_or_else(|| self.value.into())
    }
}

/// The value is a visitor's own, and stays out of logs.
impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cached({} bytes, for {:?})", self.value.len(), self.ttl)
    }
}

/// The end of a compare-and-swap in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swapped<T = ()> {
    /// Done.
    Done(T),
    /// Something else is there by now; nothing was done.
    Conflict,
    /// Nothing is there; nothing was done.
    Missing,
}

impl Swapped {
    /// The same, with what is there now.
    pub fn with<T>(self, value: impl FnOnce() -> T) -> Swapped<T> {
        match self {
            Self::Done(()) => Swapped::Done(value()),
            Self::Conflict => Swapped::Conflict,
            Self::Missing => Swapped::Missing,
        }
    }
}

/// A cache that did not do its work.
#[derive(Debug, thiserror::Error)]
#[error("the cache did not answer: {source}")]
pub struct CacheError {
    source: BoxError,
    unknown: bool,
}

impl CacheError {
    /// Nothing was done, or nothing was to be written.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
            unknown: false,
        }
    }

    /// A write was sent, and its answer was lost: it may have been done.
    pub fn unknown(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
            unknown: true,
        }
    }

    /// Whether the write may have been done nevertheless.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }
}

/// The name under which Django's caches keep `key`: `KEY_PREFIX:VERSION:key`, the default `KEY_FUNCTION`
/// (django/core/cache/backends/base.py).
///
/// ```
/// use quintette_core::cache::make_key;
///
/// assert_eq!(make_key("", 1, "django.contrib.sessions.cacheabc"), ":1:django.contrib.sessions.cacheabc");
/// ```
pub fn make_key(key_prefix: &str, version: i64, key: &str) -> String {
    format!("{key_prefix}:{version}:{key}")
}
