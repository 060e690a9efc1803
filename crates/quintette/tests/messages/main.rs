//! What a visitor sees of messages: requests in, responses and cookies out. By Django's groups of tests.

#![cfg(feature = "axum")]

mod api;
mod at_once;
mod base;
mod cookie;
mod django;
mod fallback;
mod hostile;
mod layer;
#[path = "../layers/log.rs"]
mod log;
mod login;
mod session;
mod site;
