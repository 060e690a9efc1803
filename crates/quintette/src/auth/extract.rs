//! [`Auth`] and [`User`] as axum extractors, and their errors as responses.

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::response::error_response;
use super::{Auth, AuthError, User};
use crate::http::{RequestHead, redirect};

/// The request has no [`Auth`], since no layer gave it one. A 500 that names the line to add.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "this handler takes an Auth or a User, but no AuthLayer stands before it: add \
     `.layer(quintette::auth::AuthLayer::new(authentication))` to the Router, after its routes and before the SessionLayer"
)]
pub struct MissingAuthLayer;

impl IntoResponse for MissingAuthLayer {
    fn into_response(self) -> Response {
        tracing::error!(target: "quintette::auth", "{self}");
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// Why a handler that takes a [`User`] was not called.
#[derive(Debug)]
#[non_exhaustive]
pub enum UserRejection {
    /// Nobody is logged in: a redirect (302) to `LOGIN_URL?next=…`, as Django's `login_required` answers.
    LoginRequired {
        /// Where to.
        location: String,
    },
    /// A store could not answer.
    Auth(AuthError),
    /// No layer gave the request an [`Auth`].
    MissingAuthLayer(MissingAuthLayer),
}

impl IntoResponse for UserRejection {
    fn into_response(self) -> Response {
        match self {
            Self::LoginRequired { location } => redirect(&location).map(Body::new),
            Self::Auth(error) => error.into_response(),
            Self::MissingAuthLayer(missing) => missing.into_response(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Auth {
    type Rejection = MissingAuthLayer;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(MissingAuthLayer)
    }
}

/// The user who has logged in; a stranger is sent to the login page.
impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = UserRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let user = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        if let Some(user) = user {
            return Ok(user);
        }
        let auth = parts.extensions.get::<Auth>();
        let auth = auth.ok_or(UserRejection::MissingAuthLayer(MissingAuthLayer))?;
        let settings = auth.authentication().settings();
        Err(UserRejection::LoginRequired {
            location: RequestHead::from(&*parts).login_url(&settings.login_url, settings),
        })
    }
}

/// The user, or `None` for a stranger.
impl<S: Sync> OptionalFromRequestParts<S> for User {
    type Rejection = UserRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        let auth = parts.extensions.get::<Auth>().cloned();
        let auth = auth.ok_or(UserRejection::MissingAuthLayer(MissingAuthLayer))?;
        auth.user().await.map_err(UserRejection::Auth)
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        error_response(&self).map(Body::new)
    }
}
