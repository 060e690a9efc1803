//! Taking messages.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use tracing::warn;

use super::keys::STEPS;
use super::restore::ending;
use super::scripts::TAKE;
use super::session::Session;
use super::watch::watch;
use super::{Core, count, envelope, error};
use crate::brokers::{
    BrokerError, BrokerErrorKind, Channel, ConsumeOptions, Consumer, Delivery, Queue,
};
use crate::redis::Failure;

/// How many messages are taken at once.
const BATCH: u32 = 256;

/// How long is waited for news before lists are looked at nevertheless.
const LOOKS: Duration = Duration::from_secs(1);

/// The same where the server tells no news.
const POLLS: Duration = Duration::from_millis(50);

/// How many broadcasts wait to be read; what comes then is dropped, as Redis drops it.
const BROADCASTS: usize = 10_000;

pub(super) struct RedisConsumer {
    session: Arc<Session>,
    batches: mpsc::Receiver<Result<Vec<Delivery>, Failure>>,
}

/// A broadcast: its channel and its text.
type Broadcast = (Vec<u8>, Vec<u8>);

impl RedisConsumer {
    pub(super) async fn start(
        core: Arc<Core>,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<Self, Failure> {
        let news = Arc::new(Notify::new());
        let (sender, broadcasts) = mpsc::channel(BROADCASTS);
        let told = news.clone();
        let connection = core
            .link
            .connect(move |push| hear(push, &told, &sender))
            .await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("NOLOOP");
        let wait = match connection.command(&tracking).await {
            Ok(_) => LOOKS,
            Err(_) if !connection.is_over() => POLLS,
            Err(failure) => return Err(failure),
        };
        let session = Session::new(core, connection, news, options.prefetch, options.no_ack);
        let session = Arc::new(session);
        for queue in queues {
            session.add(queue).await?;
        }
        if !options.no_ack {
            session.core.beat(&session.worker, true).await?;
        }
        tokio::spawn(watch(Arc::downgrade(&session), session.core.visibility));
        let (batch, batches) = mpsc::channel(1);
        let pump = Pump {
            session: session.clone(),
            broadcasts,
            wait,
        };
        tokio::spawn(pump.run(batch));
        Ok(Self { session, batches })
    }
}

/// What the server says without being asked.
fn hear(push: PushInfo, news: &Notify, broadcasts: &mpsc::Sender<Broadcast>) {
    match push.kind {
        PushKind::Invalidate | PushKind::Disconnection => news.notify_one(),
        PushKind::PMessage => {
            let mut data = push.data.into_iter().skip(1);
            if let (Some(Value::BulkString(channel)), Some(Value::BulkString(text))) =
                (data.next(), data.next())
            {
                // Whoever does not read in time loses some.
                let _ = broadcasts.try_send((channel, text));
            }
        }
        _ => {}
    }
}

#[async_trait]
impl Consumer for RedisConsumer {
    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        match self.batches.recv().await {
            Some(batch) => batch.map_err(|failure| error("consume", failure)),
            None => Err(BrokerError::new(
                BrokerErrorKind::Unavailable,
                "consume: the connection was lost; begin to consume anew",
            )),
        }
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.session.clone()
    }
}

impl RedisConsumer {
    /// What was taken and never asked for.
    fn left(&mut self) -> Vec<Delivery> {
        self.batches.close();
        let mut left = Vec::new();
        while let Ok(batch) = self.batches.try_recv() {
            left.extend(batch.unwrap_or_default());
        }
        left
    }
}

/// What was taken and never asked for goes back.
impl Drop for RedisConsumer {
    fn drop(&mut self) {
        let left = self.left();
        if left.is_empty() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let session = self.session.clone();
            runtime.spawn(async move { session.return_all(left).await });
        }
    }
}

impl Session {
    async fn return_all(&self, left: Vec<Delivery>) {
        let tags: Vec<_> = left.iter().map(|delivery| delivery.tag).collect();
        if let Err(failure) = self.requeue(&tags).await {
            warn!(target: "quintette::tasks", %failure, "messages that were taken and not begun come again after the visibility timeout");
        }
    }
}

/// Takes messages while there is room for them, until nobody wants them any more.
struct Pump {
    session: Arc<Session>,
    broadcasts: mpsc::Receiver<Broadcast>,
    wait: Duration,
}

impl Pump {
    async fn run(mut self, batches: mpsc::Sender<Result<Vec<Delivery>, Failure>>) {
        loop {
            // What has been asked of the server is waited for to the end: it may have given messages.
            let mut batch = self.take().await;
            if batch.as_ref().is_ok_and(Vec::is_empty) {
                batch = tokio::select! {
                    batch = self.wait() => batch,
                    () = batches.closed() => return,
                };
            }
            if batch.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            let is_over = batch.is_err();
            if let Err(unsent) = batches.send(batch).await {
                self.session.return_all(unsent.0.unwrap_or_default()).await;
                return;
            }
            if is_over {
                return;
            }
        }
    }

    /// What there is.
    async fn take(&mut self) -> Result<Vec<Delivery>, Failure> {
        let mut batch = self.heard();
        let count = self.session.credit(BATCH);
        let queues = self.session.turn();
        if self.session.is_closed() || count == 0 || queues.is_empty() {
            return Ok(batch);
        }
        match self.take_from(&queues, count).await {
            Ok(taken) => {
                batch.extend(taken);
                Ok(batch)
            }
            Err(failure) => {
                self.session.close();
                self.reclaim(count);
                Err(failure)
            }
        }
    }

    async fn take_from(&self, queues: &[String], count: u32) -> Result<Vec<Delivery>, Failure> {
        let session = &self.session;
        let keys = &session.core.keys;
        let lists = STEPS
            .iter()
            .flat_map(|step| queues.iter().map(|queue| keys.queue(queue, *step)));
        let lists: Vec<_> = lists.collect();
        let worker = if session.no_ack() {
            ""
        } else {
            &session.worker
        };
        let mut arguments = vec![
            worker.to_owned(),
            session.next_number().to_string(),
            count.to_string(),
            queues.len().to_string(),
        ];
        arguments.extend(queues.iter().map(|queue| ending(queue)));

        let mut names = vec![&keys.unacked, &keys.unacked_index, &keys.workers];
        names.extend(&lists);
        let names: Vec<_> = names.into_iter().map(String::as_bytes).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_bytes).collect();
        let taken = session.connection.script(&TAKE, &names, &arguments).await?;
        let Value::Array(taken) = taken else {
            return Err(Failure::unavailable(
                "this worker was silent for so long that others took over what it held",
            ));
        };
        let queues: Vec<Arc<str>> = queues.iter().map(|queue| queue.as_str().into()).collect();
        let mut batch = Vec::with_capacity(taken.len() / 2);
        for pair in taken.chunks_exact(2) {
            let [Value::Int(queue), Value::BulkString(raw)] = pair else {
                return Err(Failure::unexpected());
            };
            let queue = usize::try_from(*queue)
                .ok()
                .and_then(|place| queues.get(place));
            let queue = queue.ok_or_else(Failure::unexpected)?.clone();
            let tag = session.hold(!session.no_ack());
            batch.push(delivery(tag, queue, raw));
        }
        Ok(batch)
    }

    /// It may have taken messages, whose tags nobody here knows.
    fn reclaim(&self, count: u32) {
        let session = &self.session;
        if session.no_ack() {
            return;
        }
        let first = session.next_number();
        let numbers = (first..first + u64::from(count)).rev();
        let tags = numbers.map(|number| format!("{}:{number}", session.worker));
        let reclaimed = session
            .core
            .clone()
            .reclaim(session.worker.clone(), tags.collect());
        tokio::spawn(reclaimed);
    }

    /// Waits until there may be something; that may be a broadcast.
    async fn wait(&mut self) -> Result<Vec<Delivery>, Failure> {
        let session = &self.session;
        let queues = session.turn();
        let lists: Vec<_> = queues
            .iter()
            .flat_map(|queue| session.core.keys.lists(queue))
            .collect();
        // The server tells once when one of these changes. It also shows that it lives.
        let mut look = redis::cmd(if lists.is_empty() { "PING" } else { "EXISTS" });
        let found = session.connection.command(look.arg(&lists)).await?;
        if !lists.is_empty() && count(&found)? > 0 && session.credit(1) > 0 {
            return Ok(Vec::new());
        }
        let batch = tokio::select! {
            broadcast = self.broadcasts.recv() => {
                let mut batch: Vec<_> = broadcast.into_iter().filter_map(|one| self.broadcast(&one)).collect();
                batch.extend(self.heard());
                batch
            }
            () = self.session.news.notified() => Vec::new(),
            () = sleep(self.wait) => Vec::new(),
        };
        if self.session.connection.is_over() || self.session.is_closed() {
            return Err(Failure::unavailable("the connection to Redis was lost"));
        }
        Ok(batch)
    }

    fn heard(&mut self) -> Vec<Delivery> {
        let mut batch = Vec::new();
        while batch.len() < BATCH as usize
            && let Ok(broadcast) = self.broadcasts.try_recv()
        {
            batch.extend(self.broadcast(&broadcast));
        }
        batch
    }

    /// A broadcast on `<prefix>/<db>.<exchange>[/<routing key>]`.
    fn broadcast(&self, (channel, text): &Broadcast) -> Option<Delivery> {
        let channel = std::str::from_utf8(channel).ok()?;
        let names = channel.strip_prefix(&self.session.core.keys.channel("", ""))?;
        let exchange = names.split('/').next()?;
        let queue = self.session.fanout_queue(exchange)?;
        Some(delivery(self.session.hold(false), queue.into(), text))
    }
}

fn delivery(tag: u64, queue: Arc<str>, raw: &[u8]) -> Delivery {
    let read = envelope::read(raw);
    Delivery {
        tag,
        queue,
        exchange: read.exchange,
        routing_key: read.routing_key,
        redelivered: read.redelivered,
        deliveries: None,
        message: read.message,
    }
}
