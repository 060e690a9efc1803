//! Waiting for results, and putting together what a group returns.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use quintette_core::json::RawJson;

use super::{OutcomeError, ResultTree, backend};
use crate::app::App;
use crate::arguments::{list, null};
use crate::results::State;

/// How many results are waited for at once.
const AT_ONCE: usize = 64;

/// The result of a task; of a group, the list of its results. All within one `timeout`.
pub(super) async fn join(
    app: &App,
    tree: &ResultTree,
    timeout: Option<Duration>,
) -> Result<RawJson, OutcomeError> {
    if tree.children.is_none() {
        return one(app, &tree.id, timeout).await;
    }
    let all = stream::iter(owned_ids(tree))
        .map(|id| async move {
            let result = one(app, &id, None).await?;
            Ok::<_, OutcomeError>((id, result))
        })
        .buffered(AT_ONCE)
        .try_collect::<HashMap<_, _>>();
    let all = match timeout {
        None => all.await?,
        Some(timeout) => tokio::time::timeout(timeout, all)
            .await
            .map_err(|_| OutcomeError::TimedOut)??,
    };
    Ok(together(tree, &|id| all.get(id).cloned()))
}

/// A stream over borrowed ones would not do in a future that is sent between threads.
fn owned_ids(tree: &ResultTree) -> Vec<String> {
    tree.task_ids().into_iter().map(str::to_owned).collect()
}

async fn one(app: &App, id: &str, timeout: Option<Duration>) -> Result<RawJson, OutcomeError> {
    let meta = backend(app)?.wait(id, timeout).await?;
    let meta = meta.ok_or(OutcomeError::TimedOut)?;
    match meta.exception() {
        Some(exception) => Err(OutcomeError::Failed(exception)),
        None => Ok(meta.result),
    }
}

/// What a group returns, of what its tasks returned.
pub(crate) fn together(tree: &ResultTree, result: &dyn Fn(&str) -> Option<RawJson>) -> RawJson {
    match &tree.children {
        None => result(&tree.id).unwrap_or_else(null),
        Some(children) => {
            let results: Vec<_> = children
                .iter()
                .map(|child| together(child, result))
                .collect();
            list(&results)
        }
    }
}

/// What is known of a group's tasks.
pub(crate) enum Joined {
    /// Some of them are not ready.
    Waiting,
    /// What the group returns.
    Success(RawJson),
    /// The id of a task that failed, and how.
    Failure(String, crate::error::Exception),
}

/// The results of a group as far as they are stored, without waiting.
pub(crate) async fn look(
    app: &App,
    tree: &ResultTree,
) -> Result<Joined, crate::results::ResultError> {
    let backend = backend(app)?;
    let metas: Vec<_> = stream::iter(owned_ids(tree))
        .map(|id| async move {
            let meta = backend.load(&id).await?;
            Ok::<_, crate::results::ResultError>((id, meta))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut results = HashMap::with_capacity(metas.len());
    let mut failed = None;
    for (id, meta) in metas {
        match meta {
            Some(meta) if meta.status == State::Success => {
                results.insert(id, meta.result);
            }
            Some(meta) if meta.status.is_ready() => {
                let exception = meta.exception();
                failed = failed.or_else(|| exception.map(|exception| (id, exception)));
            }
            _ => return Ok(Joined::Waiting),
        }
    }
    Ok(match failed {
        Some((id, exception)) => Joined::Failure(id, exception),
        None => Joined::Success(together(tree, &|id| results.get(id).cloned())),
    })
}
