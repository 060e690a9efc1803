use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use quintette_core::session::Session;
use tower_service::Service;

use super::ResponseFuture;
use crate::messages::Messages;
use crate::messages::storage::{Source, Storage};
use crate::sessions::response::text_response;

/// A service whose requests have messages. See [the module](super).
#[derive(Clone, Debug)]
pub struct MessagesService<S> {
    inner: S,
    storage: Arc<Storage>,
}

impl<S> MessagesService<S> {
    pub(super) fn new(inner: S, storage: Arc<Storage>) -> Self {
        Self { inner, storage }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for MessagesService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<Either<ResBody, Full<Bytes>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let session = request.extensions().get::<Session>().cloned();
        if session.is_none()
            && let Some(text) = self.storage.without_session()
        {
            tracing::error!(target: "quintette::messages", "{text}");
            return ResponseFuture::answer(text_response(StatusCode::INTERNAL_SERVER_ERROR, text));
        }
        let cookies = request.headers().get_all(header::COOKIE);
        let source = Source {
            cookies: cookies.iter().cloned().collect(),
            session,
        };
        let messages = Messages::new(self.storage.clone(), source);
        request.extensions_mut().insert(messages.clone());
        ResponseFuture::call(self.inner.call(request), messages)
    }
}
