//! [`Csrf`] as an axum extractor.

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::Csrf;

/// The request has no CSRF token, since no layer gave it one. A 500 that names the line to add.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "this handler takes a Csrf, but no CsrfLayer stands before it: add \
     `.layer(quintette::csrf::CsrfLayer::new(settings))` to the Router, after its routes"
)]
pub struct MissingCsrfLayer;

impl IntoResponse for MissingCsrfLayer {
    fn into_response(self) -> Response {
        tracing::error!(target: "quintette::csrf", "{self}");
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Csrf {
    type Rejection = MissingCsrfLayer;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let csrf = parts.extensions.get::<Self>().cloned();
        csrf.ok_or(MissingCsrfLayer)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Csrf {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
