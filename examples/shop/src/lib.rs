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
//! Products and orders stay in its `SQLite` file; three settings say where the sessions are, and the shop makes their
//! tables by itself:
//!
//! | sessions | settings |
//! | --- | --- |
//! | rows in `SQLite` | none |
//! | rows in `PostgreSQL` | `DATABASE_URL=postgres://…` |
//! | rows in `MariaDB` or `MySQL` | `DATABASE_URL=mysql://…` |
//! | in Redis | `SESSION_ENGINE=cache CACHE_URL=redis://…` |
//! | in Memcached | `SESSION_ENGINE=cache CACHE_URL=memcached://…` |
//! | rows in `PostgreSQL`, read through Redis | `SESSION_ENGINE=cached_db DATABASE_URL=postgres://… CACHE_URL=redis://…` |
//! | rows in `MariaDB`, read through Memcached | `SESSION_ENGINE=cached_db DATABASE_URL=mysql://… CACHE_URL=memcached://…` |
//! | files in `SHOP_DATA` | `SESSION_ENGINE=file` |
//! | in the visitors' browsers | `SESSION_ENGINE=signed_cookies` |
//!
//! Servers to try them on, gone when Ctrl-D ends the command, and the URLs to copy:
//!
//! ```text
//! cargo run -p quintette-testkit --features servers --bin quintette-servers -- postgres redis
//! ```
//!
//! Several processes with one `SHOP_DATA` are one shop: put them behind a proxy, and a visitor goes on at any of them.
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
pub mod place;
mod sample;
mod session_page;
mod store;
