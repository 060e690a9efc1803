//! Services that ask something before the inner service is called, and may answer in its place.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use tower_service::Service;

/// `None` lets the request pass.
type Check = Pin<Box<dyn Future<Output = Option<Response<Full<Bytes>>>> + Send>>;

pin_project! {
    /// The response of a service behind a gate: the inner one, or the gate's own.
    pub struct GateFuture<S: Service<R>, R> {
        #[pin]
        state: State<S, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<R>, R> {
        Check { check: Check, next: Option<(S, R)> },
        Call { #[pin] response: S::Future },
        Answer { response: Option<Response<Full<Bytes>>> },
    }
}

impl<S: Service<R>, R> GateFuture<S, R> {
    /// The inner service's response.
    pub(crate) fn call(response: S::Future) -> Self {
        Self {
            state: State::Call { response },
        }
    }

    /// The gate's own.
    pub(crate) fn answer(response: Response<Full<Bytes>>) -> Self {
        Self {
            state: State::Answer {
                response: Some(response),
            },
        }
    }

    /// Whichever `check` says. `inner` must be the service that was polled ready.
    pub(crate) fn check(
        inner: S,
        request: R,
        check: impl Future<Output = Option<Response<Full<Bytes>>>> + Send + 'static,
    ) -> Self {
        Self {
            state: State::Check {
                check: Box::pin(check),
                next: Some((inner, request)),
            },
        }
    }
}

impl<S, ReqBody, ResBody> Future for GateFuture<S, Request<ReqBody>>
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
                StateProjection::Check { check, next } => {
                    let answer = ready!(check.as_mut().poll(context));
                    let (mut inner, request) = next.take().expect("the state changes at once");
                    match answer {
                        None => State::Call {
                            response: inner.call(request),
                        },
                        response => State::Answer { response },
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<R>, R> std::fmt::Debug for GateFuture<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateFuture").finish_non_exhaustive()
    }
}
