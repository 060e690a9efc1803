use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::Stream;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::brokers::{BrokerError, BrokerErrorKind, Channel, Consumer, Delivery, Queue};

use super::channel::AmqpChannel;
use super::link::Connected;
use super::message::delivery;
use super::unsettled::Unsettled;

/// How many deliveries come at once at most.
const BATCH: usize = 1_000;

/// What comes from the queues of one channel.
#[derive(Debug)]
pub(super) struct AmqpConsumer {
    pub(super) link: Arc<Connected>,
    pub(super) channel: Arc<AmqpChannel>,
    pub(super) sources: Vec<Source>,
    /// Those that the channel adds.
    pub(super) added: UnboundedReceiver<Source>,
    /// Where deliveries are to be acknowledged.
    pub(super) unsettled: Option<Arc<Mutex<Unsettled>>>,
    pub(super) failed: Option<BrokerError>,
}

/// One queue that is consumed.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) queue: Arc<Queue>,
    pub(super) name: Arc<str>,
    pub(super) stream: lapin::Consumer,
    /// Set before it is cancelled from here. Else it was the broker that did: the queue is gone.
    pub(super) ending: Arc<AtomicBool>,
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        let batch = std::future::poll_fn(|context| self.poll(context)).await?;
        if let Some(unsettled) = &self.unsettled {
            let mut unsettled = unsettled.lock().unwrap_or_else(PoisonError::into_inner);
            for delivery in &batch {
                unsettled.delivered(delivery.tag);
            }
        }
        Ok(batch)
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::clone(&self.channel) as Arc<dyn Channel>
    }
}

impl AmqpConsumer {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<Delivery>, BrokerError>> {
        while let Poll::Ready(Some(source)) = self.added.poll_recv(context) {
            self.sources.push(source);
        }
        let mut batch = Vec::new();
        // No queue is always the first.
        if self.sources.len() > 1 {
            self.sources.rotate_left(1);
        }
        self.sources.retain_mut(|source| {
            let end = source.drain(&self.link, &mut batch, context);
            if let Some(Err(error)) = end {
                self.failed.get_or_insert(error);
                return true;
            }
            end.is_none()
        });
        if !batch.is_empty() {
            return Poll::Ready(Ok(batch));
        }
        match self.failed.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }
}

impl Source {
    /// Takes what is there; `Some` when there will be no more.
    fn drain(
        &mut self,
        link: &Connected,
        batch: &mut Vec<Delivery>,
        context: &mut Context<'_>,
    ) -> Option<Result<(), BrokerError>> {
        while batch.len() < BATCH {
            match Pin::new(&mut self.stream).poll_next(context) {
                Poll::Ready(Some(Ok(given))) => {
                    batch.push(delivery(&self.queue, &self.name, given));
                }
                Poll::Ready(Some(Err(error))) => {
                    let doing = format!("consuming the queue {:?}", self.name);
                    return Some(Err(lost(link, &doing, error)));
                }
                Poll::Ready(None) if self.ending.load(Ordering::Acquire) => return Some(Ok(())),
                Poll::Ready(None) => return Some(Err(self.cancelled(link))),
                Poll::Pending => return None,
            }
        }
        None
    }

    fn cancelled(&self, link: &Connected) -> BrokerError {
        BrokerError::new(
            BrokerErrorKind::Unavailable,
            format!(
                "{}: the queue {:?} is gone, or the connection",
                link.server, self.name
            ),
        )
    }
}

/// A consumer is lost with its channel, whatever the reason: another one may fare better.
fn lost(link: &Connected, doing: &str, error: lapin::Error) -> BrokerError {
    let error = link.failure(doing, error);
    match error.kind() {
        BrokerErrorKind::Unavailable => error,
        _ => BrokerError::new(BrokerErrorKind::Unavailable, error.to_string()).with_source(error),
    }
}

impl Drop for AmqpConsumer {
    fn drop(&mut self) {
        self.added.close();
        while let Ok(source) = self.added.try_recv() {
            self.sources.push(source);
        }
        self.channel.stop(std::mem::take(&mut self.sources));
    }
}
