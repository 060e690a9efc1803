//! [`Messages`] as an axum extractor.

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::Messages;

/// The request has no messages, since no layer gave it any. A 500 that names the line to add. Django's `MessageFailure`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "this handler takes Messages, but no MessagesLayer stands before it: add \
     `.layer(quintette::messages::MessagesLayer::new(&settings))` to the Router, after its routes and before the SessionLayer"
)]
pub struct MissingMessagesLayer;

impl IntoResponse for MissingMessagesLayer {
    fn into_response(self) -> Response {
        tracing::error!(target: "quintette::messages", "{self}");
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Messages {
    type Rejection = MissingMessagesLayer;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let messages = parts.extensions.get::<Self>();
        messages.cloned().ok_or(MissingMessagesLayer)
    }
}

/// What Django calls `fail_silently`.
impl<S: Sync> OptionalFromRequestParts<S> for Messages {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
