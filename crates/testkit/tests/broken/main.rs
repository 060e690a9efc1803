//! Engines and caches that break a promise, each in its own way, and the case that says so.

mod cache;
mod engine;
mod engine_cases;
