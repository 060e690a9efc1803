//! `rpc://`: results as messages to the client that sent the task.

mod replies;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::json::RawJson;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{ResultBackend, ResultError, ResultErrorKind, StoreContext, TaskMeta};
use crate::brokers::{Broker, BrokerError, BrokerErrorKind, Destination, Exchange, Queue};
use crate::protocol::Message;

use replies::Replies;

/// How long the queue outlives its client's connection.
const LINGERS: Duration = Duration::from_mins(10);

/// Results as messages to the client that sent the task, over the broker. Celery's `rpc://`.
///
/// A client reads from a queue that is named by its [id](crate::App::oid), from its first task on, and keeps the newest hundred thousand results.
/// No other client can ask for them, so there are neither groups to be found again nor chords. They are not kept on disk: a broker that is
/// restarted loses those that are under way.
///
/// Unlike Celery's, the queue does not go with its last consumer but ten minutes later, so that a connection that is lost loses no result.
#[derive(Clone)]
pub struct RpcResults {
    inner: Arc<Inner>,
}

struct Inner {
    broker: Arc<dyn Broker>,
    queue: Queue,
    replies: Arc<Replies>,
    reading: Mutex<Option<JoinHandle<()>>>,
}

impl RpcResults {
    /// The results of the client with this id, which live for `expires` here.
    pub fn new(broker: Arc<dyn Broker>, oid: &str, expires: Option<Duration>) -> Self {
        let mut queue = Queue::new(oid);
        queue.exchange = Exchange::default();
        queue.expires = Some(LINGERS);
        Self {
            inner: Arc::new(Inner {
                broker,
                queue,
                replies: Arc::new(Replies::new(expires)),
                reading: Mutex::default(),
            }),
        }
    }

    /// Reads the queue from now on, if it is not read already.
    async fn read(&self) -> Result<(), ResultError> {
        let mut reading = self.inner.reading.lock().await;
        // One whose runtime has ended is finished, too.
        if reading.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        let Inner {
            broker,
            queue,
            replies,
            ..
        } = &*self.inner;
        let consumer = replies::consume(&**broker, queue)
            .await
            .map_err(|error| failure("reading results", error))?;
        *reading = Some(tokio::spawn(replies::read(
            Arc::clone(replies),
            Arc::clone(broker),
            queue.clone(),
            consumer,
        )));
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.reading.get_mut() {
            task.abort();
        }
    }
}

#[async_trait]
impl ResultBackend for RpcResults {
    /// Sends it to who waits for it; to nobody, where the task does not say who does.
    async fn store(&self, meta: &TaskMeta, request: &StoreContext) -> Result<(), ResultError> {
        let Some(reply_to) = request.reply_to.as_ref().filter(|queue| !queue.is_empty()) else {
            return Ok(());
        };
        let to = Destination {
            routing_key: reply_to.clone(),
            may_be_dropped: true,
            ..Destination::default()
        };
        let message = reply(meta, request);
        let sent = self.inner.broker.publish(&message, &to).await;
        sent.map_err(|error| failure(&format!("sending the result of {}", meta.task_id), error))
    }

    async fn before_sending(&self) -> Result<(), ResultError> {
        self.read().await
    }

    fn allows_chords(&self) -> bool {
        false
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        self.read().await?;
        Ok(self.inner.replies.of(id))
    }

    async fn wait(
        &self,
        id: &str,
        patience: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        let ready = async {
            self.read().await?;
            Ok(Some(self.inner.replies.ready(id).await))
        };
        match patience {
            Some(patience) => timeout(patience, ready).await.unwrap_or(Ok(None)),
            None => ready.await,
        }
    }

    async fn forget(&self, id: &str) -> Result<(), ResultError> {
        self.inner.replies.forget(id);
        Ok(())
    }

    async fn save_group(&self, _: &str, _: &RawJson) -> Result<(), ResultError> {
        Err(no_groups())
    }

    async fn load_group(&self, _: &str) -> Result<Option<RawJson>, ResultError> {
        Err(no_groups())
    }

    async fn forget_group(&self, _: &str) -> Result<(), ResultError> {
        Err(no_groups())
    }
}

fn reply(meta: &TaskMeta, request: &StoreContext) -> Message {
    let mut message = Message::json(meta.to_json().as_str().to_owned());
    let correlation_id = request.correlation_id.as_ref();
    message.properties.correlation_id = Some(correlation_id.unwrap_or(&meta.task_id).clone());
    message.properties.transient = true;
    message.properties.priority = Some(0);
    message
}

fn failure(doing: &str, error: BrokerError) -> ResultError {
    let kind = match error.kind() {
        BrokerErrorKind::Unavailable => ResultErrorKind::Unavailable,
        BrokerErrorKind::Configuration => ResultErrorKind::Configuration,
        _ => ResultErrorKind::Refused,
    };
    ResultError::new(kind, format!("{doing}: {error}")).with_source(error)
}

fn no_groups() -> ResultError {
    ResultError::new(
        ResultErrorKind::Unsupported,
        "result_backend rpc:// keeps neither groups nor chords: only who sent a task can ask for its result; use redis:// or a database",
    )
}

impl fmt::Debug for RpcResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcResults")
            .field("queue", &self.inner.queue.name)
            .finish_non_exhaustive()
    }
}
