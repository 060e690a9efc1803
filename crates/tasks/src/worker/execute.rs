//! Running one task, within its limits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use quintette_core::json::RawJson;
use serde_json::json;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::context::Context;
use super::events::Event;
use super::finish;
use super::registry::{Registered, Run};
use super::request::{Control, Request, Stage, Stop};
use super::shared::{Open, Shared, Slot};
use super::state::TimeLimits;
use crate::error::TaskError;
use crate::results::{State, TaskMeta};

/// How a run ended.
pub(crate) enum Ran {
    /// The task returned.
    Returned(Result<RawJson, TaskError>),
    /// It panicked, with this message.
    Panicked(String),
    /// It was dropped at its soft time limit.
    SoftLimit,
    /// It was dropped at its hard time limit.
    HardLimit(Duration),
    /// It was dropped from outside.
    Stopped(Stop),
}

/// Runs a task whose message is acknowledged, or will be.
pub(crate) async fn execute(shared: Arc<Shared>, open: Open, task: Arc<Registered>, slot: Slot) {
    let request = &open.request;
    request.enter(Stage::Active);
    shared.state().count(&request.headers.task);
    shared.state().events.emit(&Event::Started(request));
    debug!("Task accepted: {request:?}");
    if tracks_started(&shared, request) {
        store_started(&shared, request).await;
    }
    let limits = limits(&shared, request);
    let context = Context::new(
        shared.app().clone(),
        request.clone(),
        shared.state().clone(),
    );
    let began = Instant::now();
    let (ran, slot) = match &task.run {
        Run::Async(run) => (
            run_async(|| run(context), request, limits).await,
            Some(slot),
        ),
        Run::Blocking(_) => run_blocking(task.clone(), context, request, limits, slot).await,
    };
    let runtime = began.elapsed();
    request.enter(Stage::Finishing);
    // Where the store does not keep up, tasks wait for it here, in their places.
    let finishing = shared.finishing.clone().acquire_owned().await;
    drop(slot);
    finish::finish(&shared, request, ran, runtime).await;
    drop(finishing);
}

fn tracks_started(shared: &Shared, request: &Request) -> bool {
    let own = request.options.track_started;
    own.unwrap_or(shared.app().settings().task_track_started)
        && !request.ignores_result(shared.app().settings())
}

async fn store_started(shared: &Shared, request: &Request) {
    let what = json!({"pid": std::process::id(), "hostname": &*request.hostname});
    let Ok(what) = RawJson::from_value(&what) else {
        return;
    };
    let meta = TaskMeta::new(request.id(), State::Started, what);
    // Of interest for a moment only: it is not tried again.
    if let Err(error) = finish::store_once(shared, request, meta).await {
        warn!("Task {request:?}: its state STARTED was not stored: {error}");
    }
}

/// The message's own limits, then an operator's, the task's, the settings'.
fn limits(shared: &Shared, request: &Request) -> TimeLimits {
    let settings = shared.app().settings();
    let set = shared
        .state()
        .time_limits(&request.headers.task)
        .unwrap_or(TimeLimits {
            soft: request
                .options
                .soft_time_limit
                .or(settings.task_soft_time_limit),
            hard: request.options.time_limit.or(settings.task_time_limit),
        });
    let [hard, soft] = request.headers.timelimit.map(|limit| {
        // Celery's `or`: 0 is none.
        limit
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    });
    TimeLimits {
        soft: soft.or(set.soft),
        hard: hard.or(set.hard),
    }
}

async fn run_async<F>(run: impl FnOnce() -> F, request: &Request, limits: TimeLimits) -> Ran
where
    F: Future<Output = Result<RawJson, TaskError>> + Unpin,
{
    let task = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(task) => task,
        Err(panic) => return Ran::Panicked(message(&*panic)),
    };
    let mut task = AssertUnwindSafe(task).catch_unwind();
    let ran = async {
        match (&mut task).await {
            Ok(result) => Ran::Returned(result),
            Err(panic) => Ran::Panicked(message(&*panic)),
        }
    };
    let ran = within(ran, request, limits, true).await;
    // A task that is dropped runs what is left to drop: that may panic, too.
    if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
        warn!("Task {request:?} panicked while it was dropped");
    }
    ran
}

/// A thread keeps its slot until it returns, also when nobody waits for it any more.
async fn run_blocking(
    task: Arc<Registered>,
    context: Context,
    request: &Request,
    limits: TimeLimits,
    slot: Slot,
) -> (Ran, Option<Slot>) {
    let thread = tokio::task::spawn_blocking(move || {
        let Run::Blocking(run) = &task.run else {
            unreachable!("the caller has looked: it is a blocking task")
        };
        let ran = match catch_unwind(AssertUnwindSafe(|| run(context))) {
            Ok(result) => Ran::Returned(result),
            Err(panic) => Ran::Panicked(message(&*panic)),
        };
        (ran, slot)
    });
    let mut returned = None;
    let ran = async {
        match thread.await {
            Ok((ran, slot)) => {
                returned = Some(slot);
                ran
            }
            Err(error) => Ran::Panicked(error.to_string()),
        }
    };
    let ran = within(ran, request, limits, false).await;
    if returned.is_none() {
        request.control.revoked.store(true, Ordering::SeqCst);
    }
    (ran, returned)
}

/// Waits for a task, its limits, or the order to stop. At the soft limit a task that is `dropped` is, unless it watches for it.
async fn within(
    task: impl Future<Output = Ran>,
    request: &Request,
    limits: TimeLimits,
    dropped: bool,
) -> Ran {
    let control = &request.control;
    if limits == TimeLimits::default() {
        return tokio::select! {
            biased;
            ran = task => ran,
            why = control.stopped() => Ran::Stopped(why),
        };
    }
    let limited = async {
        match limits {
            TimeLimits {
                soft: Some(soft),
                hard,
            } if hard.is_none_or(|hard| soft < hard) => {
                tokio::time::sleep(soft).await;
                if let Some(ran) = at_soft_limit(request, control, soft, dropped) {
                    return ran;
                }
                match hard {
                    Some(hard) => tokio::time::sleep(hard.saturating_sub(soft)).await,
                    None => std::future::pending().await,
                }
            }
            TimeLimits {
                hard: Some(hard), ..
            } => tokio::time::sleep(hard).await,
            TimeLimits { hard: None, .. } => std::future::pending().await,
        }
        Ran::HardLimit(limits.hard.unwrap_or_default())
    };
    tokio::select! {
        biased;
        ran = task => ran,
        why = control.stopped() => Ran::Stopped(why),
        ran = limited => ran,
    }
}

fn at_soft_limit(
    request: &Request,
    control: &Control,
    soft: Duration,
    dropped: bool,
) -> Option<Ran> {
    warn!(
        "Soft time limit ({}s) exceeded for {request:?}",
        soft.as_secs_f64()
    );
    let watched = control.soft_limit_watched();
    control.reach_soft_limit();
    (dropped && !watched).then_some(Ran::SoftLimit)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
