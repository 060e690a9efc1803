//! From a signature to messages in queues.

use std::time::Duration;

use futures_util::stream::{self, TryStreamExt};
use quintette_core::json::JsonError;
use tokio::time::Instant;

use crate::app::App;
use crate::brokers::{BrokerError, BrokerErrorKind};
use crate::canvas::{CanvasError, Node, Planner};
use crate::outcome::AsyncResult;
use crate::protocol::InvalidBody;
use crate::protocol::compression::CompressionError;
use crate::protocol::serializer::ContentError;
use crate::results::{ResultError, ResultErrorKind};
use crate::signature::{Options, Signature};

mod call;
mod moment;
mod options;
mod plan;
mod sent;

pub(crate) use call::{checked_id, queue_of};
pub(crate) use plan::{Call, Plan};

/// How many messages are under way to the broker at once.
const AT_ONCE: usize = 512;

/// Who has waited for so long does not try again: that was no connection that broke, but a broker that takes nothing for want of memory or disk.
const PATIENCE: Duration = Duration::from_secs(25);

impl App {
    /// Sends a call, or a canvas. Celery's `apply_async`.
    ///
    /// The result is that of the last task of a chain, of a chord's body, or of a group: the list of its tasks' results.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use quintette_tasks::{App, Signature, TaskSettings};
    ///
    /// let app = App::new(TaskSettings::default())?;
    /// let call = Signature::new("shop.add").args((2, 3))?.queue("slow");
    /// # if false {
    /// let sent = app.send(&call).await?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Options that make no sense, a canvas that cannot be sent, arguments that cannot be written, a broker (or, of a chord, a store)
    /// that cannot be reached. Nothing has been sent then but for the last two.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the task may or may not have been sent; of a group, some of its tasks.
    pub async fn send(&self, signature: &Signature) -> Result<AsyncResult, SendError> {
        let mut planner = Planner::new(self);
        let node = Node::read(signature.clone())?;
        let result = planner.apply(node, &crate::canvas::Given::default(), &Options::default())?;
        self.carry_out(planner.finish()).await?;
        Ok(AsyncResult::of(self, result))
    }

    /// Sends many calls, without waiting for one before the next. Returns their results in order.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). Options and arguments of all are looked at before any is sent.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, any of them may or may not have been sent.
    pub async fn send_all(&self, signatures: &[Signature]) -> Result<Vec<AsyncResult>, SendError> {
        let mut planner = Planner::new(self);
        let mut results = Vec::with_capacity(signatures.len());
        for signature in signatures {
            let node = Node::read(signature.clone())?;
            let given = crate::canvas::Given::default();
            let result = planner.apply(node, &given, &Options::default())?;
            results.push(AsyncResult::of(self, result));
        }
        self.carry_out(planner.finish()).await?;
        Ok(results)
    }

    /// Stores what chords need, and then sends.
    pub(crate) async fn carry_out(&self, plan: Plan) -> Result<(), SendError> {
        if let Some(results) = self.results() {
            results.before_sending().await?;
            for (group, children) in &plan.groups {
                results.save_group(group, children).await?;
            }
            if let Some(chords) = results.chords() {
                for (group, size) in &plan.sizes {
                    chords.set_size(group, *size).await?;
                }
            }
        }
        match plan.calls.as_slice() {
            [one] => self.publish_call(one).await,
            calls => {
                stream::iter(calls.iter().map(Ok))
                    .try_for_each_concurrent(AT_ONCE, |call| self.publish_call(call))
                    .await
            }
        }
    }

    /// Hands a message over, again where the broker cannot be reached, as the call's policy says. Nobody below tries again: a call without
    /// retries is sent once.
    async fn publish_call(&self, call: &Call) -> Result<(), SendError> {
        let mut wait = call.retry.interval_start;
        let mut left = call.retry.max_retries;
        let begun = Instant::now();
        let may_try_again = |left, error: &BrokerError| {
            left > 0 && error.kind() == BrokerErrorKind::Unavailable && begun.elapsed() < PATIENCE
        };
        loop {
            match self
                .broker()
                .publish(&call.message, &call.destination)
                .await
            {
                Err(error) if may_try_again(left, &error) => {
                    tracing::warn!(%error, "the broker cannot be reached; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait + call.retry.interval_step).min(call.retry.interval_max);
                    left -= 1;
                }
                Ok(()) => {
                    sent::tell(self, call);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Why a task was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Arguments that cannot be written as JSON.
    #[error("the arguments cannot be written as JSON: {0}")]
    Arguments(#[from] serde_json::Error),
    /// A call that is nested too deeply.
    #[error(transparent)]
    Body(#[from] InvalidBody),
    /// An option that makes no sense.
    #[error("the option {name:?} {what}")]
    Option {
        /// The option.
        name: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A canvas that cannot be sent.
    #[error(transparent)]
    Canvas(#[from] CanvasError),
    /// Arguments that the serializer has no place for.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A compression that is not built in.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store of results, which counts a chord's parts.
    #[error(transparent)]
    Results(#[from] ResultError),
}

impl SendError {
    /// Whether the broker or the store could not be reached: trying again may help.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Broker(error) => error.kind() == BrokerErrorKind::Unavailable,
            Self::Results(error) => error.kind() == ResultErrorKind::Unavailable,
            _ => false,
        }
    }
}

impl From<JsonError> for SendError {
    fn from(error: JsonError) -> Self {
        Self::Body(error.into())
    }
}
