//! Forms that only this site may send. Django's `CsrfViewMiddleware`.
//!
//! A page of another site can make a visitor's browser send a form here, with the visitor's cookies. What it cannot do is
//! read a page of this site. So each form of this site carries a token that was in the page, and [`CsrfLayer`] refuses what
//! changes something and has none. Cookies, tokens and checks are Django's: a page of a Django site may post here, and one
//! from here there, where both have the host and the settings.
//!
//! ```
//! use axum::response::Html;
//! use axum::{Form, Router, routing::get};
//! use quintette::csrf::{Csrf, CsrfLayer};
//! use quintette::sessions::{SessionError, SessionLayer, Sessions};
//!
//! async fn ask(csrf: Csrf) -> Result<Html<String>, SessionError> {
//!     let token = csrf.input().await?; // a hidden field
//!     Ok(Html(format!(r#"<form method="post">{token}<input name="wish"><button>Send</button></form>"#)))
//! }
//!
//! async fn wish(Form(fields): Form<Vec<(String, String)>>) -> String {
//!     format!("From this site, for certain: {fields:?}")
//! }
//!
//! fn app(sessions: Sessions) -> Router {
//!     Router::new()
//!         .route("/", get(ask).post(wish))
//!         .layer(CsrfLayer::new(sessions.settings().clone())) // inside of the sessions, as in Django
//!         .layer(SessionLayer::new(sessions))
//! }
//! ```
//!
//! # What is checked
//!
//! GET, HEAD, OPTIONS and TRACE get through: let them change nothing. Any other request is refused with 403 unless
//!
//! 1. its `Origin`, where there is one, is the scheme and host of the request, or one of `CSRF_TRUSTED_ORIGINS`;
//! 2. over https and without `Origin`, its `Referer` is an https page of the host, of `CSRF_COOKIE_DOMAIN`
//!    (`SESSION_COOKIE_DOMAIN` with `CSRF_USE_SESSIONS`) or of `CSRF_TRUSTED_ORIGINS`;
//! 3. the visitor has a secret, in the cookie `CSRF_COOKIE_NAME` or with `CSRF_USE_SESSIONS` in the session;
//! 4. its token carries that secret. The token is the field `csrfmiddlewaretoken` of a form that comes by POST, else the header
//!    `CSRF_HEADER_NAME` (`X-CSRFToken`), which scripts use: for JSON, for PUT, PATCH and DELETE.
//!
//! The reason is in the log (target `quintette::csrf`), and with `DEBUG` on the page, in Django's words.
//!
//! Only a form that comes by POST, from a visitor with a secret, is read. An urlencoded one is read whole, and is refused with 400
//! where it is longer than `DATA_UPLOAD_MAX_MEMORY_SIZE`. A multipart one is read up to its token: put the field before the
//! files, and they stream through to the handler, however large. What was read is handed on, complete; every other
//! request goes on as it came.
//!
//! # What a response says
//!
//! A page for which [`Csrf::token`] was called, or [`Csrf::rotate`], sets the cookie and says `Vary: Cookie`. It is that
//! visitor's own: a shared cache that ignores `Vary` gives its token to others, whose forms are then refused. Any other
//! page says nothing and may be cached.
//!
//! With `CSRF_USE_SESSIONS` the session is asked only for a token or a check. (Django asks it on each request, so that
//! each of its responses varies on the cookie.)
//!
//! # Behind a proxy
//!
//! Most forms that are refused by mistake are: the browser says `Origin: https://shop.example.com`, and the program believes
//! it is `http://127.0.0.1:8000`. Let the proxy pass on the `Host` (or set `USE_X_FORWARDED_HOST`), name the host in
//! `ALLOWED_HOSTS`, and tell with `SECURE_PROXY_SSL_HEADER` what came over https. Let the proxy overwrite those headers,
//! since what it passes on from outside is the attacker's. A server that ends TLS itself puts
//! [`OverHttps`](crate::http::OverHttps) into each request.
//!
//! # What it does not do
//!
//! It is no protection from a script within the site's own pages, and none for a site whose subdomains belong to others:
//! these can set its cookies (a `__Host-` name for the cookie, or `CSRF_USE_SESSIONS`, keeps them from it). A WebSocket
//! begins with a GET, which is not checked.

mod body;
mod check;
#[cfg(feature = "axum")]
mod extract;
mod failure;
mod form;
mod future;
mod handle;
mod layer;
mod origin;
mod page;
mod service;
mod token;

pub use body::ReplayBody;
#[cfg(feature = "axum")]
pub use extract::MissingCsrfLayer;
pub use failure::{CsrfFailure, CsrfReason};
pub use future::ResponseFuture;
pub use handle::Csrf;
pub use layer::CsrfLayer;
pub use service::CsrfService;
pub use token::TokenProblem;
