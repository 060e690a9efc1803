use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use quintette_core::session::{Session, SessionError};
use tower_service::Service;

use super::clock::Timeout;
use crate::http::{RequestHead, redirect};
use crate::sessions::response::error_response;

type Check = Pin<Box<dyn Future<Output = Result<bool, SessionError>> + Send>>;

pin_project! {
    /// The response of a [`TimeoutService`](super::TimeoutService): the inner one, or a redirect.
    pub struct ResponseFuture<S: Service<R>, R> {
        #[pin]
        state: State<S, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<R>, R> {
        Check { check: Check, timeout: Arc<Timeout>, next: Option<(S, R)> },
        Call { #[pin] response: S::Future },
        Answer { response: Option<Response<Full<Bytes>>> },
    }
}

impl<S: Service<R>, R> ResponseFuture<S, R> {
    pub(super) fn call(response: S::Future) -> Self {
        Self {
            state: State::Call { response },
        }
    }

    pub(super) fn answer(response: Response<Full<Bytes>>) -> Self {
        Self {
            state: State::Answer {
                response: Some(response),
            },
        }
    }

    pub(super) fn check(inner: S, request: R, session: Session, timeout: Arc<Timeout>) -> Self {
        let rules = timeout.clone();
        let check = Box::pin(async move { rules.has_expired(&session).await });
        Self {
            state: State::Check {
                check,
                timeout,
                next: Some((inner, request)),
            },
        }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, Request<ReqBody>>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Output = Result<Response<Either<ResBody, Full<Bytes>>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Call { response } => {
                    return response
                        .poll(context)
                        .map_ok(|response| response.map(Either::Left));
                }
                StateProjection::Answer { response } => {
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(response.map(Either::Right)));
                }
                StateProjection::Check {
                    check,
                    timeout,
                    next,
                } => {
                    let expired = ready!(check.as_mut().poll(context));
                    let (mut inner, request) = next.take().expect("the state changes at once");
                    match expired {
                        Ok(false) => State::Call {
                            response: inner.call(request),
                        },
                        Ok(true) => State::Answer {
                            response: Some(redirect(
                                &timeout.location(&RequestHead::from(&request).path()),
                            )),
                        },
                        Err(error) => State::Answer {
                            response: Some(error_response(&error)),
                        },
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<R>, R> std::fmt::Debug for ResponseFuture<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
