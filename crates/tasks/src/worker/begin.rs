//! What begins, and what does not begin again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::acks::Fate;
use super::dead;
use super::dispatch::{Dispatcher, Phase};
use super::execute::execute;
use super::request::{Request, Stage};
use super::shared::{Done, Open, Shared, Slot};

/// A copy of a task that runs here is looked at again after this.
const TWIN_PAUSE: Duration = Duration::from_secs(1);

impl Dispatcher {
    pub(super) fn begin_what_may(&mut self) {
        self.begin_acknowledged();
        if self.phase != Phase::Running {
            return;
        }
        let mut was_due = false;
        while let Some(request) = self.agenda.due() {
            was_due = true;
            self.admit(request);
        }
        if was_due {
            self.set_prefetch();
        }
        self.limits.release(&mut self.ready);
        let mut early = Vec::new();
        while let Some(request) = self.ready.pop_front() {
            let late = self.shared.is_acks_late(&request);
            if !self.has_place(if late { 0 } else { self.ahead() }) {
                self.ready.push_front(request);
                break;
            }
            if self.discard_revoked(&request) {
                continue;
            }
            if request.delivery_info.redelivered && self.discard_redelivered(&request, late) {
                continue;
            }
            if late {
                let open = self.open(&request);
                self.begin(open);
            } else {
                self.acknowledging += 1;
                early.push(self.open(&request));
            }
        }
        if !early.is_empty() {
            tokio::spawn(acknowledge(self.shared.clone(), early));
        }
    }

    fn has_place(&self, ahead: usize) -> bool {
        let taken = self.running + self.acknowledging + self.acknowledged.len();
        taken < self.shared.state().concurrency().saturating_add(ahead)
    }

    /// How many are acknowledged beyond the free places: those that have one within a [moment](Dispatcher::MOMENT), and no more than
    /// are prefetched. Without them, short tasks would wait for the broker's answer most of the time.
    fn ahead(&self) -> usize {
        let concurrency = self.shared.state().concurrency();
        let multiplier = self.shared.app().settings().worker_prefetch_multiplier;
        let soon = Self::MOMENT.as_nanos() / self.pace.as_nanos().max(1);
        let soon = usize::try_from(soon).unwrap_or(usize::MAX);
        concurrency.saturating_mul(soon.min(multiplier as usize))
    }

    fn begin_acknowledged(&mut self) {
        while self.running < self.shared.state().concurrency() {
            let Some(open) = self.acknowledged.pop_front() else {
                return;
            };
            if let Phase::Cold(_) = self.phase {
                warn!("Task {:?} is dropped: the worker ends", open.request);
            } else if !self.discard_revoked(&open.request) {
                self.begin(open);
            }
        }
    }

    fn begin(&mut self, open: Open) {
        let task = self.shared.handle.tasks.find(&open.request.headers.task);
        if let Some(task) = task.cloned() {
            self.running += 1;
            let slot = Slot::take(&self.shared);
            tokio::spawn(execute(self.shared.clone(), open, task, slot));
        }
    }

    /// Whether a message that was delivered before has had its run, or too many of them.
    fn discard_redelivered(&mut self, request: &Arc<Request>, late: bool) -> bool {
        let has_run = if late {
            self.shared.acks.is_unheard(request)
        } else {
            self.shared.has_begun(request)
        };
        if has_run {
            info!("Task {request:?} came again, and is not run twice");
            self.shared.state().remove(request);
            self.shared.acks.settle_later(request, Fate::Ack);
            return true;
        }
        if self.runs(request) {
            // When that one is done, it is known whether this is needed.
            self.agenda
                .add_at(request.clone(), Instant::now() + TWIN_PAUSE);
            return true;
        }
        late && self.discard_poison(request)
    }

    fn runs(&self, request: &Request) -> bool {
        let ids = [request.id().to_owned()];
        self.shared.state().find(&ids).iter().any(|other| {
            other.sequence != request.sequence
                && other.attempt() == request.attempt()
                && matches!(other.stage(), Stage::Active | Stage::Finishing)
        })
    }

    fn discard_poison(&mut self, request: &Arc<Request>) -> bool {
        let Some(limit) = self.shared.app().settings().worker_delivery_limit else {
            return false;
        };
        let before = request.delivery_info.deliveries.unwrap_or(0);
        let counted = request.held.counted;
        let deliveries = if counted { before } else { before + 1 };
        if counted && deliveries < limit {
            return false;
        }
        let open = self.open(request);
        let shared = self.shared.clone();
        tokio::spawn(async move {
            if deliveries >= limit {
                dead::set_aside_poison(&shared, &open.request, deliveries).await;
            } else {
                dead::count(&shared, &open.request, deliveries).await;
            }
        });
        true
    }
}

/// Nothing runs before the broker knows that it is acknowledged.
async fn acknowledge(shared: Arc<Shared>, early: Vec<Open>) {
    let mut waiting = early;
    while let Some(first) = waiting.first() {
        let channel = first.request.held.channel.clone();
        let (mut group, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|open| Arc::ptr_eq(&open.request.held.channel, &channel));
        waiting = others;
        let asked = group.len();
        let tags: Vec<u64> = group.iter().map(|open| open.request.held.tag).collect();
        if shared.acks.ack_now(&channel, &tags).await {
            group.retain(|open| {
                open.request.held.acknowledged.store(true, Ordering::SeqCst);
                // Two that a client sent with one id are two calls; one that the broker brings again is not.
                shared.begin_once(&open.request) || !open.request.delivery_info.redelivered
            });
        } else {
            // The broker delivers them again.
            group.clear();
        }
        let _ = shared.done.send(Done::Acknowledged(asked, group));
    }
}
