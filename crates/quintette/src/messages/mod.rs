//! Notes to the visitor that wait for the next page: "Your order was placed". Django's `django.contrib.messages`.
//!
//! A handler adds messages, and the next page that shows them takes them, be it this response or the one after a
//! redirect, here or on the Django side. [`MessagesLayer`] gives each request its [`Messages`]:
//!
//! ```
//! use axum::response::Redirect;
//! use axum::{Router, routing::{get, post}};
//! use quintette::messages::{Messages, MessagesLayer};
//! use quintette::sessions::{SessionError, SessionLayer, Sessions};
//!
//! async fn order(messages: Messages) -> Redirect {
//!     messages.success("Your order was placed.");
//!     Redirect::to("/")
//! }
//!
//! async fn page(messages: Messages) -> Result<String, SessionError> {
//!     let messages = messages.take().await?;
//!     let lines = messages.iter().map(|message| format!("[{}] {message}\n", message.tags()));
//!     Ok(lines.collect())
//! }
//!
//! fn app(sessions: Sessions) -> Router {
//!     Router::new()
//!         .route("/", get(page))
//!         .route("/order", post(order))
//!         .layer(MessagesLayer::new(sessions.settings()))
//!         .layer(SessionLayer::new(sessions))
//! }
//! ```
//!
//! # Where they wait
//!
//! | `MESSAGE_STORAGE` | |
//! | --- | --- |
//! | `…fallback.FallbackStorage`, the default | in the cookie as many as fit, the oldest first; the rest in the session |
//! | `…cookie.CookieStorage` | in the signed cookie `messages`, up to 2,048 bytes; where they are more, the oldest are lost |
//! | `…session.SessionStorage` | in the session, under `_messages` |
//!
//! The cookie has the attributes of the session's. A visitor can read it, and cannot change it: one that is forged, cut
//! off or anything else than what was signed holds no messages. `MESSAGE_LEVEL` says which messages are worth keeping,
//! `MESSAGE_TAGS` the tags of each level.
//!
//! A request that neither adds nor reads messages costs nothing: no look at the cookie, no session, no header.
//!
//! # Two responses at once
//!
//! Messages in the session are part of its commit: what one request adds is kept, and what one request has shown is not
//! shown again, though another request stores its own at the same time. In a cookie nothing can be compared: of two
//! responses to one browser that both set it, the last one holds.
//!
//! Messages survive a login, which gives the session a new key. A logout flushes the session, and with it the
//! messages that were waiting there; what the logout's own request adds comes after it and is kept.
//!
//! Source: `django/contrib/messages` of Django 5.2.19.

#[cfg(feature = "axum")]
mod extract;
mod handle;
pub mod layer;
mod level;
mod message;
mod storage;

#[cfg(feature = "axum")]
pub use extract::MissingMessagesLayer;
pub use handle::Messages;
pub use layer::MessagesLayer;
pub use level::{DEFAULT_LEVELS, Level};
pub use message::Message;
