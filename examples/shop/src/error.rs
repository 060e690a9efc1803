//! What can go wrong with a request.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use quintette::auth::AuthError;
use quintette::http::DisallowedHost;
use quintette::sessions::SessionError;
use quintette::templates::TemplateError;
use quintette_tasks::SendError;
use quintette_tasks::canvas::CanvasError;
use quintette_tasks::results::ResultError;

/// The answer to a request that failed. Its page is made by [`crate::pages::dress_errors`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error("there is no such page")]
    NotFound,
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("{0}")]
    Auth(#[from] AuthError),
    #[error("{0}")]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Host(#[from] DisallowedHost),
    #[error("the shop's database cannot answer: {0}")]
    Store(#[from] sqlx::Error),
    #[error("tasks cannot be called: {0}")]
    Tasks(String),
    #[error("a file of the shop cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("too many visitors want the same at once")]
    Busy,
    #[error("the system has no randomness to give: {0}")]
    Random(#[from] getrandom::Error),
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        match self {
            // Quintette's errors know their status, and what of them is for the log alone.
            Self::Session(error) => return error.into_response(),
            Self::Auth(error) => return error.into_response(),
            Self::Template(error) => return error.into_response(),
            Self::NotFound => return StatusCode::NOT_FOUND.into_response(),
            Self::Host(error) => {
                tracing::info!("{error}");
                return StatusCode::BAD_REQUEST.into_response();
            }
            Self::Store(_) | Self::Tasks(_) | Self::File(_) | Self::Busy | Self::Random(_) => {
                tracing::error!("{self}");
            }
        }
        if matches!(self, Self::Store(_) | Self::Tasks(_) | Self::Busy) {
            let seconds = [(header::RETRY_AFTER, "2")];
            return (StatusCode::SERVICE_UNAVAILABLE, seconds).into_response();
        }
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl From<SendError> for ShopError {
    fn from(error: SendError) -> Self {
        Self::Tasks(error.to_string())
    }
}

impl From<CanvasError> for ShopError {
    fn from(error: CanvasError) -> Self {
        Self::Tasks(error.to_string())
    }
}

impl From<ResultError> for ShopError {
    fn from(error: ResultError) -> Self {
        Self::Tasks(error.to_string())
    }
}
