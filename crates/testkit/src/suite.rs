use std::fmt;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::cache::CacheSuite;
use crate::case::{Case, Make};
use crate::engine::EngineSuite;

/// Contracts to be held against engines and caches: the `main` of a test without `harness`.
///
/// See [the crate](crate) for an example.
#[derive(Debug, Default)]
#[must_use = "nothing runs before `main`"]
pub struct Contracts {
    tests: Vec<Test>,
}

/// A case of a suite, under its full name.
pub(crate) struct Test {
    name: String,
    run: Box<dyn FnOnce() -> Result<(), String> + Send>,
}

impl Test {
    pub(crate) fn new<S: 'static>(suite: &str, case: Case<S>, make: Make<S>) -> Self {
        Self {
            name: format!("{suite}::{}", case.name()),
            run: Box::new(move || case.run(&make)),
        }
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Contracts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The contract of an engine.
    pub fn engine(mut self, suite: &EngineSuite) -> Self {
        self.tests.extend(suite.tests());
        self
    }

    /// The contract of a cache.
    pub fn cache(mut self, suite: &CacheSuite) -> Self {
        self.tests.extend(suite.tests());
        self
    }

    /// Runs the cases that the command line selects, as `cargo test` does: one line for each, several at once, and
    /// the usual summary. It reads the usual arguments: a filter, `--exact`, `--skip`, `--list`, `--test-threads`.
    ///
    /// Return what it returns from `main`, so that a failure fails the process.
    pub fn main(self) -> ExitCode {
        let trial = |test: Test| Trial::test(test.name, move || (test.run)().map_err(Failed::from));
        let trials = self.tests.into_iter().map(trial).collect();
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }
}
