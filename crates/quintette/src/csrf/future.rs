use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use quintette_core::session::SessionError;
use tower_service::Service;

use super::body::ReplayBody;
use super::handle::{Csrf, Finish};
use crate::sessions::response::error_response;

type Check<B> =
    Pin<Box<dyn Future<Output = Result<Request<ReplayBody<B>>, Response<Full<Bytes>>>> + Send>>;
type Answer<ResBody> = Response<Either<ResBody, Full<Bytes>>>;

pin_project! {
    /// The response of a [`CsrfService`](super::CsrfService): the inner one or a refusal, with the secret where it was used.
    pub struct ResponseFuture<S: Service<Request<ReplayBody<B>>>, B: Body, ResBody> {
        #[pin]
        state: State<S, B, ResBody>,
        csrf: Option<Csrf>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request<ReplayBody<B>>>, B: Body, ResBody> {
        Check { check: Check<B>, inner: Option<S> },
        Call { #[pin] response: S::Future },
        Answer { response: Option<Answer<ResBody>> },
        Finish { finish: Finish, response: Option<Answer<ResBody>> },
    }
}

impl<S: Service<Request<ReplayBody<B>>>, B: Body, ResBody> ResponseFuture<S, B, ResBody> {
    pub(super) fn call(response: S::Future, csrf: Csrf) -> Self {
        Self {
            state: State::Call { response },
            csrf: Some(csrf),
        }
    }

    pub(super) fn answer(response: Response<Full<Bytes>>) -> Self {
        let response = Some(response.map(Either::Right));
        Self {
            state: State::Answer { response },
            csrf: None,
        }
    }

    pub(super) fn check(check: Check<B>, inner: S, csrf: Csrf) -> Self {
        let inner = Some(inner);
        Self {
            state: State::Check { check, inner },
            csrf: Some(csrf),
        }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B, ResBody>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<ResBody>>,
    B: Body,
{
    type Output = Result<Answer<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Check { check, inner } => {
                    match ready!(check.as_mut().poll(context)) {
                        Ok(request) => State::Call {
                            response: inner
                                .as_mut()
                                .expect("the state changes at once")
                                .call(request),
                        },
                        Err(refusal) => State::Answer {
                            response: Some(refusal.map(Either::Right)),
                        },
                    }
                }
                StateProjection::Call { response } => State::Answer {
                    response: Some(ready!(response.poll(context))?.map(Either::Left)),
                },
                StateProjection::Answer { response } => {
                    let mut response = response.take().expect("polled after it was ready");
                    let csrf = this.csrf.take();
                    let finish = csrf.map_or(Ok(None), |csrf| csrf.finish(response.headers_mut()));
                    match finish {
                        Ok(None) => return Poll::Ready(Ok(response)),
                        Ok(Some(finish)) => State::Finish {
                            finish,
                            response: Some(response),
                        },
                        Err(error) => return Poll::Ready(Ok(failed(&error))),
                    }
                }
                StateProjection::Finish { finish, response } => {
                    let finished = ready!(finish.as_mut().poll(context));
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(match finished {
                        Ok(()) => response,
                        Err(error) => failed(&error),
                    }));
                }
            };
            this.state.set(next);
        }
    }
}

fn failed<ResBody>(error: &SessionError) -> Answer<ResBody> {
    error_response(error).map(Either::Right)
}

impl<S: Service<Request<ReplayBody<B>>>, B: Body, ResBody> std::fmt::Debug
    for ResponseFuture<S, B, ResBody>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("csrf", &self.csrf)
            .finish_non_exhaustive()
    }
}
