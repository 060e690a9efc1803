//! The contract of an engine, promise by promise.

mod cookie;
mod expiry;
mod keys;
mod listing;
mod session;
mod store;
mod values;
mod writes;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use quintette_core::session::SessionEngine;
use quintette_core::settings::Settings;

use crate::case::{BoxError, Case, Kept, Make};
use crate::suite::Test;
use store::Store;

/// An engine over a store of its own, for one case.
#[derive(Debug)]
pub struct FreshEngine {
    engine: Arc<dyn SessionEngine>,
    settings: Settings,
    kept: Option<Kept>,
}

impl FreshEngine {
    /// This engine. No other case may see what is stored in it.
    pub fn new(engine: Arc<dyn SessionEngine>) -> Self {
        Self {
            engine,
            settings: Settings::new("a secret that is for tests alone"),
            kept: None,
        }
    }

    /// With the settings that the engine was made with. A secret is all they need.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Keeps this until the case has ended: a temporary directory, a server.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept = Some(Kept::new(kept));
        self
    }
}

/// What [`SessionEngine`] and the [`Session`](quintette_core::session::Session) above it promise, as tests of one engine.
///
/// Every case is given a new store, so that cases run at once.
///
/// ```
/// use std::sync::Arc;
///
/// use quintette_testkit::{EngineSuite, FreshEngine, MemoryEngine};
///
/// let suite = EngineSuite::new("memory", || async {
///     Ok(FreshEngine::new(Arc::new(MemoryEngine::new())))
/// });
/// suite.run("replacing_a_deleted_session_is_gone_and_brings_nothing_back").unwrap();
/// ```
#[derive(Clone)]
pub struct EngineSuite {
    name: String,
    make: Make<FreshEngine>,
    traits: Traits,
}

/// In what engines may differ.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about an engine, each declared on its own"
)]
struct Traits {
    cannot_list: bool,
    expires_by_itself: bool,
    respells_numbers: bool,
    in_the_cookie: bool,
}

impl EngineSuite {
    /// The tests of the engine that `make` makes, for each case anew. The tests' names begin with `name`.
    ///
    /// Where `make` fails, so does the case: a missing server is a failure, and its message should say what to install.
    pub fn new<F, Fut>(name: impl Into<String>, make: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<FreshEngine, BoxError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            make: Arc::new(move || Box::pin(make())),
            traits: Traits::default(),
        }
    }

    /// The store cannot enumerate: [`list`](SessionEngine::list) is
    /// [`Unsupported`](quintette_core::session::SessionErrorKind::Unsupported).
    #[must_use]
    pub fn cannot_list(mut self) -> Self {
        self.traits.cannot_list = true;
        self
    }

    /// The store removes by itself what has expired: [`clear_expired`](SessionEngine::clear_expired) finds nothing.
    #[must_use]
    pub fn expires_by_itself(mut self) -> Self {
        self.traits.expires_by_itself = true;
        self
    }

    /// The store keeps numbers and not their text, as a pickle does: `1e400` may come back as `Infinity`.
    #[must_use]
    pub fn respells_numbers(mut self) -> Self {
        self.traits.respells_numbers = true;
        self
    }

    /// There is no store: the session's key is its data, as with `signed_cookies`. Another, shorter list of promises.
    #[must_use]
    pub fn in_the_cookie(mut self) -> Self {
        self.traits.in_the_cookie = true;
        self
    }

    /// What the cases are called.
    pub fn cases(&self) -> Vec<&'static str> {
        self.list().iter().map(Case::name).collect()
    }

    /// Runs one case, for a test suite that is not made of [`Contracts`](crate::Contracts).
    ///
    /// # Errors
    ///
    /// What went wrong, where the engine breaks this promise; and where there is no such case.
    pub fn run(&self, name: &str) -> Result<(), String> {
        let case = self.list().into_iter().find(|case| case.name() == name);
        case.ok_or_else(|| format!("there is no case {name:?}"))?
            .run(&self.stores())
    }

    pub(crate) fn tests(&self) -> Vec<Test> {
        let stores = self.stores();
        let tests = self.list().into_iter();
        tests
            .map(|case| Test::new(&self.name, case, stores.clone()))
            .collect()
    }

    fn list(&self) -> Vec<Case<Store>> {
        if self.traits.in_the_cookie {
            return cookie::cases();
        }
        [
            values::cases(self.traits.respells_numbers),
            keys::cases(),
            writes::cases(),
            expiry::cases(self.traits.expires_by_itself),
            listing::cases(self.traits.cannot_list),
            session::cases(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn stores(&self) -> Make<Store> {
        let make = self.make.clone();
        Arc::new(move || {
            let fresh = make();
            Box::pin(async move { Ok(Store::new(fresh.await?)) })
        })
    }
}

impl std::fmt::Debug for EngineSuite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineSuite")
            .field("name", &self.name)
            .field("traits", &self.traits)
            .finish_non_exhaustive()
    }
}
