//! Gives each request its [`Auth`](super::Auth). Django's `AuthenticationMiddleware`.
//!
//! It stands inside the session layer, and, as in Django, inside the CSRF layer where there is one, whose secret a login
//! changes. It loads nothing: who asks for the user does. In axum the last `layer` is the outermost:
//!
//! ```
//! use axum::{Router, routing::get};
//! use quintette::auth::{AuthLayer, Authentication, User};
//! use quintette::csrf::CsrfLayer;
//! use quintette::sessions::{SessionLayer, Sessions};
//!
//! fn app(sessions: Sessions, authentication: Authentication) -> Router {
//!     Router::new()
//!         .route("/", get(async |user: Option<User>| match user {
//!             Some(user) => format!("Hello, {user}"),
//!             None => "Hello, stranger".to_owned(),
//!         }))
//!         .layer(AuthLayer::new(authentication))
//!         .layer(CsrfLayer::new(sessions.settings().clone()))
//!         .layer(SessionLayer::new(sessions))
//! }
//! ```

mod service;

use tower_layer::Layer;

use super::Authentication;

pub use service::AuthService;

/// Gives each request its [`Auth`](super::Auth). See [the module](self).
#[derive(Clone, Debug)]
pub struct AuthLayer {
    authentication: Authentication,
}

impl AuthLayer {
    /// For these users. It must be used within a Tokio runtime.
    pub fn new(authentication: Authentication) -> Self {
        Self { authentication }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = AuthService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, self.authentication.clone())
    }
}
