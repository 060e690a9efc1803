//! Five Leaves, a small tea shop: what a web service with Quintette's sessions looks like.
//!
//! ```text
//! cargo run --release -p shop
//! ```
//!
//! It needs no configuration. `PORT` (8000) and `SHOP_DATA` (`shop-data`, the directory of its database and its secret
//! key) are its own; all of Quintette's settings are taken from `settings.toml` and from the environment:
//!
//! ```text
//! SESSION_ENGINE=signed_cookies SESSION_COOKIE_AGE=3600 cargo run --release -p shop
//! ```
//!
//! `RUST_LOG=shop=debug` logs a line for each request.
//!
//! The sessions are in [`app`] (the layers), `cart` (typed values, `update`), `checkout` (`get_or_insert`) and
//! `session_page` (flush, a new key, expiry). The rest is a shop.
//!
//! Forms carry no CSRF token: the session's cookie is `SameSite=Lax`, so that no other site's form brings it along.

pub mod app;
mod cart;
mod catalogue;
mod checkout;
pub mod config;
mod error;
mod indented;
mod pages;
mod sample;
mod session_page;
mod store;
