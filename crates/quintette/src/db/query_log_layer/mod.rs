//! Gives each request a [`QueryLog`](super::QueryLog) of its own while `DEBUG` is on: what `sql_queries` lists in templates.
//!
//! The log is in the request's extensions, for handlers and templates. The layer stands outside of whatever is to be
//! noted: in axum, the last `layer` is the outermost. Without `DEBUG` it does nothing.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use quintette::db::{QueryLog, QueryLogLayer};
//! use quintette::sessions::{SessionLayer, Sessions};
//!
//! async fn statements(log: Option<Extension<QueryLog>>) -> String {
//!     let queries = log.map(|Extension(log)| log.queries()).unwrap_or_default();
//!     queries.into_iter().map(|query| query.sql + "\n").collect()
//! }
//!
//! fn app(sessions: Sessions) -> Router {
//!     let log = QueryLogLayer::new(sessions.settings());
//!     Router::new()
//!         .route("/statements", get(statements))
//!         .layer(SessionLayer::new(sessions))
//!         .layer(log)
//! }
//! ```

mod future;
mod service;

use quintette_core::settings::Settings;
use tower_layer::Layer;

pub use future::QueryLogFuture;
pub use service::QueryLogService;

/// Gives each request a [`QueryLog`](super::QueryLog) while `DEBUG` is on. See [the module](self).
#[derive(Clone, Copy, Debug)]
pub struct QueryLogLayer {
    debug: bool,
}

impl QueryLogLayer {
    /// With the setting `DEBUG`.
    pub fn new(settings: &Settings) -> Self {
        Self {
            debug: settings.debug,
        }
    }
}

impl<S> Layer<S> for QueryLogLayer {
    type Service = QueryLogService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        QueryLogService::new(inner, self.debug)
    }
}
