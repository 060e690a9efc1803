//! What a visitor sees of logins: over axum, with the users in an SQLite file and the sessions in memory.

#![cfg(all(feature = "axum", feature = "auth", feature = "sqlite"))]

mod attacks;
mod backends;
mod flood;
mod guards;
#[path = "../layers/log.rs"]
mod log;
mod login;
mod observers;
mod passwords;
mod permissions;
mod sessions;
mod site;
mod throttle;
mod user;
