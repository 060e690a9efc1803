//! What begins, and what does not begin again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::acks::Fate;
use super::dead;
use super::dispatch::{Dispatcher, Phase};
use super::execute::execute;
use super::request::{Request, Stage};
use super::shared::{Done, Open, Shared, Slot};
use super::strategy::DELIVERIES;

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
            let (shared, slot) = (self.shared.clone(), Slot::take(&self.shared));
            tokio::spawn(async move {
                let request = &open.request;
                let comes_again = request.delivery_info.redelivered && !request.acknowledged();
                if !comes_again || may_begin_again(&shared, request).await {
                    execute(shared, open, task, slot).await;
                }
            });
        }
    }

    /// Whether a message that was delivered before has had its run, or is having it.
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
        false
    }

    fn runs(&self, request: &Request) -> bool {
        let ids = [request.id().to_owned()];
        self.shared.state().find(&ids).iter().any(|other| {
            other.sequence != request.sequence
                && other.attempt() == request.attempt()
                && matches!(other.stage(), Stage::Active | Stage::Finishing)
        })
    }
}

/// Whether a task that was begun before, or may have been, begins once more. That is counted in its message first: should it be the end of
/// this process, whoever has it next knows. What was only held when its worker died is not counted for it.
async fn may_begin_again(shared: &Shared, request: &Arc<Request>) -> bool {
    let Some(limit) = shared.app().settings().worker_delivery_limit else {
        return true;
    };
    let held = &request.held;
    let before = request.delivery_info.deliveries.unwrap_or(0);
    let deliveries = before.saturating_add(u32::from(!held.counted));
    if deliveries >= limit {
        dead::set_aside_poison(shared, request, deliveries).await;
        return false;
    }
    if held.counted {
        return true;
    }
    let count = deliveries.into();
    match held.channel.set_header(held.tag, DELIVERIES, &count).await {
        Ok(true) => true,
        Ok(false) => {
            dead::count(shared, request, deliveries).await;
            false
        }
        Err(error) => {
            debug!("Task {request:?} does not begin: {error}");
            shared.acks.settle_later(request, Fate::Requeue);
            false
        }
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
        if shared.acks.claim(&channel, &tags).await {
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
