//! What a visitor, and another site behind the visitor's back, see of the CSRF layer.
//!
//! The groups follow Django's `tests/csrf_tests`.

#![cfg(feature = "axum")]

mod axum_app;
mod beside_django;
mod bodies;
mod cookie;
mod exempt;
mod failure;
mod hang_up;
#[path = "../layers/log.rs"]
mod log;
mod origin;
mod referer;
mod sessions;
mod site;
mod tokens;
