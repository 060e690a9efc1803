//! What a worker calls when a task is done.

use quintette_core::json::RawJson;

use crate::app::App;
use crate::error::Exception;
use crate::results::State;
use crate::send::SendError;
use crate::signature::Signature;
use crate::worker::{Request, Tasks};

/// The task returned, and its result is not stored yet: sends its callbacks and the next step of its chain, each of them noted with
/// [`Request::add_child`].
///
/// Called again when it failed because the broker could not be reached.
pub(crate) async fn on_success(_: &App, _: &Request, _: &RawJson) -> Result<(), SendError> {
    Ok(())
}

/// The task failed or was revoked, and that is stored: fails the rest of its chain and sends its errbacks.
pub(crate) async fn on_failure(
    _: &App,
    _: &Request,
    _: State,
    _: &Exception,
) -> Result<(), SendError> {
    Ok(())
}

/// The result is stored: if the task is part of a chord, the part is done.
pub(crate) async fn part_done(
    _: &App,
    _: &Request,
    _: State,
    _: &RawJson,
) -> Result<(), SendError> {
    Ok(())
}

/// Sends `signature` in place of the task that runs: with its id, its group, its callbacks and the rest of its chain.
pub(crate) async fn replace(_: &App, _: &Request, _: Signature) -> Result<(), SendError> {
    Ok(())
}

/// Celery's own tasks, which a worker that shares a queue with others must know.
pub(crate) fn builtins() -> Tasks {
    Tasks::new()
}
