//! How a worker ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{info, warn};

use super::acks::Fate;
use super::dispatch::{Dispatcher, Phase};
use super::handle::Shutdown;
use super::request::Stop;
use super::take::Order;
use crate::brokers::Channel;

/// How long tasks that were dropped may take to be gone.
const COLD_PATIENCE: Duration = Duration::from_secs(10);
/// How long the broker may take to send nothing more.
const STOP_PATIENCE: Duration = Duration::from_secs(7);

impl Dispatcher {
    pub(super) fn end(&mut self, how: Shutdown) {
        match (how, self.phase) {
            (Shutdown::Warm, Phase::Running) => {
                info!("worker: Warm shutdown");
                self.stop_taking(None);
            }
            // Asked for a second time, it is meant.
            (Shutdown::Warm, Phase::Warm(_))
            | (Shutdown::Cold, Phase::Running | Phase::Warm(None)) => {
                if self.soft_shutdown.is_zero() {
                    self.end_cold();
                } else {
                    info!(
                        "worker: Soft shutdown: tasks have {}s to end",
                        self.soft_shutdown.as_secs_f64()
                    );
                    self.stop_taking(Some(Instant::now() + self.soft_shutdown));
                }
            }
            (Shutdown::Cold, Phase::Warm(Some(_))) => self.end_cold(),
            (_, Phase::Cold(_)) => {}
        }
    }

    fn stop_taking(&mut self, until: Option<Instant>) {
        if self.phase == Phase::Running {
            let (told, stopped) = oneshot::channel();
            let _ = self.orders.send(Order::Stop(told));
            self.stopped = Some(Box::pin(async {
                // Told or not, it is over then.
                let _ = tokio::time::timeout(STOP_PATIENCE, stopped).await;
            }));
            let waiting = self.take_waiting(|_| true);
            if !waiting.is_empty() {
                info!("{} tasks that had not begun go back", waiting.len());
            }
            self.give_back(waiting);
        }
        self.phase = Phase::Warm(until);
    }

    pub(super) fn end_cold(&mut self) {
        warn!("worker: Cold shutdown");
        self.stop_taking(None);
        self.phase = Phase::Cold(Instant::now() + COLD_PATIENCE);
        self.shared.cold.store(true, Ordering::SeqCst);
        self.shared.acks.give_up();
        for request in self.shared.state().requests() {
            request.control.stop(Stop::Cold);
        }
    }

    /// Gives messages back: at once while others may have them, and otherwise when nothing is taken here any more.
    pub(super) fn send_back(&mut self, messages: Vec<(Arc<dyn Channel>, u64)>) {
        self.going_back.extend(messages);
        if self.phase == Phase::Running || self.stopped.is_none() {
            self.let_go();
        }
    }

    /// Nothing is taken any more.
    pub(super) fn let_go(&mut self) {
        self.stopped = None;
        for (channel, tag) in self.going_back.drain(..) {
            self.shared
                .acks
                .settle_message(&channel, tag, Fate::Requeue);
        }
    }
}
