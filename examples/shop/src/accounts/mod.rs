//! Customers' accounts: signing up, logging in and out, passwords, orders, and where an account is logged in.

mod devices;
mod login;
mod orders;
mod password_change;
mod password_reset;
mod sign_up;
mod user_agent;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use quintette::auth::guards::login_required;
use quintette::http::{redirect, url_has_allowed_host_and_scheme};
use quintette::settings::Settings;
use quintette::templates::TemplateRequest;
use serde::Deserialize;

use crate::app::Shop;

pub(crate) use password_reset::PasswordResets;

pub(crate) fn routes() -> Router<Shop> {
    let strangers = Router::new()
        .route("/signup", get(sign_up::form).post(sign_up::sign_up))
        .route("/login", get(login::form).post(login::log_in))
        // Never by GET: a picture's address on another site would do it.
        .route("/logout", post(login::log_out))
        .route(
            "/password-reset",
            get(password_reset::form).post(password_reset::ask),
        )
        .route("/password-reset/sent", get(password_reset::sent))
        .route(
            "/password-reset/{uid}/{token}",
            get(password_reset::confirm).post(password_reset::reset),
        );
    let customers = Router::new()
        .route("/account", get(orders::mine))
        .route("/account/devices", get(devices::list).post(devices::end))
        .route(
            "/account/password",
            get(password_change::form).post(password_change::change),
        )
        .layer(login_required());
    strangers.merge(customers)
}

/// Where a visitor came from and wants to go back to. Anybody can write it into a link.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Next {
    next: String,
}

impl Next {
    /// The page of this shop that it names; empty where it names another site.
    fn checked(self, request: &TemplateRequest, settings: &Settings) -> Self {
        let head = request.head();
        let host = head.host(settings).unwrap_or_default();
        let is_ours =
            url_has_allowed_host_and_scheme(&self.next, &[&host], head.is_secure(settings));
        if is_ours { self } else { Self::default() }
    }

    fn redirect(&self, settings: &Settings) -> Response {
        let page = match self.next.as_str() {
            "" => &settings.login_redirect_url,
            next => next,
        };
        redirect(page).map(Body::new)
    }
}
