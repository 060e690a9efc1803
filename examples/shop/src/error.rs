//! What can go wrong with a request.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use quintette::sessions::SessionError;

/// The answer to a request that failed. Its page is made by [`crate::pages::dress_errors`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error("there is no such page")]
    NotFound,
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the shop's database cannot answer: {0}")]
    Store(#[from] sqlx::Error),
    #[error("a page cannot be made: {0}")]
    Page(#[from] minijinja::Error),
    #[error("the system has no randomness to give: {0}")]
    Random(#[from] getrandom::Error),
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => return error.into_response(),
            Self::NotFound => return StatusCode::NOT_FOUND.into_response(),
            Self::Store(_) | Self::Page(_) | Self::Random(_) => tracing::error!("{self}"),
        }
        if matches!(self, Self::Store(_)) {
            let seconds = [(header::RETRY_AFTER, "2")];
            return (StatusCode::SERVICE_UNAVAILABLE, seconds).into_response();
        }
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
