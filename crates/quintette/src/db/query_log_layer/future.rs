use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// The response of a service whose statements may be noted.
    pub struct QueryLogFuture<F: Future> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F: Future> {
        Plain { #[pin] inner: F },
        // The type cannot be named; one allocation a request is nothing while debugging.
        Recorded { inner: Pin<Box<dyn Future<Output = F::Output> + Send>> },
    }
}

impl<F: Future> QueryLogFuture<F> {
    pub(super) fn plain(inner: F) -> Self {
        Self {
            state: State::Plain { inner },
        }
    }

    pub(super) fn recorded(inner: impl Future<Output = F::Output> + Send + 'static) -> Self {
        Self {
            state: State::Recorded {
                inner: Box::pin(inner),
            },
        }
    }
}

impl<F: Future> Future for QueryLogFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Plain { inner } => inner.poll(context),
            StateProjection::Recorded { inner } => inner.as_mut().poll(context),
        }
    }
}

impl<F: Future> fmt::Debug for QueryLogFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLogFuture").finish_non_exhaustive()
    }
}
