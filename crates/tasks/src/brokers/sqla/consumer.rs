//! Taking messages, and holding on to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::channel::SqlaChannel;
use super::envelope::{self, Opened};
use super::{Shared, milliseconds, tables};
use crate::brokers::{
    BrokerError, BrokerErrorKind, Channel, ConsumeOptions, Consumer, Delivery, Queue,
};
use crate::database::Value;

/// How long a worker that is silent is believed to live.
const LEASE: Duration = Duration::from_secs(10);
/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// How often the file is looked at for what other processes have sent: at first, and after a while without any.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(250);
/// At most so many messages come at once: who takes without a limit leaves some for the others.
const BATCH: usize = 128;

/// Takes messages from a file, in a task of its own: a caller of `next` that vanishes takes none with it.
pub(super) struct SqlaConsumer {
    channel: Arc<SqlaChannel>,
    batches: mpsc::Receiver<Vec<Delivery>>,
}

impl SqlaConsumer {
    pub(super) fn start(shared: Arc<Shared>, queues: &[Queue], options: ConsumeOptions) -> Self {
        let channel = Arc::new(SqlaChannel::new(shared, queues, options));
        let (sender, batches) = mpsc::channel(1);
        let taker = Taker {
            channel: channel.clone(),
            sender,
            ids: HashMap::new(),
            pause: SHORTEST,
            renewed: Instant::now(),
            was_well: true,
        };
        tokio::spawn(taker.run());
        Self { channel, batches }
    }
}

#[async_trait]
impl Consumer for SqlaConsumer {
    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        self.batches.recv().await.ok_or_else(|| {
            BrokerError::new(
                BrokerErrorKind::Unavailable,
                format!(
                    "{}: the task that takes messages has ended",
                    self.channel.shared.database.place()
                ),
            )
        })
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }
}

impl Drop for SqlaConsumer {
    fn drop(&mut self) {
        self.channel.taking().is_closed = true;
        self.channel.woken.notify_one();
    }
}

/// The task of a consumer.
struct Taker {
    channel: Arc<SqlaChannel>,
    sender: mpsc::Sender<Vec<Delivery>>,
    /// The queues' names by their ids.
    ids: HashMap<i64, Arc<str>>,
    pause: Duration,
    renewed: Instant,
    was_well: bool,
}

impl Taker {
    async fn run(mut self) {
        let shared = self.channel.shared.clone();
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // From here on, so that what is sent while the file is looked at is not missed.
            changed.as_mut().enable();
            if self.channel.taking().is_closed {
                break;
            }
            match self.turn().await {
                Ok(true) => {
                    self.pause = SHORTEST;
                    self.was_well = true;
                    continue;
                }
                Ok(false) => self.was_well = true,
                // What is held stays held, and so the worker need not know.
                Err(error) => {
                    if std::mem::take(&mut self.was_well) {
                        tracing::warn!(%error, "messages cannot be taken; trying again");
                    }
                }
            }
            tokio::select! {
                () = changed => self.pause = SHORTEST,
                () = self.channel.woken.notified() => self.pause = SHORTEST,
                () = tokio::time::sleep(self.pause) => self.pause = (self.pause * 2).min(LONGEST),
            }
        }
        let back = tables::requeue(&self.channel.owner, None);
        // Where this fails, the lease ends by itself.
        if let Err(error) = self.channel.shared.database.write(back).await {
            tracing::warn!(%error, "what a consumer held goes back only when its lease ends");
        }
        self.channel.shared.changed.notify_waiters();
    }

    /// Looks at the file once; `true` where it took something.
    async fn turn(&mut self) -> Result<bool, BrokerError> {
        self.renew().await?;
        let queues = self.queues().await?;
        let database = self.channel.shared.database().await?;
        let seen = database.read(tables::look(&queues)).await?;
        let mut seen = seen.into_iter().flatten().map(Value::int);
        let mut are_waiting = seen.next().flatten() == Some(1);
        let due = seen.next().flatten();
        let now = milliseconds(Duration::ZERO);
        if due.is_some_and(|due| due <= now) {
            // A clock that was set, or a machine that slept, ends no lease of who is awake again.
            let mut restore = vec![tables::renew(&self.channel.owner, milliseconds(LEASE))];
            restore.extend(tables::restore(now));
            database.write(restore).await?;
            self.channel.shared.changed.notify_waiters();
            are_waiting = true;
        }
        let room = self.room();
        if !are_waiting || room == 0 || queues.is_empty() {
            return Ok(false);
        }
        let most = i64::try_from(room).unwrap_or(i64::MAX);
        let until = milliseconds(LEASE);
        let take = if self.channel.no_ack {
            tables::take_away(&queues, most)
        } else {
            tables::take(&queues, &self.channel.owner, until, most)
        };
        let written = database.write(take).await?;
        let rows = written.into_iter().next().unwrap_or_default().rows;
        let mut deliveries: Vec<_> = rows
            .into_iter()
            .filter_map(|row| self.delivery(row))
            .collect();
        if deliveries.is_empty() {
            return Ok(false);
        }
        deliveries.sort_unstable_by_key(|delivery| delivery.tag);
        self.hand_over(deliveries).await;
        Ok(true)
    }

    /// Waits until the consumer takes them; holds on to what is held meanwhile.
    async fn hand_over(&mut self, deliveries: Vec<Delivery>) {
        if !self.channel.no_ack {
            let ids = deliveries
                .iter()
                .filter_map(|it| i64::try_from(it.tag).ok());
            self.channel.taking().held.extend(ids);
        }
        let permit = loop {
            tokio::select! {
                permit = self.sender.reserve() => break permit,
                () = tokio::time::sleep(RENEWAL) => {}
            }
            let renew = tables::renew(&self.channel.owner, milliseconds(LEASE));
            if let Err(error) = self.channel.shared.database.execute(renew).await {
                tracing::warn!(%error, "a lease was not renewed");
            }
        };
        // Dropped: what it held goes back.
        if let Ok(permit) = permit {
            permit.send(deliveries);
        }
    }

    fn room(&self) -> usize {
        let taking = self.channel.taking();
        if taking.prefetch == 0 || self.channel.no_ack {
            return BATCH;
        }
        let room = (taking.prefetch as usize).saturating_sub(taking.held.len());
        room.min(BATCH)
    }

    async fn renew(&mut self) -> Result<(), BrokerError> {
        if self.renewed.elapsed() < RENEWAL {
            return Ok(());
        }
        if !self.channel.taking().held.is_empty() {
            let renew = tables::renew(&self.channel.owner, milliseconds(LEASE));
            self.channel.shared.database().await?.execute(renew).await?;
        }
        self.renewed = Instant::now();
        Ok(())
    }

    /// The ids of the queues that are taken from.
    async fn queues(&mut self) -> Result<Vec<i64>, BrokerError> {
        let names = self.channel.taking().queues.clone();
        let known = |ids: &HashMap<i64, Arc<str>>, name: &str| {
            let found = ids.iter().find(|(_, known)| &***known == name);
            found.map(|(id, _)| *id)
        };
        if names.iter().any(|name| known(&self.ids, name).is_none()) {
            let database = self.channel.shared.database().await?;
            for row in database.read(tables::queue_ids(&names)).await? {
                let mut row = row.into_iter();
                let id = row.next().and_then(Value::int);
                let name = row.next().and_then(Value::text);
                if let (Some(id), Some(name)) = (id, name) {
                    self.ids.insert(id, name.into());
                }
            }
        }
        Ok(names
            .iter()
            .filter_map(|name| known(&self.ids, name))
            .collect())
    }

    fn delivery(&self, row: Vec<Value>) -> Option<Delivery> {
        let mut row = row.into_iter();
        let tag = row.next()?.int()?.try_into().ok()?;
        let queue = self.ids.get(&row.next()?.int()?)?.clone();
        let payload = row.next()?.bytes()?;
        let payload = String::from_utf8_lossy(&payload);
        let version = row.next()?.int()?;
        let Opened {
            message,
            exchange,
            routing_key,
            redelivered,
        } = envelope::open(&payload);
        Some(Delivery {
            tag,
            queue,
            exchange,
            routing_key,
            redelivered: redelivered || version > 1,
            deliveries: u32::try_from(version.saturating_sub(1)).ok(),
            message,
        })
    }
}
