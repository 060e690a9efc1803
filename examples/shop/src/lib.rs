//! Five Leaves, a small tea shop: what a web service with Quintette's sessions, users, forms and messages looks like.
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
//! # Customers and staff
//!
//! Guests order without an account. Who signs up has their orders in it, and a page of the devices where they are logged in.
//! Users are in Django's tables: of the `SQLite` file, or of the database that `DATABASE_URL` names, wherever the sessions
//! are. Mails, which reset passwords, are printed to the console. Staff, who see all orders, need the permission
//! `shop.view_order`; the shop makes no such account, whose password all would know. A superuser may do everything:
//!
//! ```text
//! SECRET_KEY="$(cat shop-data/secret_key)" DATABASE_URL=sqlite://shop-data/shop.sqlite3 \
//!     cargo run --release -p quintette-cli -- createsuperuser
//! ```
//!
//! Behind a proxy that speaks HTTPS, name the site's host, and let the cookies travel by HTTPS alone:
//!
//! ```text
//! ALLOWED_HOSTS=tea.example.com SESSION_COOKIE_SECURE=true CSRF_COOKIE_SECURE=true \
//!     SECURE_PROXY_SSL_HEADER='["HTTP_X_FORWARDED_PROTO", "https"]' CLIENT_ADDRESS_HEADER=HTTP_X_FORWARDED_FOR \
//!     cargo run --release -p shop
//! ```
//!
//! # Where to look
//!
//! | what | where |
//! | --- | --- |
//! | the layers, in Django's order | [`app`] |
//! | typed values in the session, `update` | `cart` |
//! | `get_or_insert`; orders of guests and of users | `checkout` |
//! | flush, a new key, expiry | `session_page` |
//! | `authenticate`, `login`, `logout`, "remember me", safe `next` | `accounts::login` |
//! | new users, password validators with their messages | `accounts::sign_up` |
//! | a password change that keeps this session alone | `accounts::password_change` |
//! | Django's reset tokens | `accounts::password_reset` |
//! | `UserSessions`: an account's devices | `accounts::devices` |
//! | guards: `login_required`, `permission_required` | `accounts` |
//! | templates with Django's context processors, and one of the shop's own | `pages` |
//!
//! The rest is a shop. Each form carries a CSRF token (`{{ csrf_input }}`), and so each page with a form sets the cookie of
//! the token; the front page has none, so that who only looks around gets no cookie. A session is made when there is
//! something to remember.

mod accounts;
pub mod app;
mod cart;
mod catalogue;
mod checkout;
pub mod config;
mod error;
mod form;
mod indented;
pub mod jobs;
pub mod mail;
mod pages;
pub mod place;
mod post;
mod sample;
mod session_page;
mod staff;
mod store;
mod times;
