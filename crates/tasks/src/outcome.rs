use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;

use quintette_core::json::RawJson;

use crate::app::App;
use crate::error::Exception;
use crate::results::{ResultBackend, ResultError, ResultErrorKind, State, TaskMeta};

/// What becomes of a task that was sent. Celery's `AsyncResult`.
pub struct AsyncResult<R = RawJson> {
    app: App,
    id: String,
    types: PhantomData<fn() -> R>,
}

impl<R> AsyncResult<R> {
    /// Of a task by its id.
    pub fn new(app: &App, id: impl Into<String>) -> Self {
        Self {
            app: app.clone(),
            id: id.into(),
            types: PhantomData,
        }
    }

    /// The task's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same, with the type of the result.
    pub fn typed<T>(self) -> AsyncResult<T> {
        AsyncResult {
            app: self.app,
            id: self.id,
            types: PhantomData,
        }
    }

    /// Its state; PENDING where nothing is known of it.
    ///
    /// # Errors
    ///
    /// Where no results are kept, or the store cannot be reached.
    pub async fn state(&self) -> Result<State, ResultError> {
        Ok(self
            .meta()
            .await?
            .map_or(State::Pending, |meta| meta.status))
    }

    /// All that is stored of it.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub async fn meta(&self) -> Result<Option<TaskMeta>, ResultError> {
        self.backend()?.load(&self.id).await
    }

    /// Forgets the result.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub async fn forget(&self) -> Result<(), ResultError> {
        self.backend()?.forget(&self.id).await
    }

    fn backend(&self) -> Result<&dyn ResultBackend, ResultError> {
        self.app.results().map(|results| &**results).ok_or_else(|| {
            ResultError::new(
                ResultErrorKind::Unsupported,
                "results are not kept: set CELERY_RESULT_BACKEND, such as redis://127.0.0.1:6379/0",
            )
        })
    }
}

impl<R: DeserializeOwned> AsyncResult<R> {
    /// Waits for the result, for ever where `timeout` is `None`.
    ///
    /// # Errors
    ///
    /// The task's exception; a time that is over; a result of another type; a store that cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: ask again.
    pub async fn get(&self, timeout: Option<Duration>) -> Result<R, OutcomeError> {
        let meta = self
            .backend()?
            .wait(&self.id, timeout)
            .await?
            .ok_or(OutcomeError::TimedOut)?;
        match meta.exception() {
            Some(exception) => Err(OutcomeError::Failed(exception)),
            None => Ok(meta.result.deserialize()?),
        }
    }
}

impl<R> std::fmt::Debug for AsyncResult<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncResult")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<R> Clone for AsyncResult<R> {
    fn clone(&self) -> Self {
        Self::new(&self.app, self.id.clone())
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// The task failed.
    #[error("the task failed: {0}")]
    Failed(Exception),
    /// It is not ready yet.
    #[error("the task was not ready in time")]
    TimedOut,
    /// The store.
    #[error(transparent)]
    Store(#[from] ResultError),
    /// The result is of another type.
    #[error("the task's result is of another type: {0}")]
    Type(#[from] serde_json::Error),
}
