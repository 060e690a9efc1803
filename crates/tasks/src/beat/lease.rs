//! One leader at a time.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::error::BeatError;

/// A number that grows with each leader: a store refuses what a leader writes once it has seen a later one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(
    /// The number.
    pub i64,
);

/// The right to be the one beat that sends.
///
/// Must give the lease to one holder at a time, by the clock of the place that keeps it, not by the holders' clocks; must
/// give each new holder a greater [`Fence`] than all before; and must let a lease go by itself when its holder did not
/// renew it for as long as it asked for.
#[async_trait]
pub trait Lease: Debug + Send + Sync {
    /// Takes the lease for so long. None while another has it.
    ///
    /// # Errors
    ///
    /// When the place that keeps it cannot be asked. Then the lease is not held.
    ///
    /// # Cancellation
    ///
    /// The lease may have been taken; it goes by itself after its time.
    async fn acquire(&self, time: Duration) -> Result<Option<Fence>, BeatError>;

    /// Holds it for so long from now. False when it was lost.
    ///
    /// # Errors
    ///
    /// When the place that keeps it cannot be asked. The lease holds until its time is over.
    async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError>;

    /// Lets the next one have it at once.
    ///
    /// # Errors
    ///
    /// When the place that keeps it cannot be asked. The lease goes by itself after its time.
    async fn release(&self, fence: Fence) -> Result<(), BeatError>;
}

/// A lease that is being renewed for as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    lease: Arc<dyn Lease>,
    fence: Fence,
    time: Duration,
    /// Until when it is held for certain; none once it is lost.
    until: watch::Receiver<Option<Instant>>,
    renewing: JoinHandle<()>,
}

impl Held {
    pub(super) async fn acquire(
        lease: &Arc<dyn Lease>,
        time: Duration,
    ) -> Result<Option<Self>, BeatError> {
        // Counted from before it was asked for: the answer may have been long on its way.
        let asked = Instant::now();
        let Some(fence) = within(time, lease.acquire(time)).await? else {
            return Ok(None);
        };
        let (known, until) = watch::channel(Some(asked + time));
        let renewing = tokio::spawn(keep(Arc::clone(lease), fence, time, known));
        Ok(Some(Self {
            lease: Arc::clone(lease),
            fence,
            time,
            until,
            renewing,
        }))
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence
    }

    /// Whether this may send: for certain, and for a while yet.
    pub(super) fn is_certain(&self) -> bool {
        let margin = self.time / 10;
        let until = *self.until.borrow();
        until.is_some_and(|until| Instant::now() + margin < until)
    }

    /// Returns when the lease was lost.
    pub(super) async fn lost(&self) {
        let mut until = self.until.clone();
        // An error means that the task has ended, which it does when the lease is lost.
        let _ = until.wait_for(Option::is_none).await;
    }

    pub(super) async fn release(self) -> Result<(), BeatError> {
        self.renewing.abort();
        within(self.time, self.lease.release(self.fence)).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn keep(
    lease: Arc<dyn Lease>,
    fence: Fence,
    time: Duration,
    known: watch::Sender<Option<Instant>>,
) {
    loop {
        sleep(time / 3).await;
        let asked = Instant::now();
        match within(time / 3, lease.renew(fence, time)).await {
            Ok(true) => {
                known.send_replace(Some(asked + time));
            }
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(%error, "beat's lease could not be renewed");
                if known.borrow().is_none_or(|until| until <= Instant::now()) {
                    break;
                }
            }
        }
    }
    known.send_replace(None);
}

/// An answer of the store, in time: one that does not come must not stop the beat.
pub(super) async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, BeatError>>,
) -> Result<T, BeatError> {
    timeout(time, answer).await.unwrap_or_else(|_| {
        let what = format!("beat's store did not answer within {time:?}");
        Err(BeatError::new(super::BeatErrorKind::Store, what))
    })
}
