//! Trying a task again.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};
use tracing::{error, info};

use super::acks::Fate;
use super::events::Event;
use super::finish::{GaveUp, fail, insist, store};
use super::request::Request;
use super::shared::{Shared, random};
use super::strategy::DELIVERIES;
use crate::brokers::Destination;
use crate::error::Exception;
use crate::protocol::{Body, InvalidBody, JSON, Message};
use crate::results::{State, TaskMeta};
use crate::task::TaskOptions;

/// No task is tried again later than after this.
const CENTURY: Duration = Duration::from_hours(24 * 36_525);

/// Sends the task again, with one more retry; or fails with `cause`, when it has had all of them.
pub(crate) async fn retry(
    shared: &Shared,
    request: &Arc<Request>,
    cause: Exception,
    countdown: Option<Duration>,
) -> Result<(), GaveUp> {
    let retries = request.headers.retries.saturating_add(1);
    if request
        .options
        .max_retries
        .is_some_and(|most| retries > most)
    {
        return fail(shared, request, cause).await;
    }
    let delay = countdown.unwrap_or_else(|| delay(&request.options, request.headers.retries));
    let message = match again(request, retries, delay) {
        Ok(message) => message,
        Err(error) => return fail(shared, request, Exception::from_error(&error)).await,
    };
    let queue = shared.queue(&request.delivery_info.queue);
    let destination = Destination::queue(queue);
    let sent = insist(shared, async || {
        let published = shared.app().broker().publish(&message, &destination);
        Ok(published.await?)
    });
    // The new message is there before the old one goes: in between, there are two, and never none.
    if let Err(error) = sent.await? {
        error!("Task {request:?} cannot be sent again: {error}");
        return fail(shared, request, Exception::from_error(&error)).await;
    }
    info!(
        "Task {request:?} retry in {:.3}s: {cause}",
        delay.as_secs_f64()
    );
    if !request.ignores_result(shared.app().settings()) {
        let meta = TaskMeta::failure(request.id(), State::Retry, &cause);
        store(shared, request, meta).await?;
    }
    shared.acks.settle_later(request, Fate::Ack);
    shared.state().events.emit(&Event::Retried {
        request,
        exception: &cause,
    });
    Ok(())
}

/// Celery's `get_exponential_backoff_interval`: whole seconds, any of them up to that with jitter.
fn delay(options: &TaskOptions, retries: u32) -> Duration {
    let Some(first) = options.retry_backoff else {
        return options.default_retry_delay;
    };
    let factor = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
    let longest = first.saturating_mul(factor).min(options.retry_backoff_max);
    if options.retry_jitter {
        longest.mul_f64(random())
    } else {
        longest
    }
}

fn again(request: &Request, retries: u32, delay: Duration) -> Result<Message, InvalidBody> {
    let mut message = message(request)?;
    // Longer than a century is a mistake, and beyond the year 9999 nobody could read it.
    let delay = TimeDelta::from_std(delay.min(CENTURY)).unwrap_or_default();
    let eta = Utc::now() + delay;
    let headers = &mut message.headers;
    let eta =
        (delay > TimeDelta::zero()).then(|| eta.to_rfc3339_opts(SecondsFormat::Micros, false));
    headers.insert("eta".to_owned(), eta.into());
    headers.insert("retries".to_owned(), retries.into());
    let parent = request.headers.parent_id.as_deref().unwrap_or(request.id());
    headers.insert("parent_id".to_owned(), parent.into());
    headers.remove(DELIVERIES);
    Ok(message)
}

/// The message of a request, to be published again: as JSON, whatever it was.
pub(crate) fn message(request: &Request) -> Result<Message, InvalidBody> {
    let body = Body {
        args: request.arguments.args.clone(),
        kwargs: request.arguments.kwargs.clone(),
        embed: request.embed.clone(),
    };
    let mut properties = request.properties.clone();
    properties.expiration = request.expires.map(|expires| {
        let left = (expires - Utc::now()).num_milliseconds();
        u64::try_from(left).unwrap_or(0)
    });
    Ok(Message {
        headers: request.headers.write(),
        properties,
        content_type: Cow::Borrowed(JSON),
        content_encoding: Cow::Borrowed("utf-8"),
        body: body.to_json()?.as_str().to_owned().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(first: u64) -> TaskOptions {
        TaskOptions {
            retry_backoff: Some(Duration::from_secs(first)),
            retry_jitter: false,
            ..TaskOptions::DEFAULT
        }
    }

    #[test]
    fn a_backoff_doubles_up_to_ten_minutes() {
        let options = backoff(2);
        let seconds = [0, 1, 2, 8, 9, 31, 32, 4_000_000].map(|n| delay(&options, n).as_secs());
        assert_eq!(seconds, [2, 4, 8, 512, 600, 600, 600, 600]);
    }

    #[test]
    fn jitter_is_never_longer_than_the_backoff() {
        let options = TaskOptions {
            retry_jitter: true,
            ..backoff(2)
        };
        assert!((0..1_000).all(|_| delay(&options, 3) <= Duration::from_secs(16)));
    }

    #[test]
    fn without_a_backoff_it_is_three_minutes() {
        assert_eq!(delay(&TaskOptions::DEFAULT, 2), Duration::from_mins(3));
    }
}
