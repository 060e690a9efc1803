use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use quintette_core::session::Session;
use tower_service::Service;

use super::ResponseFuture;
use super::clock::Timeout;
use crate::http::{RequestHead, redirect};
use crate::sessions::response::{error_response, text_response};

/// A service whose sessions end in time. See [the module](super).
#[derive(Clone, Debug)]
pub struct TimeoutService<S> {
    inner: S,
    timeout: Arc<Timeout>,
}

impl<S> TimeoutService<S> {
    pub(super) fn new(inner: S, timeout: Arc<Timeout>) -> Self {
        Self { inner, timeout }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for TimeoutService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<Either<ResBody, Full<Bytes>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, Request<ReqBody>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(session) = request.extensions().get::<Session>().cloned() else {
            let text = "the TimeoutLayer found no session: add \
                        `.layer(quintette::sessions::SessionLayer::new(sessions))` to the Router after (that is, \
                        outside of) the TimeoutLayer";
            tracing::error!(target: "quintette::session", "{text}");
            return ResponseFuture::answer(text_response(StatusCode::INTERNAL_SERVER_ERROR, text));
        };
        if session.is_empty() {
            return ResponseFuture::call(self.inner.call(request));
        }
        // The service that was polled ready is the one to call; its clone has to be polled itself.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let timeout = self.timeout.clone();
        let path = RequestHead::from(&request).path();
        ResponseFuture::check(inner, request, async move {
            match timeout.has_expired(&session).await {
                Ok(false) => None,
                Ok(true) => Some(redirect(&timeout.location(&path))),
                Err(error) => Some(error_response(&error)),
            }
        })
    }
}
