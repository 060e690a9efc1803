//! Django's sessions: five engines, and the layers that bring them to a web service.
//!
//! [`connect`] gives the sessions that the settings describe; [`SessionLayer`] gives each request its [`Session`].
//!
//! | `SESSION_ENGINE` | where sessions live | choose it for |
//! | --- | --- | --- |
//! | `db` ([`DbEngine`](engines::DbEngine)), the default | the table `django_session` | sessions that last |
//! | `cached_db` ([`CachedDbEngine`](engines::CachedDbEngine)) | the table, with a cache in front | the same, read often |
//! | `cache` ([`CacheEngine`](engines::CacheEngine)) | a cache | sessions that may be lost |
//! | `file` ([`FileEngine`](engines::FileEngine)) | a directory | one machine without a database |
//! | `signed_cookies` ([`SignedCookiesEngine`](engines::SignedCookiesEngine)) | the visitor's browser | no store at all |
//!
//! The table is in the database of [`db`](crate::db), the cache any of [`cache`](crate::cache). Whatever the engine,
//! changes are compared with what is stored by then and not written over it; only `signed_cookies`, which stores nothing,
//! takes the last response for the truth.
//!
//! What has expired goes with `quintette clearsessions`, or with [`clear_expired_every`] in the application. Caches expire
//! their entries themselves.

mod clean_up;
mod connect;
pub mod engines;
pub mod layer;
pub(crate) mod response;
pub mod timeout;

pub use clean_up::clear_expired_every;
pub use connect::connect;
pub use layer::SessionLayer;
pub use quintette_core::session::*;
pub use timeout::TimeoutLayer;
