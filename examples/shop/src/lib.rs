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
//! are. Mails that reset passwords are printed to the console. Staff, who see all orders and sales reports,
//! need the permission `shop.view_order`, and to change prices `shop.change_product`; the shop makes no such account, whose
//! password all would know. A superuser may do everything:
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
//! # Tasks
//!
//! What no visitor waits for is a task, on Celery's wire:
//!
//! | task | called | does |
//! | --- | --- | --- |
//! | `shop.tasks.send_confirmation` | when an order is placed, in the queue `mail` | writes a mail into `shop-data/mail`, or sends it to `SHOP_SMTP_URL=smtp://host:port` |
//! | `shop.tasks.queue_forgotten` | each minute | queues the confirmations of orders that were placed while the broker was away |
//! | `shop.tasks.sales_report` | at 03:00, or by `SHOP_REPORT_SCHEDULE="0 3 * * *"`; by staff at `/staff/reports` | writes the sales of a day into `shop-data/reports` |
//! | `shop.tasks.import_prices` | by staff at `/staff/prices`: a group, 50 lines to a task | changes prices |
//!
//! They wait in `shop-data/tasks.sqlite3`, and a worker in the shop's process runs them: what was queued is there after a
//! restart. On `RabbitMQ` or Redis, a worker runs beside the shop, with the same `SHOP_DATA`; the shop's own process runs none
//! then (unless `SHOP_WORKER=1` says so; `SHOP_WORKER=0` says the opposite):
//!
//! ```text
//! CELERY_BROKER_URL=amqp://guest:guest@127.0.0.1:5672// cargo run --release -p shop
//! CELERY_BROKER_URL=amqp://guest:guest@127.0.0.1:5672// cargo run --release -p shop -- worker
//! ```
//!
//! Results stay in `shop-data/tasks.sqlite3` unless `CELERY_RESULT_BACKEND` says otherwise. The confirmations may be a Python
//! worker's, `worker.py` of this directory, while Rust runs the others:
//!
//! ```text
//! pip install "celery[redis]"
//! cd examples/shop
//! export CELERY_BROKER_URL=redis://127.0.0.1:6379/0 SHOP_DATA=../../shop-data
//! celery -A worker worker -Q mail &
//! cargo run --release -p shop -- worker celery
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
//! | guards: `login_required`, `permission_required` | `accounts`, `staff` |
//! | tasks as typed values; an order that does not fail when the broker is away | [`jobs`] |
//! | a group, and how far it is, without a script | `jobs::price_import`, `staff::prices` |
//! | a worker and a beat inside a web service | `jobs::background` |
//! | a worker's own program | [`jobs::worker`] |
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
