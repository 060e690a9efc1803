//! Proves an engine or a cache for Quintette's sessions. For tests only.
//!
//! The contract that [`SessionEngine`](quintette_core::session::SessionEngine) and
//! [`Cache`](quintette_core::cache::Cache) describe is here as tests: one named test for each promise. Quintette's own
//! engines are held to it, each over its real store, and so can yours be. Some two minutes of work:
//!
//! 1. `Cargo.toml`: `quintette-testkit` among the `[dev-dependencies]`, and a test that brings its own `main`.
//!
//!    ```toml
//!    [[test]]
//!    name = "contract"
//!    harness = false
//!    ```
//!
//! 2. `tests/contract.rs`: how to get a new engine over an empty store, and what it cannot do, if anything.
//!
//!    ```no_run
//!    use std::process::ExitCode;
//!    use std::sync::Arc;
//!
//!    use quintette_testkit::{Contracts, EngineSuite, FreshEngine};
//!    # use quintette_testkit::MemoryEngine;
//!    # struct ShelfEngine;
//!    # impl ShelfEngine {
//!    #     async fn open(_: std::path::PathBuf) -> std::io::Result<MemoryEngine> { Ok(MemoryEngine::new()) }
//!    # }
//!    # mod tempfile {
//!    #     pub struct Directory;
//!    #     impl Directory { pub fn path(&self) -> &std::path::Path { "/".as_ref() } }
//!    #     pub fn tempdir() -> std::io::Result<Directory> { Ok(Directory) }
//!    # }
//!
//!    fn main() -> ExitCode {
//!        let shelf = EngineSuite::new("shelf", || async {
//!            let directory = tempfile::tempdir()?;
//!            let engine = ShelfEngine::open(directory.path().join("shelf")).await?;
//!            Ok(FreshEngine::new(Arc::new(engine)).keeping(directory))
//!        });
//!        Contracts::new().engine(&shelf.cannot_list()).main()
//!    }
//!    ```
//!
//! 3. `cargo test --test contract`:
//!
//!    ```text
//!    running 96 tests
//!    test shelf::an_empty_session_is_a_session ... ok
//!    test shelf::requests_that_write_different_keys_at_once_lose_none ... FAILED
//!    …
//!    test result: FAILED. 95 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 4.21s
//!    ```
//!
//!    A filter selects, as always: `cargo test --test contract shelf::a_deleted`. A failure makes the process fail.
//!
//! Every case is given a new store and a Tokio runtime of its own with several threads, and cases run at once. What
//! `make` returns must therefore be nobody else's: a temporary directory, a database or a key prefix with a random name.
//!
//! # The doubles
//!
//! [`MemoryEngine`] is the plainest engine that keeps the contract: read it before you write one. [`CountingEngine`]
//! tells what a request costs, [`GatedEngine`] makes an interleaving certain and a store fail; both stand before any engine.
//!
//! # Servers
//!
//! With the feature `servers` (Linux alone), the module `servers` starts a `PostgreSQL`, a `MariaDB`, a Redis, a Redis
//! Cluster, a Redis with Sentinels or a Memcached that is the test's own, and a proxy that breaks the connections to it.
//! They are gone with the test, however it ends. The binary `quintette-servers` does so for a shell:
//!
//! ```console
//! $ cargo run -p quintette-testkit --features servers --bin quintette-servers -- postgres redis
//! ```

mod cache;
mod case;
mod doubles;
mod engine;
mod race;
#[cfg(feature = "servers")]
pub mod servers;
mod suite;

pub use cache::{CacheSuite, FreshCache, MemoryCache};
pub use doubles::{CountingEngine, Gate, GatedEngine, MemoryEngine, Operation, When};
pub use engine::{EngineSuite, FreshEngine};
pub use suite::Contracts;
