//! The contract of a cache, promise by promise.

mod cases;
mod memory;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use quintette_core::cache::Cache;

use crate::case::{BoxError, Case, Kept, Make};
use crate::suite::Test;

pub use memory::MemoryCache;

/// A cache of its own, for one case.
#[derive(Debug)]
pub struct FreshCache {
    cache: Arc<dyn Cache>,
    kept: Option<Kept>,
}

impl FreshCache {
    /// This cache. No other case may use the names that a case uses in it.
    pub fn new(cache: Arc<dyn Cache>) -> Self {
        Self { cache, kept: None }
    }

    /// Keeps this until the case has ended: a temporary directory, a server.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept = Some(Kept::new(kept));
        self
    }
}

/// What [`Cache`] promises, as tests of one cache.
///
/// ```
/// use std::sync::Arc;
///
/// use quintette_testkit::{CacheSuite, FreshCache, MemoryCache};
///
/// let suite = CacheSuite::new("memory", || async {
///     Ok(FreshCache::new(Arc::new(MemoryCache::new())))
/// });
/// suite.run("of_many_who_add_at_once_one_does").unwrap();
/// ```
#[derive(Clone)]
pub struct CacheSuite {
    name: String,
    make: Make<FreshCache>,
}

impl CacheSuite {
    /// The tests of the cache that `make` makes, for each case anew. The tests' names begin with `name`.
    ///
    /// Where `make` fails, so does the case: a missing server is a failure, and its message should say what to install.
    pub fn new<F, Fut>(name: impl Into<String>, make: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<FreshCache, BoxError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            make: Arc::new(move || Box::pin(make())),
        }
    }

    /// What the cases are called.
    pub fn cases(&self) -> Vec<&'static str> {
        cases::cases().iter().map(Case::name).collect()
    }

    /// Runs one case, for a test suite that is not made of [`Contracts`](crate::Contracts).
    ///
    /// # Errors
    ///
    /// What went wrong, where the cache breaks this promise; and where there is no such case.
    pub fn run(&self, name: &str) -> Result<(), String> {
        let case = cases::cases().into_iter().find(|case| case.name() == name);
        case.ok_or_else(|| format!("there is no case {name:?}"))?
            .run(&self.make)
    }

    pub(crate) fn tests(&self) -> Vec<Test> {
        let tests = cases::cases().into_iter();
        tests
            .map(|case| Test::new(&self.name, case, self.make.clone()))
            .collect()
    }
}

impl fmt::Debug for CacheSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheSuite")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
