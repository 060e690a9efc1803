//! Values that a template may ask for in the middle of its rendering, though they take waiting.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use minijinja::{Error, ErrorKind};

use super::TemplateError;

/// One rendering of a page, which goes on until something has to be waited for.
#[derive(Default)]
pub(super) struct Rendering {
    state: Mutex<RenderingState>,
}

#[derive(Default)]
struct RenderingState {
    /// Of the task that renders.
    waker: Option<Waker>,
    interruption: Option<Interruption>,
}

/// Why what was rendered is thrown away.
pub(super) enum Interruption {
    /// The page is to be rendered anew once this is there.
    Waits(Arc<dyn Wait>),
    /// There is no page.
    Failed(TemplateError),
}

/// Something that can be waited for.
pub(super) trait Wait: Send + Sync {
    fn poll_wait(&self, context: &mut Context<'_>) -> Poll<()>;
}

impl Rendering {
    /// Renders once. A template is not async: what is ready, it gets at once; for the rest, it is interrupted.
    pub(super) async fn once<T>(
        &self,
        render: impl Fn() -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Interruption> {
        let result = poll_fn(|context| {
            locked(&self.state).waker = Some(context.waker().clone());
            Poll::Ready(render())
        })
        .await;
        match locked(&self.state).interruption.take() {
            Some(interruption) => Err(interruption),
            None => Ok(result),
        }
    }

    /// Ends the rendering, and gives what a template is told of it. The first reason counts: what follows it is rendered from nothing.
    pub(super) fn interrupt(&self, interruption: Interruption) -> Error {
        locked(&self.state).interruption.get_or_insert(interruption);
        interrupted()
    }

    /// The waker of the task, unless the rendering is at its end: then nothing more may happen for it.
    fn waker(&self) -> Option<Waker> {
        let state = locked(&self.state);
        let waker = state.waker.clone();
        waker.filter(|_| state.interruption.is_none())
    }
}

pub(super) async fn wait(waiting: &dyn Wait) {
    poll_fn(|context| waiting.poll_wait(context)).await;
}

fn interrupted() -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        "the page waits for one of its values",
    )
}

/// A value that is found out when a template first asks for it, and then known.
pub(super) struct Later<T> {
    rendering: Arc<Rendering>,
    state: Mutex<State<T>>,
}

type Find<T> = Pin<Box<dyn Future<Output = Result<T, TemplateError>> + Send>>;

enum State<T> {
    Unknown(Find<T>),
    Known(T),
    Failed(TemplateError),
    /// The error has been handed on.
    Gone,
}

impl<T: Clone + Send + 'static> Later<T> {
    pub(super) fn new(
        rendering: &Arc<Rendering>,
        find: impl Future<Output = Result<T, TemplateError>> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            rendering: Arc::clone(rendering),
            state: Mutex::new(State::Unknown(Box::pin(find))),
        })
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// Where the rendering ends here, since the value has to be waited for or cannot be had.
    pub(super) fn value(self: &Arc<Self>) -> Result<T, Error> {
        if let State::Known(value) = &*locked(&self.state) {
            return Ok(value.clone());
        }
        let Some(waker) = self.rendering.waker() else {
            return Err(interrupted());
        };
        if self
            .poll_wait(&mut Context::from_waker(&waker))
            .is_pending()
        {
            let waits = Interruption::Waits(Arc::<Self>::clone(self));
            return Err(self.rendering.interrupt(waits));
        }
        let mut state = locked(&self.state);
        match std::mem::replace(&mut *state, State::Gone) {
            State::Failed(error) => Err(self.rendering.interrupt(Interruption::Failed(error))),
            State::Known(value) => {
                *state = State::Known(value.clone());
                Ok(value)
            }
            State::Unknown(_) | State::Gone => Err(interrupted()),
        }
    }
}

impl<T: Send> Wait for Later<T> {
    fn poll_wait(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = locked(&self.state);
        if let State::Unknown(find) = &mut *state {
            match find.as_mut().poll(context) {
                Poll::Ready(Ok(value)) => *state = State::Known(value),
                Poll::Ready(Err(error)) => *state = State::Failed(error),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl<T> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

impl fmt::Debug for Rendering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rendering")
    }
}

/// A state is whole whenever the lock is free: a panic in a future leaves it unknown, and the request is over.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
