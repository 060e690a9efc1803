//! The loop of a worker: what arrives, what begins, what ends.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::acks::Fate;
use super::agenda::Agenda;
use super::dead;
use super::events::Event;
use super::execute::execute;
use super::finish::{self, Revoked};
use super::handle::{Command, Shutdown};
use super::limits::RateLimits;
use super::request::{Request, Stage, Stop};
use super::shared::{Done, Open, Shared, Slot};
use super::strategy::{self, Arrival};
use super::take::{Order, Taken};
use crate::brokers::{BrokerError, Channel, Delivery};

/// How long tasks that were dropped may take to be gone.
const COLD_PATIENCE: Duration = Duration::from_secs(10);
/// A copy of a task that runs here is looked at again after this.
const TWIN_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
    /// What may begin.
    ready: VecDeque<Arc<Request>>,
    /// What is not due yet.
    agenda: Agenda,
    limits: RateLimits,
    running: usize,
    /// Requests that run or are being finished.
    open: usize,
    orders: mpsc::UnboundedSender<Order>,
    phase: Phase,
    /// How long a cold shutdown waits for tasks first. Celery's `worker_soft_shutdown_timeout`.
    soft_shutdown: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Running,
    /// Nothing new; what runs is finished, until then if there is a time.
    Warm(Option<Instant>),
    Cold(Instant),
}

/// From where the loop hears.
pub(crate) struct Inputs {
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) done: mpsc::UnboundedReceiver<Done>,
    pub(crate) taken: mpsc::Receiver<Taken>,
}

impl Dispatcher {
    pub(crate) fn new(
        shared: Arc<Shared>,
        orders: mpsc::UnboundedSender<Order>,
        soft_shutdown: Duration,
    ) -> Self {
        Self {
            shared,
            ready: VecDeque::new(),
            agenda: Agenda::default(),
            limits: RateLimits::default(),
            running: 0,
            open: 0,
            orders,
            phase: Phase::Running,
            soft_shutdown,
        }
    }

    /// Runs until it is told to end, and everything has.
    pub(crate) async fn run(
        mut self,
        mut inputs: Inputs,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), BrokerError> {
        self.set_limits();
        self.set_prefetch();
        let mut shutdown: Pin<Box<_>> = Box::pin(shutdown);
        let mut asked = false;
        let mut done = Vec::new();
        while !self.is_over() {
            self.begin_what_may();
            let wake = self.wake();
            tokio::select! {
                biased;
                Some(command) = inputs.commands.recv() => self.obey(command),
                () = &mut shutdown, if !asked => {
                    asked = true;
                    self.end(Shutdown::Warm);
                }
                _ = inputs.done.recv_many(&mut done, 1_024) => self.note_done(&mut done),
                () = sleep_until(wake), if wake.is_some() => self.on_time(),
                Some(taken) = inputs.taken.recv() => match taken {
                    Taken::Batch(channel, batch) => self.arrive(&channel, batch),
                    Taken::Lost(channel) => self.forget(&channel),
                    Taken::Impossible(error) => return Err(error),
                },
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Running => false,
            Phase::Warm(_) => self.open == 0,
            Phase::Cold(deadline) => self.open == 0 || Instant::now() >= deadline,
        }
    }

    fn wake(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running => self
                .agenda
                .next()
                .into_iter()
                .chain(self.limits.next())
                .min(),
            Phase::Warm(until) => until,
            Phase::Cold(until) => Some(until),
        }
    }

    fn on_time(&mut self) {
        if let Phase::Warm(Some(until)) = self.phase
            && Instant::now() >= until
        {
            self.end_cold();
        }
    }

    fn note_done(&mut self, done: &mut Vec<Done>) {
        for done in done.drain(..) {
            match done {
                Done::Slot => self.running = self.running.saturating_sub(1),
                Done::Request => self.open = self.open.saturating_sub(1),
            }
        }
    }

    /// Takes responsibility for a request until what is spawned is done with it.
    fn open(&mut self, request: &Arc<Request>) -> Open {
        self.open += 1;
        Open::new(&self.shared, request.clone())
    }

    // ---- what arrives

    fn arrive(&mut self, channel: &Arc<dyn Channel>, batch: Vec<Delivery>) {
        if self.phase != Phase::Running {
            for delivery in batch {
                self.shared
                    .acks
                    .settle_message(channel, delivery.tag, Fate::Requeue);
            }
            return;
        }
        for delivery in batch {
            let parked = self.to_be_parked(&delivery).then(|| delivery.clone());
            match strategy::read(delivery, channel, &self.shared) {
                Arrival::Request(request) => self.receive(request, parked),
                Arrival::Unknown(request, message) => {
                    error!(
                        "Received unregistered task of type {:?} ({request:?}): register it with Tasks::with, or let another queue have it",
                        request.headers.task
                    );
                    let open = self.open(&request);
                    let shared = self.shared.clone();
                    tokio::spawn(async move {
                        if finish::unknown(&shared, &open.request).await.is_ok() {
                            dead::set_aside_unknown(&shared, &open.request, message).await;
                        }
                    });
                }
                Arrival::Refused(refused) => {
                    error!(
                        "Received and set aside a message that is no task, from {:?}: {}: {}",
                        refused.queue,
                        refused.reason,
                        dead::excerpt(&refused.message)
                    );
                    let (shared, channel) = (self.shared.clone(), channel.clone());
                    tokio::spawn(dead::set_aside_refused(shared, channel, refused));
                }
            }
        }
        self.set_prefetch();
    }

    /// Whether the messages that are not due fill the memory that they may have.
    fn to_be_parked(&self, delivery: &Delivery) -> bool {
        let limit = self.shared.app().settings().worker_eta_task_limit;
        self.agenda.len() >= limit
            && delivery
                .message
                .as_ref()
                .is_ok_and(|message| message.headers.get("eta").is_some_and(|eta| !eta.is_null()))
    }

    fn receive(&mut self, request: Arc<Request>, parked: Option<Delivery>) {
        debug!("Task {request:?} received");
        if self.discard_revoked(&request) {
            return;
        }
        self.shared.state().events.emit(&Event::Received(&request));
        match request.eta.filter(|eta| *eta > Utc::now()) {
            None => self.admit(request),
            Some(eta) => match parked {
                Some(delivery) => self.park(&request, delivery, eta),
                None => self.hold(request, eta),
            },
        }
    }

    fn hold(&mut self, request: Arc<Request>, eta: DateTime<Utc>) {
        request.enter(Stage::Scheduled);
        self.shared.state().insert(&request);
        self.agenda.add(request, eta);
    }

    /// Leaves it in the broker; where the broker cannot, it is taken back by the loop's own command.
    fn park(&mut self, request: &Arc<Request>, delivery: Delivery, eta: DateTime<Utc>) {
        let shared = self.shared.clone();
        let open = self.open(request);
        tokio::spawn(async move {
            let request = open.request.clone();
            let parked = request.held.channel.park(&delivery, eta).await;
            drop(open);
            match parked {
                Ok(true) => debug!("Task {request:?} waits in the broker until {eta}"),
                Ok(false) => shared.handle.hold(request, eta),
                Err(error) => debug!("Task {request:?} was not parked: {error}"),
            }
        });
    }

    fn admit(&mut self, request: Arc<Request>) {
        request.enter(Stage::Reserved);
        self.shared.state().insert(&request);
        if let Some(request) = self.limits.hold(request) {
            self.ready.push_back(request);
        }
    }

    /// Whether it is not to run at all.
    fn discard_revoked(&mut self, request: &Arc<Request>) -> bool {
        let why = if request.expires.is_some_and(|expires| expires < Utc::now()) {
            Revoked::Expired
        } else if self.shared.state().is_revoked(request) {
            Revoked::Named
        } else {
            return false;
        };
        let open = self.open(request);
        let shared = self.shared.clone();
        tokio::spawn(async move {
            if finish::revoke(&shared, &open.request, why).await.is_err() {
                shared.acks.settle_later(&open.request, Fate::Requeue);
            }
        });
        true
    }

    /// The connection that brought these is lost: the broker delivers again what has not begun.
    fn forget(&mut self, lost: &Arc<dyn Channel>) {
        let dropped = self.take_waiting(|request| Arc::ptr_eq(&request.held.channel, lost));
        if !dropped.is_empty() {
            info!(
                "{} tasks that had not begun are left to the broker",
                dropped.len()
            );
        }
        self.give_back(dropped);
        self.set_prefetch();
    }

    fn take_waiting(&mut self, wanted: impl Fn(&Request) -> bool) -> Vec<Arc<Request>> {
        let waiting = self.ready.drain(..).chain(self.limits.drain());
        let (mut taken, kept): (Vec<_>, Vec<_>) = waiting.partition(|request| wanted(request));
        taken.extend(self.agenda.take(&wanted));
        for request in kept {
            if let Some(request) = self.limits.hold(request) {
                self.ready.push_back(request);
            }
        }
        taken
    }

    fn give_back(&self, requests: Vec<Arc<Request>>) {
        for request in requests {
            self.shared.state().remove(&request);
            self.shared.acks.settle_later(&request, Fate::Requeue);
        }
    }

    // ---- what begins

    fn begin_what_may(&mut self) {
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
        tokio::spawn(execute(self.shared.clone(), open, task, slot));
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

    // ---- what is ordered

    fn obey(&mut self, command: Command) {
        match command {
            Command::Shutdown(how) => self.end(how),
            Command::AddQueue(queue, reply) => {
                let name = queue.name.clone();
                let known = queue.clone();
                self.shared.state().change_queues(|queues| {
                    queues.retain(|queue| queue.name != name);
                    queues.push(*known);
                });
                let _ = self.orders.send(Order::AddQueue(queue, reply));
            }
            Command::CancelQueue(name, reply) => {
                self.shared
                    .state()
                    .change_queues(|queues| queues.retain(|queue| queue.name != name));
                let _ = self.orders.send(Order::CancelQueue(name, reply));
            }
            Command::Resize => self.set_prefetch(),
            Command::Rate(task) => self.set_limit(&task),
            Command::Hold(request, eta) => {
                if self.phase == Phase::Running {
                    self.hold(request, eta);
                    self.set_prefetch();
                } else {
                    self.give_back(vec![request]);
                }
            }
        }
    }

    fn set_limits(&mut self) {
        for task in self.shared.handle.tasks.clone().names() {
            self.set_limit(task);
        }
    }

    fn set_limit(&mut self, task: &str) {
        let settings = self.shared.app().settings();
        let rate = self.shared.state().rate(task).or_else(|| {
            let own = self.shared.handle.tasks.options(task)?.rate_limit;
            let text = own.or(settings.task_default_rate_limit.as_deref())?;
            text.parse()
                .inspect_err(|error| error!("{task}: {error}; it has no limit"))
                .ok()
        });
        let freed = self.limits.set(task, rate.and_then(super::Rate::interval));
        self.ready.extend(freed);
    }

    /// So many for each that runs, and one more for each that waits for its time.
    fn set_prefetch(&self) {
        let state = self.shared.state();
        let multiplier = self.shared.app().settings().worker_prefetch_multiplier as usize;
        let wanted = match state.concurrency().saturating_mul(multiplier) {
            0 => 0,
            base => base.saturating_add(self.agenda.len()),
        };
        // AMQP's limit is 16 bits: beyond it, there is none.
        let wanted = u16::try_from(wanted).map_or(0, u32::from);
        state.prefetch_channel().send_if_modified(|prefetch| {
            let changed = *prefetch != wanted;
            *prefetch = wanted;
            changed
        });
    }

    // ---- the end

    fn end(&mut self, how: Shutdown) {
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
            // Nobody need hear when it has stopped: the loop takes nothing from now on.
            let _ = self.orders.send(Order::Stop(oneshot::channel().0));
            let waiting = self.take_waiting(|_| true);
            if !waiting.is_empty() {
                info!("{} tasks that had not begun go back", waiting.len());
            }
            self.give_back(waiting);
        }
        self.phase = Phase::Warm(until);
    }

    fn end_cold(&mut self) {
        warn!("worker: Cold shutdown");
        self.stop_taking(None);
        self.phase = Phase::Cold(Instant::now() + COLD_PATIENCE);
        self.shared.cold.store(true, Ordering::SeqCst);
        self.shared.acks.give_up();
        for request in self.shared.state().requests() {
            request.control.stop(Stop::Cold);
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

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
