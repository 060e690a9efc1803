//! Routes for some visitors only: Django's `login_required`, `permission_required`, `user_passes_test` and
//! `LoginRequiredMiddleware`, as layers for a route or a group of routes.
//!
//! They stand inside the [`AuthLayer`](super::AuthLayer). A stranger is sent to `LOGIN_URL?next=…`.
//!
//! ```
//! use axum::{Router, routing::get};
//! use quintette::auth::guards::{login_required, permission_required, user_passes_test};
//!
//! let orders: Router = Router::new()
//!     .route("/orders", get(async || "your orders"))
//!     .layer(login_required());
//! let staff: Router = Router::new()
//!     .route("/staff/orders", get(async || "all orders"))
//!     .layer(permission_required("shop.view_order").raise_exception());
//! let admin: Router = Router::new()
//!     .route("/admin", get(async || "the admin"))
//!     .layer(user_passes_test(|user| user.is_some_and(|user| user.is_staff())));
//! let app = orders.merge(staff).merge(admin);
//! ```
//!
//! To demand a login everywhere, put the layer around all routes, and say where it is not:
//!
//! ```
//! use axum::{Router, routing::get};
//! use quintette::auth::guards::login_required;
//!
//! let app: Router = Router::new()
//!     .route("/", get(async || "for users"))
//!     .route("/health", get(async || "for everyone"))
//!     .layer(login_required().login_not_required(["/health", "/accounts/*"]));
//! ```
//!
//! A handler that takes a [`User`] demands a login by itself, and needs no guard.

mod rule;
mod service;

use std::sync::Arc;

use tower_layer::Layer;

use super::User;
use rule::{Rule, Test};

pub use service::GuardService;

/// Lets only some visitors pass. Made by [`login_required`], [`permission_required`] and [`user_passes_test`].
#[derive(Clone, Debug)]
pub struct GuardLayer {
    rule: Arc<Rule>,
}

/// For whoever has logged in; others are sent to the login page. Django's `login_required`, and, around everything, its
/// `LoginRequiredMiddleware`.
pub fn login_required() -> GuardLayer {
    GuardLayer::new(Test::LoggedIn)
}

/// For whoever may do this, as `app.codename`; others are sent to the login page, as in Django, or refused with
/// [`raise_exception`](GuardLayer::raise_exception). Django's `permission_required`.
pub fn permission_required(permission: impl Into<String>) -> GuardLayer {
    permissions_required([permission])
}

/// For whoever may do all of these. Django's `permission_required` with several.
pub fn permissions_required<P: Into<String>>(
    permissions: impl IntoIterator<Item = P>,
) -> GuardLayer {
    GuardLayer::new(Test::Permissions(
        permissions.into_iter().map(Into::into).collect(),
    ))
}

/// For whoever passes the test, which is given `None` for a stranger; others are sent to the login page. Django's
/// `user_passes_test`.
pub fn user_passes_test(
    test: impl Fn(Option<&User>) -> bool + Send + Sync + 'static,
) -> GuardLayer {
    GuardLayer::new(Test::Passes(Box::new(test)))
}

impl GuardLayer {
    fn new(test: Test) -> Self {
        Self {
            rule: Arc::new(Rule::new(test)),
        }
    }

    /// Refuses with 403, and sends nobody to the login page.
    #[must_use]
    pub fn raise_exception(self) -> Self {
        self.change(|rule| rule.refuses = true)
    }

    /// Sends to this page in the place of `LOGIN_URL`.
    #[must_use]
    pub fn login_url(self, url: impl Into<String>) -> Self {
        self.change(|rule| rule.login_url = Some(url.into()))
    }

    /// Lets everybody pass to these paths, and to the login page itself. Django's `login_not_required`.
    ///
    /// A path is meant exactly; one that ends in `*` stands for all that begin with what is before it. Paths are compared
    /// decoded; one that could be taken for another (with `..`, `//`, an encoded slash) is open to nobody.
    #[must_use]
    pub fn login_not_required<P: Into<String>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        self.change(|rule| rule.open.extend(paths))
    }

    fn change(mut self, change: impl FnOnce(&mut Rule)) -> Self {
        change(Arc::make_mut(&mut self.rule));
        self
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardService::new(inner, self.rule.clone())
    }
}
