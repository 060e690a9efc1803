//! Acknowledgements, many at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::memory::Memory;
use super::request::Request;
use super::shared::Backoff;
use crate::brokers::{BrokerError, BrokerErrorKind, Channel};

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Acknowledged.
    Ack,
    /// Back to its queue.
    Requeue,
    /// Not wanted.
    Reject,
}

/// Gathers what is to be acknowledged, and tells the broker together.
pub(crate) struct Acks {
    waiting: mpsc::UnboundedSender<Item>,
    rules: Arc<Rules>,
}

enum Item {
    Settle(Waiting),
    Flush(oneshot::Sender<()>),
}

struct Waiting {
    channel: Arc<dyn Channel>,
    tag: u64,
    fate: Fate,
    /// What has run, and must not run again when the broker did not hear of it.
    ran: Option<Arc<Request>>,
}

struct Rules {
    /// Whether the broker still takes an acknowledgement after the connection was lost (Redis, SQL), or delivers the message again in any case.
    survive: bool,
    /// Late-acknowledged tasks that ran, and of which the broker did not hear.
    unheard: Mutex<Memory>,
    cold: AtomicBool,
}

impl Acks {
    /// How many times an acknowledgement is tried again, over some minutes.
    const ATTEMPTS: u32 = 60;

    /// `transport` is the broker's.
    pub(crate) fn start(transport: &str) -> Self {
        let (waiting, receiver) = mpsc::unbounded_channel();
        let rules = Arc::new(Rules {
            survive: matches!(transport, "redis" | "sqla"),
            unheard: Mutex::new(Memory::new(50_000)),
            cold: AtomicBool::new(false),
        });
        tokio::spawn(run(receiver, rules.clone()));
        Self { waiting, rules }
    }

    /// Acknowledges messages whose tasks have not begun, and returns whether the broker knows.
    ///
    /// Where it does not answer, they must not begin: meanwhile somebody else may have them. They go back, then.
    pub(crate) async fn claim(&self, channel: &Arc<dyn Channel>, tags: &[u64]) -> bool {
        let Err(error) = channel.claim(tags).await else {
            return true;
        };
        debug!(
            "{} messages were not acknowledged, and come again: {error}",
            tags.len()
        );
        for tag in tags {
            self.settle_message(channel, *tag, Fate::Requeue);
        }
        false
    }

    /// Settles a request that has run, soon.
    pub(crate) fn settle_later(&self, request: &Arc<Request>, fate: Fate) {
        if request.held.acknowledged.swap(true, Ordering::SeqCst) {
            return;
        }
        self.send(Waiting {
            channel: request.held.channel.clone(),
            tag: request.held.tag,
            fate,
            ran: (fate != Fate::Requeue).then(|| request.clone()),
        });
    }

    /// Settles a message that became no request, or that did not run, soon.
    pub(crate) fn settle_message(&self, channel: &Arc<dyn Channel>, tag: u64, fate: Fate) {
        self.send(Waiting {
            channel: channel.clone(),
            tag,
            fate,
            ran: None,
        });
    }

    fn send(&self, waiting: Waiting) {
        // The other end lives as long as this one.
        let _ = self.waiting.send(Item::Settle(waiting));
    }

    /// Waits until all that was settled before has been told to the broker.
    pub(crate) async fn flush(&self) {
        let (told, flushed) = oneshot::channel();
        let _ = self.waiting.send(Item::Flush(told));
        let _ = flushed.await;
    }

    /// Whether this call has run, and the broker did not hear of it.
    pub(crate) fn is_unheard(&self, request: &Request) -> bool {
        let unheard = self.rules.unheard.lock();
        let unheard = unheard.unwrap_or_else(PoisonError::into_inner);
        unheard.contains(request.id(), request.attempt())
    }

    /// Nothing is tried again from now on.
    pub(crate) fn give_up(&self) {
        self.rules.cold.store(true, Ordering::SeqCst);
    }
}

async fn run(mut receiver: mpsc::UnboundedReceiver<Item>, rules: Arc<Rules>) {
    let mut batch = Vec::new();
    let mut slow = JoinSet::new();
    while receiver.recv_many(&mut batch, 1_024).await > 0 {
        let (mut settled, mut flushed) = (Vec::new(), Vec::new());
        for item in batch.drain(..) {
            match item {
                Item::Settle(waiting) => settled.push(waiting),
                Item::Flush(told) => flushed.push(told),
            }
        }
        for group in groups(settled) {
            tell(group, &rules, &mut slow).await;
        }
        while slow.try_join_next().is_some() {}
        if !flushed.is_empty() {
            while slow.join_next().await.is_some() {}
            for told in flushed {
                let _ = told.send(());
            }
        }
    }
}

async fn tell((channel, fate, group): Group, rules: &Arc<Rules>, slow: &mut JoinSet<()>) {
    let tags: Vec<u64> = group.iter().map(|waiting| waiting.tag).collect();
    match once(&channel, &tags, fate).await {
        Ok(()) => {}
        Err(error) if rules.gives_up(&error) => rules.note_unheard(&group, &error),
        Err(_) => {
            let rules = rules.clone();
            slow.spawn(async move { rules.insist(&channel, &tags, fate, &group).await });
        }
    }
}

type Group = (Arc<dyn Channel>, Fate, Vec<Waiting>);

fn groups(batch: Vec<Waiting>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for waiting in batch {
        let group = groups.iter_mut().find(|(channel, fate, _)| {
            *fate == waiting.fate && Arc::ptr_eq(channel, &waiting.channel)
        });
        match group {
            Some((_, _, group)) => group.push(waiting),
            None => groups.push((waiting.channel.clone(), waiting.fate, vec![waiting])),
        }
    }
    groups
}

async fn once(channel: &Arc<dyn Channel>, tags: &[u64], fate: Fate) -> Result<(), BrokerError> {
    match fate {
        Fate::Ack => channel.ack(tags).await,
        Fate::Requeue => channel.requeue(tags).await,
        Fate::Reject => {
            for tag in tags {
                channel.reject(*tag).await?;
            }
            Ok(())
        }
    }
}

impl Rules {
    fn gives_up(&self, error: &BrokerError) -> bool {
        !self.survive
            || error.kind() != BrokerErrorKind::Unavailable
            || self.cold.load(Ordering::SeqCst)
    }

    async fn insist(
        &self,
        channel: &Arc<dyn Channel>,
        tags: &[u64],
        fate: Fate,
        group: &[Waiting],
    ) {
        let mut backoff = Backoff::default();
        for _ in 0..Acks::ATTEMPTS {
            backoff.wait().await;
            match once(channel, tags, fate).await {
                Ok(()) => return,
                Err(error) if self.gives_up(&error) => return self.note_unheard(group, &error),
                Err(_) => {}
            }
        }
        let error = BrokerError::new(
            BrokerErrorKind::Unavailable,
            "the broker was away for too long",
        );
        self.note_unheard(group, &error);
    }

    fn note_unheard(&self, group: &[Waiting], error: &BrokerError) {
        let ran: Vec<_> = group
            .iter()
            .filter_map(|waiting| waiting.ran.as_ref())
            .collect();
        if ran.is_empty() {
            return;
        }
        warn!(
            "{} tasks ran, and the broker could not be told; should it deliver them again here, they will not run twice: {error}",
            ran.len()
        );
        let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        for request in ran {
            unheard.insert(request.id(), request.attempt());
        }
    }
}
