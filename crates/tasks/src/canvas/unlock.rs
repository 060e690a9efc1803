//! `celery.chord_unlock`: looks whether a chord's parts are done, where the store does not count them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::builtins::Call;
use super::chord::{dependency_failed, fail, send_body};
use crate::arguments::Arguments;
use crate::error::{Exception, TaskError};
use crate::outcome::{Joined, ResultTree, look};
use crate::send::SendError;
use crate::signature::Signature;
use crate::worker::Context;

/// The header in which a deadline goes along, from one look to the next.
const DEADLINE: &str = "quintette_chord_deadline";

/// Looks once. Where parts are missing it sends itself again, until the chord's deadline: then the body fails.
pub(super) async fn unlock(context: Context, arguments: Arguments) -> Result<(), TaskError> {
    let call = Call(&arguments);
    let group: String = call.required(0, "group_id")?.deserialize()?;
    let body = Signature::from_json(call.required(1, "callback")?)?;
    let children = call.required(4, "result")?.deserialize::<Vec<Value>>()?;
    let children = children
        .iter()
        .map(ResultTree::from_value)
        .collect::<Option<_>>();
    let children =
        children.ok_or_else(|| TaskError::failure("ValueError", "result is no list of results"))?;
    let header = ResultTree::group(group, children);
    let app = context.app();
    let done = match look(app, &header).await {
        Ok(Joined::Success(results)) => send_body(app, &body, &results).await,
        Ok(Joined::Failure(id, cause)) => {
            fail(app, &body, &dependency_failed(&id, &cause), Some(&cause)).await
        }
        Ok(Joined::Waiting) => wait(&context, &call, &body, None).await,
        Err(error) => wait(&context, &call, &body, Some(error.to_string())).await,
    };
    done.map_err(|error| {
        if error.is_unavailable() {
            // Nobody else looks after the chord: the worker sends this again as soon as it can.
            return TaskError::retry_after(app.settings().result_chord_retry_interval, error);
        }
        error.into()
    })
}

async fn wait(
    context: &Context,
    call: &Call<'_>,
    body: &Signature,
    trouble: Option<String>,
) -> Result<(), SendError> {
    let settings = context.app().settings();
    let interval = call
        .get(2, "interval")
        .and_then(|interval| interval.deserialize::<f64>().ok());
    let interval = interval.unwrap_or(settings.result_chord_retry_interval.as_secs_f64());
    let interval = interval.clamp(0.01, 86_400.0);
    let deadline = deadline(context, interval);
    let most = call
        .get(3, "max_retries")
        .and_then(|most| most.deserialize::<u32>().ok());
    let why = if Utc::now() >= deadline {
        let after = settings.chord_deadline.as_secs();
        Some(format!(
            "the parts of the chord were not all done after {after} seconds (chord_deadline)"
        ))
    } else if most.is_some_and(|most| context.retries() >= most) {
        Some("chord_unlock could not be retried: it has been tried max_retries times".to_owned())
    } else {
        let again = again(context, interval, deadline);
        match context.app().send(&again).await {
            Ok(_) => None,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => Some(format!("chord_unlock could not be retried: {error}")),
        }
    };
    let Some(mut why) = why else {
        return Ok(());
    };
    if let Some(trouble) = trouble {
        why = format!("{why} (the last look failed: {trouble})");
    }
    fail(
        context.app(),
        body,
        &Exception::new("ChordError", why),
        None,
    )
    .await
}

/// That of the message; of one that Celery sent, reckoned from how often it has looked.
fn deadline(context: &Context, interval: f64) -> DateTime<Utc> {
    let written = context
        .headers()
        .extra
        .get(DEADLINE)
        .and_then(Value::as_str);
    let written = written.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    written.map_or_else(
        || {
            let waited = interval * f64::from(context.retries());
            let whole = context.app().settings().chord_deadline.as_secs_f64();
            let left = (whole - waited).clamp(0.0, 3.2e9);
            Utc::now() + std::time::Duration::from_secs_f64(left)
        },
        |deadline| deadline.to_utc(),
    )
}

/// The next look: the same task, later.
fn again(context: &Context, interval: f64, deadline: DateTime<Utc>) -> Signature {
    let headers = context.headers();
    let delivery = context.delivery_info();
    let mut again = Signature::new(context.task());
    again.args = context.args().to_vec();
    let kwargs = context.kwargs().iter();
    again.kwargs = kwargs
        .map(|(name, value)| {
            (
                quintette_core::json::unescape_key(name).into_owned(),
                value.clone(),
            )
        })
        .collect();
    let mut extra: Map<String, Value> = headers.extra.clone();
    extra.remove("compression");
    let deadline = deadline.to_rfc3339_opts(SecondsFormat::Micros, false);
    extra.insert(DEADLINE.to_owned(), deadline.into());
    let again = again
        .task_id(context.id())
        .option("countdown", interval)
        .option("retries", context.retries().saturating_add(1))
        .option("root_id", context.root_id())
        .option("parent_id", context.id())
        .option("ignore_result", true)
        .option("headers", extra)
        .queue(&*delivery.queue);
    match delivery.priority {
        Some(priority) => again.priority(priority),
        None => again,
    }
}
