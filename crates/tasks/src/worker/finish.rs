//! What becomes of a task that has run, or that will not.

use std::sync::Arc;
use std::time::Duration;

use quintette_core::json::RawJson;
use tracing::{error, info, warn};

use super::acks::Fate;
use super::events::Event;
use super::execute::Ran;
use super::outcome::describe;
use super::request::{Request, Stop};
use super::retry;
use super::shared::{Backoff, Shared};
use crate::canvas;
use crate::error::{Exception, TaskError};
use crate::protocol::repr::value_repr;
use crate::results::{ResultError, ResultErrorKind, State, TaskMeta};
use crate::send::SendError;

/// A worker that ends at once does not do what it could not do at the first attempt.
pub(crate) struct GaveUp;

pub(crate) async fn finish(shared: &Shared, request: &Arc<Request>, ran: Ran, runtime: Duration) {
    let done = match ran {
        Ran::Returned(Ok(result)) => succeed(shared, request, &result, runtime).await,
        Ran::Returned(Err(TaskError::Failure(exception))) => {
            fail_or_retry(shared, request, exception).await
        }
        Ran::Returned(Err(TaskError::Retry { cause, countdown })) => {
            retry::retry(shared, request, cause, countdown).await
        }
        Ran::Returned(Err(TaskError::Reject { reason, requeue })) => {
            reject(shared, request, &reason, requeue).await
        }
        Ran::Returned(Err(TaskError::Ignore)) => {
            shared.acks.settle_later(request, Fate::Ack);
            Ok(())
        }
        Ran::Panicked(message) => {
            error!("Task {request:?} panicked: {message}");
            let exception = Exception::new("RuntimeError", format_args!("panicked: {message}"));
            fail_or_retry(shared, request, exception).await
        }
        Ran::SoftLimit => {
            let mut exception = Exception::new("SoftTimeLimitExceeded", "");
            exception.exc_message.clear();
            fail_or_retry(shared, request, exception).await
        }
        Ran::HardLimit(limit) => at_hard_limit(shared, request, limit).await,
        Ran::Stopped(Stop::Terminated) => revoke(shared, request, Revoked::Terminated).await,
        Ran::Stopped(Stop::Cold) => {
            warn!("Task {request:?} is dropped: the worker ends");
            Err(GaveUp)
        }
    };
    if done.is_err() {
        // Acknowledged early, it is lost, as with Celery; late, it runs again elsewhere.
        shared.acks.settle_later(request, Fate::Requeue);
    }
}

async fn succeed(
    shared: &Shared,
    request: &Arc<Request>,
    result: &RawJson,
    runtime: Duration,
) -> Result<(), GaveUp> {
    if !request.embed.callbacks.is_empty() || !request.embed.chain.is_empty() {
        // Before the result is stored, which names what was sent as children.
        let sent = insist(shared, || canvas::on_success(shared.app(), request, result));
        if let Err(error) = sent.await? {
            error!("Task {request:?}: what comes after it cannot be sent: {error}");
            return fail(shared, request, Exception::from_error(&error)).await;
        }
    }
    if !request.ignores_result(shared.app().settings()) {
        let meta = TaskMeta::success(request.id(), result.clone());
        store(shared, request, meta).await?;
    }
    part_done(shared, request, State::Success, result).await?;
    shared.acks.settle_later(request, Fate::Ack);
    info!(
        "Task {request:?} succeeded in {:.6}s: {}",
        runtime.as_secs_f64(),
        value_repr(result)
    );
    shared.state().events.emit(&Event::Succeeded {
        request,
        result,
        runtime,
    });
    Ok(())
}

async fn fail_or_retry(
    shared: &Shared,
    request: &Arc<Request>,
    exception: Exception,
) -> Result<(), GaveUp> {
    if request.options.autoretry {
        return retry::retry(shared, request, exception, None).await;
    }
    fail(shared, request, exception).await
}

/// Stores FAILURE, and settles the message.
pub(crate) async fn fail(
    shared: &Shared,
    request: &Arc<Request>,
    exception: Exception,
) -> Result<(), GaveUp> {
    error!("Task {request:?} raised {exception}");
    store_failure(shared, request, State::Failure, &exception).await?;
    let acks = shared.app().settings().task_acks_on_failure_or_timeout;
    let fate = if acks { Fate::Ack } else { Fate::Reject };
    shared.acks.settle_later(request, fate);
    shared.state().events.emit(&Event::Failed {
        request,
        exception: &exception,
    });
    Ok(())
}

async fn at_hard_limit(
    shared: &Shared,
    request: &Arc<Request>,
    limit: Duration,
) -> Result<(), GaveUp> {
    let seconds = limit.as_secs_f64();
    error!("Hard time limit ({seconds}s) exceeded for {request:?}");
    let mut exception = Exception::new("TimeLimitExceeded", "");
    exception.exc_message = RawJson::from_value(&seconds).into_iter().collect();
    let settings = shared.app().settings();
    if shared.is_acks_late(request) && !settings.task_acks_on_failure_or_timeout {
        shared.acks.settle_later(request, Fate::Requeue);
        return Ok(());
    }
    fail(shared, request, exception).await
}

/// Celery's `Reject`: back to the queue, or a failure that the broker's rules for dead letters may pick up.
async fn reject(
    shared: &Shared,
    request: &Arc<Request>,
    reason: &str,
    requeue: bool,
) -> Result<(), GaveUp> {
    warn!("Task {request:?} rejected its message: {reason}");
    if !requeue {
        let exception = Exception::new("Reject", reason);
        store_failure(shared, request, State::Failure, &exception).await?;
        shared.state().events.emit(&Event::Failed {
            request,
            exception: &exception,
        });
    }
    let fate = if requeue { Fate::Requeue } else { Fate::Reject };
    shared.acks.settle_later(request, fate);
    shared
        .state()
        .events
        .emit(&Event::Rejected { request, requeue });
    Ok(())
}

/// Why a task does not run, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// By its id or a stamp, before it began.
    Named,
    /// It was too late to begin.
    Expired,
    /// While it ran.
    Terminated,
}

pub(crate) async fn revoke(
    shared: &Shared,
    request: &Arc<Request>,
    why: Revoked,
) -> Result<(), GaveUp> {
    let reason = match why {
        Revoked::Named => "revoked",
        Revoked::Expired => "expired",
        Revoked::Terminated => "terminated",
    };
    info!("Discarding revoked task: {request:?} ({reason})");
    let exception = Exception::new("TaskRevokedError", reason);
    store_failure(shared, request, State::Revoked, &exception).await?;
    shared.acks.settle_later(request, Fate::Ack);
    shared.state().events.emit(&Event::Revoked {
        request,
        terminated: why == Revoked::Terminated,
        expired: why == Revoked::Expired,
    });
    Ok(())
}

/// Nobody here knows the task: a failure, of which its message is kept.
pub(crate) async fn unknown(shared: &Shared, request: &Arc<Request>) -> Result<(), GaveUp> {
    let name = &request.headers.task;
    let exception = Exception::new("NotRegistered", name);
    store_failure(shared, request, State::Failure, &exception).await?;
    shared.state().events.emit(&Event::Unknown {
        id: request.id(),
        name,
    });
    Ok(())
}

async fn store_failure(
    shared: &Shared,
    request: &Arc<Request>,
    state: State,
    exception: &Exception,
) -> Result<(), GaveUp> {
    let settings = shared.app().settings();
    if !request.ignores_result(shared.app().settings())
        || settings.task_store_errors_even_if_ignored
    {
        let meta = TaskMeta::failure(request.id(), state, exception);
        store(shared, request, meta).await?;
    }
    part_done(shared, request, state, &exception.to_json()).await?;
    let embed = &request.embed;
    if embed.errbacks.is_empty() && embed.chain.is_empty() {
        return Ok(());
    }
    let sent = insist(shared, || {
        canvas::on_failure(shared.app(), request, state, exception)
    });
    if let Err(error) = sent.await? {
        error!("Task {request:?}: what comes after its failure cannot be sent: {error}");
    }
    Ok(())
}

async fn part_done(
    shared: &Shared,
    request: &Request,
    state: State,
    result: &RawJson,
) -> Result<(), GaveUp> {
    if request.embed.chord.is_none() {
        return Ok(());
    }
    let counted = insist(shared, || {
        canvas::part_done(shared.app(), request, state, result)
    });
    if let Err(error) = counted.await? {
        error!("Task {request:?}: its chord cannot be told that it is done: {error}");
    }
    Ok(())
}

/// Stores a result; tried again until the store is there.
pub(crate) async fn store(
    shared: &Shared,
    request: &Request,
    mut meta: TaskMeta,
) -> Result<(), GaveUp> {
    let Some(results) = shared.app().results() else {
        return Ok(());
    };
    describe(&mut meta, request, shared.app().settings());
    let context = request.store_context();
    let mut backoff = Backoff::default();
    loop {
        match results.store(&meta, &context).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ResultErrorKind::Unavailable => {
                warn!("Task {request:?}: its result is not stored yet: {error}");
            }
            Err(error) => {
                error!("Task {request:?}: its result cannot be stored: {error}");
                return Ok(());
            }
        }
        if shared.is_cold() {
            return Err(GaveUp);
        }
        backoff.wait().await;
    }
}

/// Stores a state that does not matter for long.
pub(crate) async fn store_once(
    shared: &Shared,
    request: &Request,
    mut meta: TaskMeta,
) -> Result<(), ResultError> {
    let Some(results) = shared.app().results() else {
        return Ok(());
    };
    describe(&mut meta, request, shared.app().settings());
    results.store(&meta, &request.store_context()).await
}

/// Tries to send again while the broker is away, or the store in which chords are counted. What it may have sent before the connection was lost is then sent twice, and never not at all.
pub(crate) async fn insist<F>(
    shared: &Shared,
    mut send: impl FnMut() -> F,
) -> Result<Result<(), SendError>, GaveUp>
where
    F: Future<Output = Result<(), SendError>>,
{
    let mut backoff = Backoff::default();
    loop {
        match send().await {
            Err(error) if error.is_unavailable() => {
                if shared.is_cold() {
                    return Err(GaveUp);
                }
                warn!("what follows from a task is not done yet: {error}");
                backoff.wait().await;
            }
            other => return Ok(other),
        }
    }
}
