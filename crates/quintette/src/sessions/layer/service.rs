use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response, header};
use http_body_util::{Either, Full};
use quintette_core::cookie;
use quintette_core::session::Sessions;
use tower_service::Service;

use super::ResponseFuture;

/// A service whose requests have sessions. See [the module](super).
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    sessions: Sessions,
}

impl<S> SessionService<S> {
    pub(super) fn new(inner: S, sessions: Sessions) -> Self {
        Self { inner, sessions }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<Either<ResBody, Full<bytes::Bytes>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let headers = request
            .headers()
            .get_all(header::COOKIE)
            .iter()
            .map(HeaderValue::as_bytes);
        let cookie = cookie::value(
            headers,
            self.sessions.settings().session_cookie_name.as_str(),
        );
        let session = self.sessions.session(cookie.as_deref());
        request.extensions_mut().insert(session.clone());
        ResponseFuture::new(self.inner.call(request), session, self.sessions.clone())
    }
}
