//! Taking messages, over connections that break.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info, warn};

use super::shared::{Backoff, Shared};
use crate::brokers::{
    BrokerError, BrokerErrorKind, Channel, ConsumeOptions, Consumer, Delivery, Queue,
};

/// What the loop is told of the broker.
pub(crate) enum Taken {
    /// Messages.
    Batch(Arc<dyn Channel>, Vec<Delivery>),
    /// The connection is lost; what it brought may be delivered again.
    Lost(Arc<dyn Channel>),
    /// The broker will never do what is asked of it.
    Impossible(BrokerError),
}

/// What the loop asks for.
pub(crate) enum Order {
    AddQueue(Box<Queue>, oneshot::Sender<Result<(), BrokerError>>),
    CancelQueue(String, oneshot::Sender<Result<(), BrokerError>>),
    /// Takes nothing more; acknowledgements are still possible until the sender of orders is dropped.
    Stop(oneshot::Sender<()>),
}

/// How long the broker is waited for while the worker ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that lasted so long was one.
const STABLE: Duration = Duration::from_secs(5);

pub(crate) struct Taker {
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
    taken: mpsc::Sender<Taken>,
    ever_connected: bool,
}

/// Why a connection is not used any more.
enum End {
    Lost,
    Stopped,
}

impl Taker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        orders: mpsc::UnboundedReceiver<Order>,
        taken: mpsc::Sender<Taken>,
    ) -> Self {
        Self {
            shared,
            orders,
            taken,
            ever_connected: false,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.consume().await {
                Ok(mut consumer) => {
                    self.ever_connected = true;
                    info!("Connected to {}", place(&self.shared));
                    let since = Instant::now();
                    if let End::Stopped = self.take(&mut *consumer).await {
                        return;
                    }
                    drop(consumer);
                    // A broker that accepts everybody and serves nobody is not asked again and again at once.
                    if since.elapsed() >= STABLE {
                        backoff = Backoff::default();
                    }
                    if !self.pause(backoff.next()).await {
                        return;
                    }
                }
                Err(error) if self.is_impossible(&error) => {
                    let _ = self.taken.send(Taken::Impossible(error)).await;
                    return;
                }
                Err(error) => {
                    let wait = backoff.next();
                    error!(
                        "consumer: Cannot connect to {}: {error}. Trying again in {:.2} seconds...",
                        place(&self.shared),
                        wait.as_secs_f64()
                    );
                    if !self.pause(wait).await {
                        return;
                    }
                }
            }
        }
    }

    /// A mistake in the settings is told at once; later, it is the broker that has changed, and may change again.
    fn is_impossible(&self, error: &BrokerError) -> bool {
        let mistake = matches!(
            error.kind(),
            BrokerErrorKind::Refused | BrokerErrorKind::Configuration
        );
        mistake && !self.ever_connected
    }

    async fn consume(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        let state = self.shared.state();
        let options = ConsumeOptions {
            prefetch: state.prefetch(),
            no_ack: false,
        };
        let broker = self.shared.app().broker();
        broker.consume(&state.queues(), options).await
    }

    /// Waits before the next attempt; orders are obeyed meanwhile. `false` when the worker ends.
    async fn pause(&mut self, wait: Duration) -> bool {
        let sleep = tokio::time::sleep(wait);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return true,
                order = self.orders.recv() => match order {
                    // The list of queues has changed: that counts when the broker is there again.
                    Some(Order::AddQueue(_, reply) | Order::CancelQueue(_, reply)) => {
                        let _ = reply.send(Ok(()));
                    }
                    Some(Order::Stop(stopped)) => {
                        let _ = stopped.send(());
                        return false;
                    }
                    None => return false,
                },
            }
        }
    }

    async fn take(&mut self, consumer: &mut dyn Consumer) -> End {
        let channel = consumer.channel();
        let mut prefetch = self.shared.state().prefetch_channel().subscribe();
        // Between consuming and subscribing it may have changed.
        prefetch.mark_changed();
        loop {
            let error = tokio::select! {
                batch = consumer.next() => match batch {
                    Ok(batch) => {
                        // Gone with the loop: then this ends, too.
                        if self.taken.send(Taken::Batch(channel.clone(), batch)).await.is_err() {
                            return End::Stopped;
                        }
                        continue;
                    }
                    Err(error) => error,
                },
                order = self.orders.recv() => match self.obey(order, &channel).await {
                    Some(stopped) => {
                        drain(consumer, &channel).await;
                        let _ = stopped.send(());
                        // Until everything is acknowledged, the connection stays.
                        while self.orders.recv().await.is_some() {}
                        return End::Stopped;
                    }
                    None => continue,
                },
                _ = prefetch.changed() => {
                    let wanted = *prefetch.borrow_and_update();
                    match channel.set_prefetch(wanted).await {
                        Ok(()) => continue,
                        Err(error) => {
                            debug!("the prefetch of {wanted} was not set: {error}");
                            continue;
                        }
                    }
                }
            };
            warn!(
                "consumer: Connection to {} lost: {error}",
                place(&self.shared)
            );
            let _ = self.taken.send(Taken::Lost(channel)).await;
            return End::Lost;
        }
    }

    /// Obeys; returns whom to tell when everything has stopped.
    async fn obey(
        &self,
        order: Option<Order>,
        channel: &Arc<dyn Channel>,
    ) -> Option<oneshot::Sender<()>> {
        match order {
            Some(Order::AddQueue(queue, reply)) => {
                let added = channel.add_queue(&queue).await;
                if added.as_ref().is_err_and(is_refusal) {
                    // Else no connection from now on could consume anything.
                    let queues = self.shared.state();
                    queues.change_queues(|queues| queues.retain(|known| known.name != queue.name));
                }
                let _ = reply.send(added);
                None
            }
            Some(Order::CancelQueue(name, reply)) => {
                let _ = reply.send(channel.cancel_queue(&name).await);
                None
            }
            Some(Order::Stop(stopped)) => {
                let cancelled = async {
                    for queue in self.shared.state().queues() {
                        if let Err(error) = channel.cancel_queue(&queue.name).await {
                            debug!("{:?} is not cancelled: {error}", queue.name);
                            return;
                        }
                    }
                };
                let _ = tokio::time::timeout(PATIENCE, cancelled).await;
                Some(stopped)
            }
            // The loop is gone.
            None => Some(oneshot::channel().0),
        }
    }
}

/// Whether asking again will not help.
fn is_refusal(error: &BrokerError) -> bool {
    error.kind() != BrokerErrorKind::Unavailable
}

/// What was on its way when the queues were cancelled goes back at once, and not when the last task has run.
async fn drain(consumer: &mut dyn Consumer, channel: &Arc<dyn Channel>) {
    let short = Duration::from_millis(50);
    while let Ok(Ok(batch)) = tokio::time::timeout(short, consumer.next()).await {
        let tags: Vec<u64> = batch.iter().map(|delivery| delivery.tag).collect();
        if channel.requeue(&tags).await.is_err() {
            return;
        }
    }
}

/// The broker, without its password.
pub(crate) fn place(shared: &Shared) -> String {
    let info = shared.app().broker().info();
    let user = info
        .userid
        .map(|user| format!("{user}@"))
        .unwrap_or_default();
    let port = info.port.map(|port| format!(":{port}")).unwrap_or_default();
    if info.transport == "sqla" {
        return format!("sqla+{}", info.hostname);
    }
    let path = info.virtual_host.trim_start_matches('/');
    format!("{}://{user}{}{port}/{path}", info.transport, info.hostname)
}
