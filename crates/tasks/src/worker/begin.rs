//! What begins, and what does not begin again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::acks::Fate;
use super::dead;
use super::dispatch::{Dispatcher, Phase};
use super::execute::execute;
use super::request::{Request, Stage};
use super::shared::{Open, Shared, Slot};
use super::strategy::DELIVERIES;

/// A copy of a task that runs here is looked at again after this.
const TWIN_PAUSE: Duration = Duration::from_secs(1);

impl Dispatcher {
    pub(super) fn begin_what_may(&mut self) {
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
        while self.running < self.shared.state().concurrency() {
            let Some(request) = self.ready.pop_front() else {
                break;
            };
            if self.discard_revoked(&request) {
                continue;
            }
            let late = self.shared.is_acks_late(&request);
            if request.delivery_info.redelivered && self.discard_redelivered(&request, late) {
                continue;
            }
            self.running += 1;
            if late {
                self.begin_late(&request);
            } else {
                early.push((self.open(&request), Slot::take(&self.shared)));
            }
        }
        if !early.is_empty() {
            tokio::spawn(begin_early(self.shared.clone(), early));
        }
    }

    fn begin_late(&mut self, request: &Arc<Request>) {
        let Some(task) = self
            .shared
            .handle
            .tasks
            .find(&request.headers.task)
            .cloned()
        else {
            return;
        };
        let (open, slot) = (self.open(request), Slot::take(&self.shared));
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let again = open.request.delivery_info.redelivered;
            if !again || may_begin_again(&shared, &open.request).await {
                execute(shared, open, task, slot).await;
            }
        });
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
async fn begin_early(shared: Arc<Shared>, early: Vec<(Open, Slot)>) {
    let mut waiting = early;
    while let Some((first, _)) = waiting.first() {
        let channel = first.request.held.channel.clone();
        let (group, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(open, _)| Arc::ptr_eq(&open.request.held.channel, &channel));
        waiting = others;
        let tags: Vec<u64> = group
            .iter()
            .map(|(open, _)| open.request.held.tag)
            .collect();
        if !shared.acks.ack_now(&channel, &tags).await {
            // The broker delivers them again.
            continue;
        }
        for (open, slot) in group {
            open.request.held.acknowledged.store(true, Ordering::SeqCst);
            let task = shared.handle.tasks.find(&open.request.headers.task);
            // Two that a client sent with one id are two calls; one that the broker brings again is not.
            let new = shared.begin_once(&open.request) || !open.request.delivery_info.redelivered;
            if let Some(task) = task.cloned().filter(|_| new) {
                tokio::spawn(execute(shared.clone(), open, task, slot));
            }
        }
    }
}
