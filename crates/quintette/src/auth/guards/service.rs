use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use tower_service::Service;

use super::rule::Rule;
use crate::auth::Auth;
use crate::auth::response::error_response;
use crate::gate::GateFuture;
use crate::http::{RequestHead, redirect};
use crate::sessions::response::text_response;

/// A service for some visitors only. See [the module](super).
#[derive(Clone, Debug)]
pub struct GuardService<S> {
    inner: S,
    rule: Arc<Rule>,
}

impl<S> GuardService<S> {
    pub(super) fn new(inner: S, rule: Arc<Rule>) -> Self {
        Self { inner, rule }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for GuardService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<Either<ResBody, Full<bytes::Bytes>>>;
    type Error = S::Error;
    type Future = GateFuture<S, Request<ReqBody>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(auth) = request.extensions().get::<Auth>().cloned() else {
            let text = "a guard found no Auth: add `.layer(quintette::auth::AuthLayer::new(authentication))` to the \
                        Router after (that is, outside of) the guard";
            tracing::error!(target: "quintette::auth", "{text}");
            return GateFuture::answer(text_response(StatusCode::INTERNAL_SERVER_ERROR, text));
        };
        let head = RequestHead::from(&request);
        if self.rule.is_open(head, &auth) {
            return GateFuture::call(self.inner.call(request));
        }
        let settings = auth.authentication().settings();
        let login = head.login_url(self.rule.login_url_of(&auth), settings);
        // The service that was polled ready is the one to call; its clone has to be polled itself.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let rule = self.rule.clone();
        GateFuture::check(inner, request, async move {
            match rule.passes(&auth).await {
                Ok(true) => None,
                Ok(false) if rule.refuses => {
                    Some(text_response(StatusCode::FORBIDDEN, "403 Forbidden"))
                }
                Ok(false) => Some(redirect(&login)),
                Err(error) => Some(error_response(&error)),
            }
        })
    }
}
