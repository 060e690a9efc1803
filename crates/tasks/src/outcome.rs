use std::marker::PhantomData;
use std::time::Duration;

use quintette_core::json::RawJson;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::App;
use crate::brokers::BrokerError;
use crate::error::Exception;
use crate::results::{ResultBackend, ResultError, ResultErrorKind, State, TaskMeta};

mod group;
mod join;
mod tree;

pub use group::GroupResult;
pub(crate) use join::{Joined, look, together};
pub(crate) use tree::ResultTree;

/// What becomes of a task that was sent, or of a group. Celery's `AsyncResult`.
pub struct AsyncResult<R = RawJson> {
    app: App,
    tree: ResultTree,
    types: PhantomData<fn() -> R>,
}

impl<R> AsyncResult<R> {
    /// Of a task by its id.
    pub fn new(app: &App, id: impl Into<String>) -> Self {
        Self::of(app, ResultTree::task(id))
    }

    pub(crate) fn of(app: &App, tree: ResultTree) -> Self {
        Self {
            app: app.clone(),
            tree,
            types: PhantomData,
        }
    }

    /// Of what Celery writes as `[[id, parent], children]`: `result_from_tuple`. `None` for anything else.
    pub fn from_tuple(app: &App, tuple: &Value) -> Option<Self> {
        Some(Self::of(app, ResultTree::from_value(tuple)?))
    }

    /// `[[id, parent], children]`: Celery's `as_tuple`.
    pub fn to_tuple(&self) -> Value {
        self.tree.to_value()
    }

    /// The task's id, or the group's.
    pub fn id(&self) -> &str {
        &self.tree.id
    }

    /// The same, with the type of the result.
    pub fn typed<T>(self) -> AsyncResult<T> {
        AsyncResult::of(&self.app, self.tree)
    }

    /// What came before: of a chain, the step before; of a chord's body, its header. Known to whoever sent it; of a long chain, as
    /// far back as some sixty steps.
    pub fn parent(&self) -> Option<AsyncResult> {
        let parent = self.tree.parent.as_deref()?;
        Some(AsyncResult::of(&self.app, parent.clone()))
    }

    /// The group, where it is one.
    pub fn group<T>(&self) -> Option<GroupResult<T>> {
        self.tree.children.as_ref()?;
        Some(GroupResult::of(&self.app, self.tree.clone()))
    }

    /// Its state; PENDING where nothing is known of it. A group has that of the first task that failed, or else of one that is not ready.
    ///
    /// # Errors
    ///
    /// Where no results are kept, or the store cannot be reached.
    pub async fn state(&self) -> Result<State, ResultError> {
        let backend = backend(&self.app)?;
        let mut unready = None;
        for id in self.tree.task_ids() {
            let meta = backend.load(id).await?;
            match meta.map_or(State::Pending, |meta| meta.status) {
                State::Success => {}
                failed if failed.is_failure() => return Ok(failed),
                other => unready = unready.or(Some(other)),
            }
        }
        Ok(unready.unwrap_or(State::Success))
    }

    /// All that is stored of it.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub async fn meta(&self) -> Result<Option<TaskMeta>, ResultError> {
        backend(&self.app)?.load(self.id()).await
    }

    /// The tasks that it began, as far as is stored.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub async fn children(&self) -> Result<Vec<AsyncResult>, ResultError> {
        if let Some(children) = &self.tree.children {
            let children = children.iter();
            return Ok(children
                .map(|child| AsyncResult::of(&self.app, child.clone()))
                .collect());
        }
        let meta = self.meta().await?;
        let children = meta.map(|meta| meta.children).unwrap_or_default();
        let children = children.iter();
        Ok(children
            .filter_map(|child| AsyncResult::from_tuple(&self.app, child))
            .collect())
    }

    /// Forgets the result, and those of what came before.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub async fn forget(&self) -> Result<(), ResultError> {
        let backend = backend(&self.app)?;
        let mut next = Some(&self.tree);
        while let Some(tree) = next {
            for id in tree.task_ids() {
                backend.forget(id).await?;
            }
            next = tree.parent.as_deref();
        }
        Ok(())
    }

    /// Tells all workers not to run it, and with `terminate` to stop it if it runs.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the workers may or may not have been told.
    pub async fn revoke(&self, terminate: bool) -> Result<(), BrokerError> {
        let ids = self.tree.task_ids();
        self.app.control().revoke(ids, terminate).await
    }
}

fn backend(app: &App) -> Result<&dyn ResultBackend, ResultError> {
    app.results().map(|results| &**results).ok_or_else(|| {
        ResultError::new(
            ResultErrorKind::Unsupported,
            "results are not kept: set CELERY_RESULT_BACKEND, such as redis://127.0.0.1:6379/0",
        )
    })
}

impl<R: DeserializeOwned> AsyncResult<R> {
    /// Waits for the result, for ever where `timeout` is `None`. Of a group, it is the list of its tasks' results.
    ///
    /// # Errors
    ///
    /// The task's exception; a time that is over; a result of another type; a store that cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: ask again.
    pub async fn get(&self, timeout: Option<Duration>) -> Result<R, OutcomeError> {
        let result = join::join(&self.app, &self.tree, timeout).await?;
        Ok(result.deserialize()?)
    }
}

impl<R> std::fmt::Debug for AsyncResult<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncResult")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl<R> Clone for AsyncResult<R> {
    fn clone(&self) -> Self {
        Self::of(&self.app, self.tree.clone())
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
