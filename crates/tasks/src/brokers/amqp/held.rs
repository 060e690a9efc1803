use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    BasicRejectOptions,
};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::brokers::{BrokerError, ConsumeOptions, Queue, QueueKind};

use super::channel::{Command, Failed, Work};
use super::consumer::Source;
use super::declare;
use super::link::Connected;
use super::unsettled::Unsettled;

/// How many commands are worked off together.
const TOGETHER: usize = 4_096;

/// A channel that consumes, and all that is done on it. Its owner works off the commands one after the other, so that what is sent keeps
/// its order.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) link: Arc<Connected>,
    pub(super) channel: lapin::Channel,
    pub(super) options: ConsumeOptions,
    pub(super) prefetch: u16,
    /// Whether the prefetch is of each consumer. RabbitMQ refuses one for the whole channel where a queue is a quorum queue.
    pub(super) per_consumer: bool,
    pub(super) consuming: Vec<Consuming>,
    pub(super) unsettled: Arc<Mutex<Unsettled>>,
    pub(super) added: UnboundedSender<Source>,
}

#[derive(Debug)]
pub(super) struct Consuming {
    queue: Arc<Queue>,
    tag: ShortString,
    ending: Arc<AtomicBool>,
}

/// Those who wait until the broker has heard of what was sent for them.
type Waiting = Vec<oneshot::Sender<Result<(), Failed>>>;

impl Held {
    /// Works until nobody is left who could ask for something.
    pub(super) async fn work(mut self, mut commands: UnboundedReceiver<Command>) {
        let mut batch = Vec::new();
        while commands.recv_many(&mut batch, TOGETHER).await > 0 {
            let mut settling = Settling::default();
            for Command { what, done } in batch.drain(..) {
                match what {
                    Work::Acknowledge(tags) => settling.acks.extend(tags),
                    Work::Requeue(tags) => settling.requeues.extend(tags),
                    Work::Reject(tag) => settling.rejects.push(tag),
                    other => {
                        self.settle(&mut settling).await;
                        let result = self.change(other).await;
                        let _ = done.send(result.map_err(Failed::from));
                        continue;
                    }
                }
                settling.waiting.push(done);
            }
            self.settle(&mut settling).await;
        }
    }

    async fn settle(&self, settling: &mut Settling) {
        let settling = std::mem::take(settling);
        if settling.waiting.is_empty() {
            return;
        }
        let result = self
            .send(&settling)
            .await
            .map_err(|error| Failed::from(self.link.failure("acknowledging", error)));
        for done in settling.waiting {
            let _ = done.send(result.clone());
        }
    }

    /// Sends it all, then asks something that is answered after it: a broker never says that it has an acknowledgement.
    async fn send(&self, settling: &Settling) -> lapin::Result<()> {
        let (acks, requeues, rejects) = {
            let mut unsettled = self
                .unsettled
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let requeues = settling.requeues.iter().copied();
            let requeues: Vec<_> = requeues.filter(|tag| unsettled.remove(*tag)).collect();
            let rejects = settling.rejects.iter().copied();
            let rejects: Vec<_> = rejects.filter(|tag| unsettled.remove(*tag)).collect();
            (unsettled.acknowledge(&settling.acks), requeues, rejects)
        };
        if let Some(tag) = acks.up_to {
            self.channel
                .basic_ack(tag, BasicAckOptions { multiple: true })
                .await?;
        }
        let single = BasicAckOptions { multiple: false };
        try_join_all(
            acks.single
                .iter()
                .map(|tag| self.channel.basic_ack(*tag, single)),
        )
        .await?;
        self.requeue(&requeues).await?;
        let dead = BasicRejectOptions { requeue: false };
        try_join_all(
            rejects
                .iter()
                .map(|tag| self.channel.basic_reject(*tag, dead)),
        )
        .await?;
        self.barrier().await
    }

    async fn requeue(&self, tags: &[u64]) -> lapin::Result<()> {
        let again = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        try_join_all(tags.iter().map(|tag| self.channel.basic_nack(*tag, again))).await?;
        Ok(())
    }

    /// The cheapest that a broker answers: the prefetch, as it is. (One for each consumer, even of 0, would end one for the channel.)
    async fn barrier(&self) -> lapin::Result<()> {
        let global = !self.per_consumer && self.prefetch > 0;
        self.channel
            .basic_qos(self.prefetch, BasicQosOptions { global })
            .await
    }

    async fn change(&mut self, what: Work) -> Result<(), BrokerError> {
        match what {
            Work::Prefetch(prefetch) => self.set_prefetch(prefetch).await,
            Work::Add(queue) => self.add(&queue).await,
            Work::Cancel(name) => self.cancel(&name).await,
            Work::Stop(sources) => {
                self.stop(sources).await;
                Ok(())
            }
            Work::Acknowledge(_) | Work::Requeue(_) | Work::Reject(_) => Ok(()),
        }
    }

    async fn set_prefetch(&mut self, prefetch: u32) -> Result<(), BrokerError> {
        // As Celery: what does not fit is no limit.
        let prefetch = u16::try_from(prefetch).unwrap_or(0);
        if prefetch == self.prefetch {
            return Ok(());
        }
        self.prefetch = prefetch;
        self.limit().await?;
        if self.per_consumer {
            // It counts for consumers that come after it.
            self.renew().await?;
        }
        Ok(())
    }

    pub(super) async fn limit(&self) -> Result<(), BrokerError> {
        if self.options.no_ack {
            return Ok(());
        }
        let global = !self.per_consumer;
        let limited = self
            .channel
            .basic_qos(self.prefetch, BasicQosOptions { global })
            .await;
        limited.map_err(|error| self.link.failure("setting the prefetch", error))
    }

    async fn renew(&mut self) -> Result<(), BrokerError> {
        for old in std::mem::take(&mut self.consuming) {
            let source = self.consume(Arc::clone(&old.queue)).await?;
            let _ = self.added.send(source);
            self.end(&old).await?;
        }
        Ok(())
    }

    async fn add(&mut self, queue: &Queue) -> Result<(), BrokerError> {
        if self
            .consuming
            .iter()
            .any(|consuming| consuming.queue.name == queue.name)
        {
            return Ok(());
        }
        declare::queue(&self.link, queue).await?;
        if queue.kind == QueueKind::Quorum && !self.per_consumer && !self.options.no_ack {
            let unlimited = self
                .channel
                .basic_qos(0, BasicQosOptions { global: true })
                .await;
            unlimited.map_err(|error| self.link.failure("setting the prefetch", error))?;
            self.per_consumer = true;
            self.limit().await?;
            self.renew().await?;
        }
        let source = self.consume(Arc::new(queue.clone())).await?;
        let _ = self.added.send(source);
        Ok(())
    }

    pub(super) async fn consume(&mut self, queue: Arc<Queue>) -> Result<Source, BrokerError> {
        let doing = format!("consuming the queue {:?}", queue.name);
        let name = declare::name(&self.link, "the queue's name", &queue.name)?;
        let options = BasicConsumeOptions {
            no_ack: self.options.no_ack,
            ..BasicConsumeOptions::default()
        };
        let consumed = self
            .channel
            .basic_consume(name, ShortString::default(), options, FieldTable::default())
            .await;
        let stream = consumed.map_err(|error| self.link.failure(&doing, error))?;
        let ending = Arc::new(AtomicBool::new(false));
        self.consuming.push(Consuming {
            queue: Arc::clone(&queue),
            tag: stream.tag(),
            ending: Arc::clone(&ending),
        });
        Ok(Source {
            name: Arc::from(queue.name.as_str()),
            queue,
            stream,
            ending,
        })
    }

    async fn cancel(&mut self, name: &str) -> Result<(), BrokerError> {
        let place = self
            .consuming
            .iter()
            .position(|consuming| consuming.queue.name == name);
        match place {
            Some(place) => {
                let consuming = self.consuming.swap_remove(place);
                self.end(&consuming).await
            }
            None => Ok(()),
        }
    }

    async fn end(&self, consuming: &Consuming) -> Result<(), BrokerError> {
        consuming.ending.store(true, Ordering::Release);
        let tag = consuming.tag.clone();
        let cancelled = self
            .channel
            .basic_cancel(tag, BasicCancelOptions::default())
            .await;
        cancelled.map_err(|error| {
            let doing = format!("no longer consuming the queue {:?}", consuming.queue.name);
            self.link.failure(&doing, error)
        })
    }

    /// What was delivered and not taken goes back at once; what was taken may still be acknowledged.
    async fn stop(&mut self, sources: Vec<Source>) {
        let mut untaken = Vec::new();
        for consuming in std::mem::take(&mut self.consuming) {
            if self.end(&consuming).await.is_err() {
                // The broker has it all back already.
                return;
            }
        }
        for mut source in sources {
            while let Some(Some(Ok(given))) = source.stream.next().now_or_never() {
                untaken.push(given.delivery_tag);
            }
        }
        if self.options.no_ack {
            return;
        }
        {
            let mut unsettled = self
                .unsettled
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for tag in &untaken {
                unsettled.delivered(*tag);
            }
            untaken.retain(|tag| unsettled.remove(*tag));
        }
        // Where it fails, the connection is lost, and the broker has them.
        let _ = self.requeue(&untaken).await;
    }
}

/// What is settled at once.
#[derive(Debug, Default)]
struct Settling {
    acks: BTreeSet<u64>,
    requeues: Vec<u64>,
    rejects: Vec<u64>,
    waiting: Waiting,
}
