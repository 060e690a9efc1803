//! Ends sessions that were not used for a while. What the package django-session-timeout does for Django.
//!
//! A session's clock is kept in the session, under `_session_init_timestamp_`, in seconds since 1970, so that a Django
//! site with that package and this layer end each other's sessions at the same time.
//!
//! | setting | meaning |
//! | --- | --- |
//! | `SESSION_EXPIRE_SECONDS` | how long a session lives; `SESSION_COOKIE_AGE` where it is not set |
//! | `SESSION_EXPIRE_AFTER_LAST_ACTIVITY` | count from the last request, not from the first |
//! | `SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD` | seconds during which a further request does not set the clock anew, so that not every request writes |
//! | `SESSION_TIMEOUT_REDIRECT` | where an expired visitor is sent; `LOGIN_URL?next=…` where it is not set |
//! | `SESSION_EXPIRE_ABSOLUTE_SECONDS` | how long a session lives at the most, however active; Quintette's own |
//!
//! A visitor without a session is left alone, and a request with an unknown session creates none. An expired session
//! is flushed, and the visitor redirected.
//!
//! The layer stands inside the session layer. In axum the last `layer` is the outermost:
//!
//! ```
//! use axum::{Router, routing::get};
//! use quintette::sessions::{SessionLayer, Sessions, TimeoutLayer};
//!
//! fn app(sessions: Sessions) -> Router {
//!     Router::new()
//!         .route("/", get(async || "Hello"))
//!         .layer(TimeoutLayer::new(sessions.settings()))
//!         .layer(SessionLayer::new(sessions))
//! }
//! ```

mod clock;
mod layer;
mod service;

pub use crate::gate::GateFuture as ResponseFuture;
pub use layer::TimeoutLayer;
pub use service::TimeoutService;
