//! The middleware that gives each request its session and each response its cookie. Django's `SessionMiddleware`.
//!
//! - A request comes: one look for the cookie, a [`Session`](crate::sessions::Session) into the extensions, no
//!   input or output.
//! - The response goes: an untouched session changes nothing. One that was read adds `Vary: Cookie`. One that was
//!   changed is saved first (not where the status is 500 or more), and `Set-Cookie` is added; where nothing is left of
//!   it, the browser is told to forget the cookie.
//! - The body passes through as it is. What a stream changes after the response has begun is not saved by itself:
//!   call [`save`](crate::sessions::Session::save).
//! - Saving runs in a task of its own: it is finished though the client hangs up.
//!
//! Where saving fails, the response is replaced: 400 where the session was deleted meanwhile, 503 with `Retry-After`
//! where the store is down.
//!
//! It is a plain tower layer, for axum and for anything else that speaks [`http`] with bodies of [`bytes::Bytes`]:
//!
//! ```
//! use axum::{Router, routing::get};
//! use quintette::sessions::{self, Session, SessionError, SessionLayer, Sessions};
//!
//! async fn visits(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
//!     Ok(format!("Visit number {visits}"))
//! }
//!
//! fn app(sessions: Sessions) -> Router {
//!     Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions))
//! }
//! ```
//!
//! # Behind a proxy
//!
//! Proxies and browsers drop what they find wrong, without a word. `SESSION_COOKIE_SECURE` needs `https` all the way to
//! the browser (not to this program), `SESSION_COOKIE_DOMAIN` must be the public host or a parent of it, and
//! `SESSION_COOKIE_PATH` the public path, before the proxy rewrites it. `quintette check --deploy` looks for these.

mod future;
#[expect(
    clippy::module_inception,
    reason = "every middleware folder has mod, layer, service, future"
)]
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use service::SessionService;
