//! CSRF
mod body;
mod check;
mod exempt;
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
