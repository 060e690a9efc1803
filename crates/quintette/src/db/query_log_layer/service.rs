use std::task::{Context, Poll};

use http::Request;
use tower_service::Service;

use super::QueryLogFuture;
use crate::db::QueryLog;

/// A service whose requests have a log of their statements. See [the module](super).
#[derive(Clone, Debug)]
pub struct QueryLogService<S> {
    inner: S,
    debug: bool,
}

impl<S> QueryLogService<S> {
    pub(super) fn new(inner: S, debug: bool) -> Self {
        Self { inner, debug }
    }
}

impl<S, B> Service<Request<B>> for QueryLogService<S>
where
    S: Service<Request<B>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = QueryLogFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !self.debug {
            return QueryLogFuture::plain(self.inner.call(request));
        }
        let log = QueryLog::new();
        request.extensions_mut().insert(log.clone());
        QueryLogFuture::recorded(log.record(self.inner.call(request)))
    }
}
