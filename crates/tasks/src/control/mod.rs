//! Remote control: what `celery inspect` and `celery control` do, from Rust.
//!
//! Commands go to all workers at once, Python's and Rust's, by a fanout exchange; each that is meant obeys and replies. There is no list of
//! workers: who does not answer in time is not there.

pub(crate) mod mailbox;

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::App;
use crate::brokers::{BrokerError, BrokerErrorKind, ConsumeOptions, Consumer};
use mailbox::{Command, ReplyTo};

/// Speaks to workers. Celery's `app.control`.
///
/// ```no_run
/// use std::time::Duration;
///
/// use quintette_tasks::{App, TaskSettings};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::new(TaskSettings::default())?;
/// for (worker, answer) in app.control().timeout(Duration::from_secs(1)).ask("ping").await? {
///     println!("{worker}: {answer}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `ask` or `tell`"]
pub struct Control {
    app: App,
    destination: Option<Vec<String>>,
    arguments: Map<String, Value>,
    timeout: Duration,
}

impl App {
    /// Remote control of the workers.
    pub fn control(&self) -> Control {
        Control {
            app: self.clone(),
            destination: None,
            arguments: Map::new(),
            timeout: Duration::from_secs(1),
        }
    }
}

impl Control {
    /// Only these workers, by their names.
    pub fn destination<N: Into<String>>(mut self, workers: impl IntoIterator<Item = N>) -> Self {
        self.destination = Some(workers.into_iter().map(Into::into).collect());
        self
    }

    /// An argument of the command.
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// How long to wait for answers; a second by default. With workers named, no longer than until all have answered.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends a command, and gathers the answers by worker, in the order in which they come.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the command may have been obeyed.
    pub async fn ask(self, method: &str) -> Result<IndexMap<String, Value>, BrokerError> {
        let ticket = Uuid::new_v4().to_string();
        // A queue of its own for each question: two that are asked at once cannot read each other's answers.
        let oid = Uuid::new_v4().to_string();
        let queue = mailbox::replies(&oid);
        let options = ConsumeOptions {
            prefetch: 0,
            no_ack: true,
        };
        let mut consumer = self
            .app
            .broker()
            .consume(std::slice::from_ref(&queue), options)
            .await?;
        let reply_to = ReplyTo {
            exchange: queue.exchange.name,
            routing_key: oid,
        };
        self.publish(method, Some((ticket.clone(), reply_to)))
            .await?;
        let most = self.destination.as_ref().map_or(usize::MAX, Vec::len);
        let deadline = Instant::now() + self.timeout;
        let mut answers = IndexMap::new();
        while answers.len() < most {
            let Ok(batch) =
                tokio::time::timeout_at(deadline, gather(&mut *consumer, &ticket)).await
            else {
                break;
            };
            answers.extend(batch?);
        }
        Ok(answers)
    }

    /// Sends a command, and waits for no answer.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returns, the command may have been obeyed.
    pub async fn tell(self, method: &str) -> Result<(), BrokerError> {
        self.publish(method, None).await
    }

    /// Revokes tasks: no worker that hears it begins them. `terminate` ends those that run as well.
    ///
    /// # Errors
    ///
    /// Where the broker cannot be reached.
    ///
    /// # Cancellation
    ///
    /// As [`tell`](Self::tell).
    pub async fn revoke<I: Into<String>>(
        self,
        ids: impl IntoIterator<Item = I>,
        terminate: bool,
    ) -> Result<(), BrokerError> {
        let ids: Vec<Value> = ids.into_iter().map(|id| Value::String(id.into())).collect();
        self.argument("task_id", ids)
            .argument("terminate", terminate)
            .argument("signal", "SIGTERM")
            .tell("revoke")
            .await
    }

    async fn publish(
        &self,
        method: &str,
        reply: Option<(String, ReplyTo)>,
    ) -> Result<(), BrokerError> {
        let lifetime = reply.is_some().then_some(self.timeout);
        let (ticket, reply_to) = reply.unzip();
        let command = Command {
            method: method.to_owned(),
            arguments: Some(self.arguments.clone()),
            destination: self.destination.clone(),
            pattern: None,
            matcher: None,
            ticket,
            reply_to,
        };
        let message = command.message(0, lifetime).map_err(|error| {
            BrokerError::new(
                BrokerErrorKind::Refused,
                "the command cannot be written as JSON",
            )
            .with_source(error)
        })?;
        self.app
            .broker()
            .publish(&message, &mailbox::commands())
            .await
    }
}

/// The answers of a batch that belong to the question.
async fn gather(
    consumer: &mut dyn Consumer,
    ticket: &str,
) -> Result<Vec<(String, Value)>, BrokerError> {
    let mut answers = Vec::new();
    for delivery in consumer.next().await? {
        let Ok(message) = delivery.message else {
            continue;
        };
        let asked = message.headers.get("ticket").and_then(Value::as_str);
        if asked.is_some_and(|asked| asked != ticket) {
            continue;
        }
        if let Ok(Value::Object(answer)) = serde_json::from_slice(&message.body) {
            answers.extend(answer);
        }
    }
    Ok(answers)
}
