use std::mem;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use quintette_core::session::Session;
use tower_service::Service;

use super::ResponseFuture;
use super::body::ReplayBody;
use super::check::{check, is_safe};
use super::handle::Csrf;
use super::layer::Rules;
use crate::http::RequestHead;
use crate::sessions::response::text_response;

/// A service that other sites cannot make a visitor's browser use. See [the module](super).
#[derive(Clone, Debug)]
pub struct CsrfService<S> {
    inner: S,
    rules: Rules,
}

impl<S> CsrfService<S> {
    pub(super) fn new(inner: S, rules: Rules) -> Self {
        Self { inner, rules }
    }

    /// The handle of the request: that of an outer layer, where there is one. `None` where the session is missing that is
    /// to hold the secret.
    fn handle<B>(&self, request: &Request<B>) -> Option<Csrf> {
        let extensions = request.extensions();
        if let Some(csrf) = extensions.get::<Csrf>() {
            return Some(csrf.clone());
        }
        let settings = self.rules.settings.clone();
        let session = if settings.csrf_use_sessions {
            Some(extensions.get::<Session>()?.clone())
        } else {
            None
        };
        Some(Csrf::new(settings, session, RequestHead::from(request)))
    }

    fn is_checked<B>(&self, request: &Request<B>) -> bool {
        !is_safe(request.method())
            && !self.rules.exempt
            && !self.rules.exempt_paths.contain(RequestHead::from(request))
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for CsrfService<S>
where
    S: Service<Request<ReplayBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    ReqBody: Body<Data = Bytes> + Send + 'static,
    ReqBody::Error: Send,
{
    type Response = Response<Either<ResBody, Full<Bytes>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(csrf) = self.handle(&request) else {
            return ResponseFuture::answer(no_session());
        };
        #[cfg(feature = "auth")]
        if let Some(auth) = request.extensions().get::<crate::auth::Auth>() {
            auth.adopt_csrf(&csrf);
        }
        request.extensions_mut().insert(csrf.clone());
        if !self.is_checked(&request) {
            return ResponseFuture::call(self.inner.call(ReplayBody::unread(request)), csrf);
        }
        // The service that was polled ready is the one to call; its clone has to be polled itself.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let (rules, handle) = (self.rules.clone(), csrf.clone());
        let check = Box::pin(async move { check(request, &rules, &handle).await });
        ResponseFuture::check(check, inner, csrf)
    }
}

fn no_session() -> Response<Full<Bytes>> {
    let text = "CSRF_USE_SESSIONS is set, and the CsrfLayer found no session: add \
                `.layer(quintette::sessions::SessionLayer::new(sessions))` to the Router after (that is, outside of) the \
                CsrfLayer";
    tracing::error!(target: "quintette::csrf", "{text}");
    text_response(StatusCode::INTERNAL_SERVER_ERROR, text)
}
