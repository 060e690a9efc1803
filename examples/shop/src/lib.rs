//! Five Leaves, a small tea shop: what a web service with Quintette's sessions looks like.
//!
//! The sessions are in [`app`] (the layer), `cart` (typed values, `update`), `checkout` (`get_or_insert`) and
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
