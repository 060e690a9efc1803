//! The middleware that gives each request its messages. Django's `MessageMiddleware`.
//!
//! - A request comes: a [`Messages`](crate::messages::Messages) into the extensions, no look at its cookie or session.
//! - The response goes: where messages were added or taken, those that were not shown are stored, in a cookie of the
//!   response or in the session, which is saved after that.
//!
//! The layer stands inside the session layer, and inside those of CSRF and logins where there are any: in axum the last
//! `layer` is the outermost. [The module of messages](crate::messages) has an example. With
//! `MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"` no sessions are needed.
//!
//! Where messages are in the session and its store is down, the response is replaced by a 503 with `Retry-After`.

mod future;
#[expect(
    clippy::module_inception,
    reason = "every middleware folder has mod, layer, service, future"
)]
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::MessagesLayer;
pub use service::MessagesService;
