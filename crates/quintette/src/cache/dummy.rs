use std::time::Duration;

use async_trait::async_trait;

use super::{Cache, CacheError, Cached, Revision, Swapped};

/// A cache that keeps nothing. Django's `DummyCache`.
///
/// Every write succeeds and is forgotten, so the promises of [`Cache`] about what is stored do not hold. In front of a
/// database it costs nothing but speed. Where sessions live in it alone, each request begins a new one, as in Django.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DummyCache;

#[async_trait]
impl Cache for DummyCache {
    async fn get(&self, _: &str) -> Result<Option<Cached>, CacheError> {
        Ok(None)
    }

    async fn set(&self, _: &str, value: Vec<u8>, _: Duration) -> Result<Revision, CacheError> {
        Ok(value.into())
    }

    async fn add(
        &self,
        _: &str,
        value: Vec<u8>,
        _: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        Ok(Some(value.into()))
    }

    async fn replace(
        &self,
        _: &str,
        _: &Revision,
        value: Vec<u8>,
        _: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        Ok(Swapped::Done(value.into()))
    }

    async fn touch(&self, _: &str, _: &Revision, _: Duration) -> Result<Swapped, CacheError> {
        Ok(Swapped::Done(()))
    }

    async fn delete(&self, _: &str, _: Option<&Revision>) -> Result<Swapped, CacheError> {
        Ok(Swapped::Done(()))
    }
}
