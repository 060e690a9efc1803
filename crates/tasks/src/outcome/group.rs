use std::marker::PhantomData;
use std::time::Duration;

use quintette_core::json::RawJson;
use serde::de::DeserializeOwned;

use super::{AsyncResult, OutcomeError, ResultTree, backend, join};
use crate::app::App;
use crate::brokers::BrokerError;
use crate::results::{ResultError, State};

/// What becomes of the tasks of a group. Celery's `GroupResult`.
///
/// ```
/// use quintette_tasks::{App, GroupResult, TaskSettings};
///
/// let app = App::new(TaskSettings::default())?;
/// let group: GroupResult<i64> = GroupResult::new(&app, "import-7", ["a", "b"]);
/// assert_eq!(group.results()[1].id(), "b");
/// # Ok::<(), quintette_tasks::AppError>(())
/// ```
pub struct GroupResult<R = RawJson> {
    app: App,
    tree: ResultTree,
    types: PhantomData<fn() -> R>,
}

impl<R> GroupResult<R> {
    /// Of tasks by their ids.
    pub fn new(
        app: &App,
        id: impl Into<String>,
        tasks: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let tasks = tasks.into_iter().map(ResultTree::task).collect();
        Self::of(app, ResultTree::group(id, tasks))
    }

    pub(super) fn of(app: &App, tree: ResultTree) -> Self {
        Self {
            app: app.clone(),
            tree,
            types: PhantomData,
        }
    }

    /// The group that was saved under an id. Celery's `GroupResult.restore`.
    ///
    /// # Errors
    ///
    /// Where no results are kept, or the store cannot be reached or keeps no groups.
    pub async fn restore(app: &App, id: &str) -> Result<Option<Self>, ResultError> {
        let saved = backend(app)?.load_group(id).await?;
        let tree = saved.and_then(|saved| ResultTree::from_json(&saved));
        let tree = tree.filter(|tree| tree.children.is_some());
        Ok(tree.map(|tree| Self::of(app, tree)))
    }

    /// Saves the ids of its tasks under its own, for others to [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub async fn save(&self) -> Result<(), ResultError> {
        let children =
            RawJson::from_value(&self.tree.to_value()).unwrap_or_else(|_| crate::arguments::null());
        backend(&self.app)?.save_group(self.id(), &children).await
    }

    /// Forgets that it was saved. Celery's `GroupResult.delete`.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub async fn delete(&self) -> Result<(), ResultError> {
        backend(&self.app)?.forget_group(self.id()).await
    }

    /// The group's id.
    pub fn id(&self) -> &str {
        &self.tree.id
    }

    /// Those of its tasks, in order.
    pub fn results(&self) -> Vec<AsyncResult<R>> {
        let children = self.tree.children.as_deref().unwrap_or_default();
        let children = children.iter();
        children
            .map(|child| AsyncResult::of(&self.app, child.clone()))
            .collect()
    }

    /// How many of its tasks have returned. Celery's `completed_count`.
    ///
    /// # Errors
    ///
    /// Where no results are kept, or the store cannot be reached.
    pub async fn completed_count(&self) -> Result<usize, ResultError> {
        let mut completed = 0;
        for result in self.results() {
            completed += usize::from(result.state().await? == State::Success);
        }
        Ok(completed)
    }

    /// Whether each of its tasks has returned or failed.
    ///
    /// # Errors
    ///
    /// As [`completed_count`](Self::completed_count).
    pub async fn ready(&self) -> Result<bool, ResultError> {
        Ok(!matches!(
            join::look(&self.app, &self.tree).await?,
            join::Joined::Waiting
        ))
    }

    /// Tells all workers not to run its tasks, and with `terminate` to stop those that run.
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

    /// Forgets the results of its tasks.
    ///
    /// # Errors
    ///
    /// As [`completed_count`](Self::completed_count).
    pub async fn forget(&self) -> Result<(), ResultError> {
        let backend = backend(&self.app)?;
        for id in self.tree.task_ids() {
            backend.forget(id).await?;
        }
        Ok(())
    }
}

impl<R: DeserializeOwned> GroupResult<R> {
    /// Waits for the results of all, in order; for ever where `timeout` is `None`. Celery's `join`.
    ///
    /// # Errors
    ///
    /// The exception of a task that failed; a time that is over; a result of another type; a store that cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: ask again.
    pub async fn get(&self, timeout: Option<Duration>) -> Result<Vec<R>, OutcomeError> {
        let results = join::join(&self.app, &self.tree, timeout).await?;
        Ok(results.deserialize()?)
    }
}

impl<R> Clone for GroupResult<R> {
    fn clone(&self) -> Self {
        Self::of(&self.app, self.tree.clone())
    }
}

impl<R> std::fmt::Debug for GroupResult<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupResult")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
