use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use quintette_core::json::RawJson;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;

use crate::brokers::{Broker, BrokerError, ConsumeOptions, Consumer, Delivery, Queue};
use crate::results::memory::lifetime;
use crate::results::{State, TaskMeta};

/// What has come, and who waits for more.
#[derive(Debug)]
pub(super) struct Replies {
    metas: Cache<String, TaskMeta>,
    waiting: Mutex<HashMap<String, Arc<Notify>>>,
}

impl Replies {
    const MOST: u64 = 100_000;

    pub(super) fn new(expires: Option<Duration>) -> Self {
        Self {
            metas: Cache::builder()
                .max_capacity(Self::MOST)
                .time_to_live(lifetime(expires))
                .build(),
            waiting: Mutex::default(),
        }
    }

    pub(super) fn of(&self, id: &str) -> Option<TaskMeta> {
        self.metas.get(id)
    }

    pub(super) fn forget(&self, id: &str) {
        self.metas.invalidate(id);
    }

    /// Waits until a task is ready.
    pub(super) async fn ready(&self, id: &str) -> TaskMeta {
        let waiting = Waiting::new(self, id);
        loop {
            let come = waiting.come.notified();
            tokio::pin!(come);
            come.as_mut().enable();
            if let Some(meta) = self.of(id).filter(|meta| meta.status.is_ready()) {
                return meta;
            }
            come.await;
        }
    }

    fn take(&self, delivery: &Delivery) {
        let meta = match parse(delivery) {
            Ok(meta) => meta,
            Err(what) => {
                warn!(queue = %delivery.queue, "what came is no result: {what}");
                return;
            }
        };
        let id = meta.task_id.clone();
        self.metas
            .entry(id.clone())
            .and_upsert_with(|stored| match stored {
                Some(stored) if stored.value().status == State::Success => stored.into_value(),
                _ => meta,
            });
        if let Some(come) = self.waiting().get(&id) {
            come.notify_waiters();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for a task; forgotten when the last one does not any more.
struct Waiting<'a> {
    replies: &'a Replies,
    id: &'a str,
    come: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn new(replies: &'a Replies, id: &'a str) -> Self {
        let mut waiting = replies.waiting();
        let come = Arc::clone(waiting.entry(id.to_owned()).or_default());
        drop(waiting);
        Self { replies, id, come }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.replies.waiting();
        // The map's and this one.
        if Arc::strong_count(&self.come) == 2 {
            waiting.remove(self.id);
        }
    }
}

fn parse(delivery: &Delivery) -> Result<TaskMeta, String> {
    let message = delivery
        .message
        .as_ref()
        .map_err(|bad| bad.reason.clone())?;
    let text = std::str::from_utf8(&message.body)
        .map_err(|_| format!("its content type is {}", message.content_type))?;
    let json = RawJson::parse(text).map_err(|error| error.to_string())?;
    let mut meta = TaskMeta::from_json(&json).map_err(|error| error.to_string())?;
    if meta.task_id.is_empty() {
        let id = message.properties.correlation_id.clone();
        meta.task_id = id.ok_or("it names no task")?;
    }
    Ok(meta)
}

pub(super) async fn consume(
    broker: &dyn Broker,
    queue: &Queue,
) -> Result<Box<dyn Consumer>, BrokerError> {
    let options = ConsumeOptions {
        prefetch: 0,
        no_ack: true,
    };
    broker.consume(std::slice::from_ref(queue), options).await
}

/// Reads for good, again and again where the connection is lost.
pub(super) async fn read(
    replies: Arc<Replies>,
    broker: Arc<dyn Broker>,
    queue: Queue,
    mut consumer: Box<dyn Consumer>,
) {
    loop {
        match consumer.next().await {
            Ok(batch) => batch.iter().for_each(|delivery| replies.take(delivery)),
            Err(error) => {
                warn!(%error, "results are read again when the broker can be reached");
                drop(consumer);
                consumer = reconnect(&*broker, &queue).await;
            }
        }
    }
}

async fn reconnect(broker: &dyn Broker, queue: &Queue) -> Box<dyn Consumer> {
    let mut wait = Duration::from_millis(100);
    loop {
        match consume(broker, queue).await {
            Ok(consumer) => return consumer,
            Err(error) => warn!(%error, "results cannot be read"),
        }
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}
