//! Django's sessions in Rust: the formats and the contracts. No sockets, no runtime, no web framework, no SQL.
//!
//! Most programs want the `quintette` crate, which has engines and middleware. This one is for those who write an
//! engine, a cache or an adapter for another web framework.

pub mod cache;
pub mod cookie;
pub mod json;
pub mod pickle;
pub mod session;
pub mod settings;
pub mod signing;
pub mod time;
