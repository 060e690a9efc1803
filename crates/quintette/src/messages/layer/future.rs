use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use quintette_core::session::SessionError;

use crate::messages::Messages;
use crate::sessions::response::error_response;

type Update = Pin<Box<dyn Future<Output = Result<Option<String>, SessionError>> + Send>>;

pin_project! {
    /// The response of a [`MessagesService`](super::MessagesService): the inner one, once its messages are stored.
    pub struct ResponseFuture<F, ResBody> {
        #[pin]
        state: State<F, ResBody>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, ResBody> {
        Call { #[pin] handler: F, messages: Messages },
        Update { update: Update, response: Option<Response<ResBody>> },
        Answer { response: Option<Response<Full<Bytes>>> },
    }
}

impl<F, ResBody> ResponseFuture<F, ResBody> {
    pub(super) fn call(handler: F, messages: Messages) -> Self {
        Self {
            state: State::Call { handler, messages },
        }
    }

    pub(super) fn answer(response: Response<Full<Bytes>>) -> Self {
        Self {
            state: State::Answer {
                response: Some(response),
            },
        }
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F, ResBody>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = Result<Response<Either<ResBody, Full<Bytes>>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Call { handler, messages } => {
                    let response = ready!(handler.poll(context))?;
                    if !messages.needs_update() {
                        return Poll::Ready(Ok(response.map(Either::Left)));
                    }
                    let messages = messages.clone();
                    State::Update {
                        update: Box::pin(async move { messages.update().await }),
                        response: Some(response),
                    }
                }
                StateProjection::Update { update, response } => {
                    let updated = ready!(update.as_mut().poll(context));
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(match updated {
                        Ok(cookie) => with_cookie(response, cookie).map(Either::Left),
                        Err(error) => error_response(&error).map(Either::Right),
                    }));
                }
                StateProjection::Answer { response } => {
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(response.map(Either::Right)));
                }
            };
            this.state.set(next);
        }
    }
}

fn with_cookie<B>(mut response: Response<B>, cookie: Option<String>) -> Response<B> {
    match cookie.map(HeaderValue::try_from) {
        None => {}
        Some(Ok(cookie)) => {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        // The settings are checked at start-up, and a value is signed base64: not reachable but through a defect.
        Some(Err(error)) => {
            tracing::error!(target: "quintette::messages", %error, "the cookie of messages is no header value");
        }
    }
    response
}

impl<F, ResBody> std::fmt::Debug for ResponseFuture<F, ResBody> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
