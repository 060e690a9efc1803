//! Caches, as far as sessions need them, and the names under which Django keeps things there.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A cache: bytes under a name, for a time. One implementation for each of Django's cache backends.
///
/// Values are compared as bytes, so that a session in a cache can be replaced by compare-and-swap. The trait is
/// object-safe: `CACHES` chooses at run time.
///
/// # Cancellation
///
/// A caller may vanish at any `await`; an operation has then happened or it has not.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// The value under `name`; `None` where there is none or it has expired.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, CacheError>;

    /// Stores `value`, whatever was there before.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer.
    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<(), CacheError>;

    /// Stores `value` where there is none; says whether it did.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer.
    async fn add(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<bool, CacheError>;

    /// Stores `value` in place of exactly the bytes that were `seen`, in one step.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer.
    async fn replace(
        &self,
        name: &str,
        seen: &[u8],
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped, CacheError>;

    /// Deletes exactly the bytes that were `seen`, or whatever is there.
    ///
    /// # Errors
    ///
    /// Where the cache cannot answer.
    async fn delete(&self, name: &str, seen: Option<&[u8]>) -> Result<Swapped, CacheError>;
}

/// The end of a compare-and-swap in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// Done.
    Done,
    /// Something else is there by now; nothing was done.
    Conflict,
    /// Nothing is there; nothing was done.
    Missing,
}

/// A cache that did not do its work.
#[derive(Debug, thiserror::Error)]
#[error("the cache did not answer: {0}")]
pub struct CacheError(#[source] BoxError);

impl CacheError {
    /// With its cause.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
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
