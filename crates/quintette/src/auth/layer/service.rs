use std::task::{Context, Poll};

use http::{Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use quintette_core::session::Session;
use tower_service::Service;

use crate::auth::{Auth, Authentication, Visitor};
use crate::csrf::Csrf;
use crate::gate::GateFuture;
use crate::http::RequestHead;
use crate::sessions::response::text_response;

/// What a browser calls itself is cut to so many characters: as many as there is room for in the table of sessions.
const LONGEST_USER_AGENT: usize = 255;

/// A service whose requests have users. See [the module](super).
#[derive(Clone, Debug)]
pub struct AuthService<S> {
    inner: S,
    authentication: Authentication,
}

impl<S> AuthService<S> {
    pub(super) fn new(inner: S, authentication: Authentication) -> Self {
        Self {
            inner,
            authentication,
        }
    }

    fn visitor<B>(&self, request: &Request<B>) -> Visitor {
        let user_agent = request.headers().get(header::USER_AGENT);
        Visitor {
            address: RequestHead::from(request).client_address(self.authentication.settings()),
            user_agent: user_agent.map(|agent| {
                let text = String::from_utf8_lossy(agent.as_bytes());
                text.chars().take(LONGEST_USER_AGENT).collect()
            }),
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for AuthService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<Either<ResBody, Full<bytes::Bytes>>>;
    type Error = S::Error;
    type Future = GateFuture<S, Request<ReqBody>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(session) = request.extensions().get::<Session>().cloned() else {
            let text = "the AuthLayer found no session: add \
                        `.layer(quintette::sessions::SessionLayer::new(sessions))` to the Router after (that is, \
                        outside of) the AuthLayer";
            tracing::error!(target: "quintette::auth", "{text}");
            return GateFuture::answer(text_response(StatusCode::INTERNAL_SERVER_ERROR, text));
        };
        let csrf = request.extensions().get::<Csrf>().cloned();
        let visitor = self.visitor(&request);
        let auth = Auth::new(self.authentication.clone(), session, csrf, visitor);
        request.extensions_mut().insert(auth);
        GateFuture::call(self.inner.call(request))
    }
}
