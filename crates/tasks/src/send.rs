//! From a signature to a message in a queue.

use std::borrow::Cow;

use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::brokers::{BrokerError, Destination};
use crate::outcome::AsyncResult;
use crate::protocol::{Body, InvalidBody, Message, Properties, TaskHeaders};
use crate::signature::Signature;

impl App {
    /// Sends a call. Celery's `apply_async`.
    ///
    /// # Errors
    ///
    /// Options that make no sense, arguments that cannot be written, a broker that cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the task may or may not have been sent.
    pub async fn send(&self, signature: &Signature) -> Result<AsyncResult, SendError> {
        let option = |name: &str| {
            signature
                .options
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let id = option("task_id").unwrap_or_else(|| Uuid::new_v4().to_string());
        let headers = TaskHeaders {
            task: signature.task.clone(),
            id: id.clone(),
            root_id: Some(id.clone()),
            origin: Some(self.origin().to_owned()),
            ..TaskHeaders::default()
        };
        let kwargs = signature.kwargs.iter();
        let body = Body {
            args: signature.args.clone(),
            kwargs: kwargs
                .map(|(name, value)| (name.as_str().into(), value.clone()))
                .collect(),
            ..Body::default()
        };
        let message = Message {
            headers: headers.write(),
            properties: Properties {
                correlation_id: Some(id.clone()),
                reply_to: Some(self.oid().to_owned()),
                priority: Some(0),
                ..Properties::default()
            },
            content_type: Cow::Borrowed("application/json"),
            content_encoding: Cow::Borrowed("utf-8"),
            body: body.to_json()?.as_str().to_owned().into(),
        };
        let queue = option("queue").unwrap_or_else(|| self.settings().task_default_queue.clone());
        self.broker()
            .publish(&message, &Destination::queue(self.queue(&queue)))
            .await?;
        Ok(AsyncResult::new(self, id))
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
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}
