//! The contracts over the doubles, which must keep them: what is tested here is the suite.

use std::process::ExitCode;
use std::sync::Arc;

use quintette_core::session::SessionEngine;
use quintette_testkit::{
    CacheSuite, Contracts, CountingEngine, EngineSuite, FreshCache, FreshEngine, GatedEngine,
    MemoryCache, MemoryEngine,
};

fn suite<E: SessionEngine>(name: &str, engine: fn() -> E) -> EngineSuite {
    EngineSuite::new(name, move || async move {
        Ok(FreshEngine::new(Arc::new(engine())))
    })
}

fn main() -> ExitCode {
    let memory = suite("memory", MemoryEngine::new);
    let wrapped = suite("wrapped", || {
        let counted = CountingEngine::new(Arc::new(MemoryEngine::new()));
        GatedEngine::new(Arc::new(counted))
    });
    let cache = CacheSuite::new("memory-cache", || async {
        Ok(FreshCache::new(Arc::new(MemoryCache::new())))
    });
    Contracts::new()
        .engine(&memory)
        .engine(&wrapped)
        .cache(&cache)
        .main()
}
