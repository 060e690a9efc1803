//! The loop of a worker: what arrives, what begins, what ends.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error, info};

use super::acks::Fate;
use super::agenda::Agenda;
use super::dead;
use super::events::Event;
use super::finish::{self, Revoked};
use super::handle::{Command, Shutdown};
use super::limits::RateLimits;
use super::request::{Request, Stage};
use super::shared::{Done, Open, Shared};
use super::strategy::{self, Arrival};
use super::take::{Order, Taken};
use crate::brokers::{BrokerError, Channel, Delivery};

pub(crate) struct Dispatcher {
    pub(super) shared: Arc<Shared>,
    /// What may begin.
    pub(super) ready: VecDeque<Arc<Request>>,
    /// What is not due yet.
    pub(super) agenda: Agenda,
    pub(super) limits: RateLimits,
    pub(super) running: usize,
    /// Early tasks that the broker is being asked to acknowledge.
    pub(super) acknowledging: usize,
    /// Early tasks that are acknowledged and have no place yet.
    pub(super) acknowledged: VecDeque<Open>,
    /// How long a place is taken, on average.
    pub(super) pace: Duration,
    /// Requests that run or are being finished.
    pub(super) open: usize,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) phase: Phase,
    /// Messages that go back when no more are taken: before, they would come here again.
    pub(super) going_back: Vec<(Arc<dyn Channel>, u64)>,
    /// Ready when no more are taken.
    pub(super) stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// How long a cold shutdown waits for tasks first. Celery's `worker_soft_shutdown_timeout`.
    pub(super) soft_shutdown: Duration,
}

/// How far the worker's life is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
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
    /// How soon after its acknowledgement an early task is to begin.
    pub(super) const MOMENT: Duration = Duration::from_millis(1);

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
            acknowledging: 0,
            acknowledged: VecDeque::new(),
            pace: Duration::MAX,
            open: 0,
            orders,
            phase: Phase::Running,
            going_back: Vec::new(),
            stopped: None,
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
                () = wait_for(&mut self.stopped), if self.stopped.is_some() => self.let_go(),
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
            Phase::Warm(_) => self.open == 0 && self.stopped.is_none(),
            Phase::Cold(deadline) => {
                let nothing_left = self.open == 0 && self.stopped.is_none();
                nothing_left || Instant::now() >= deadline
            }
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
                Done::Slot(taken) => {
                    self.running = self.running.saturating_sub(1);
                    self.note_pace(taken);
                }
                Done::Acknowledged(asked, requests) => {
                    self.acknowledging = self.acknowledging.saturating_sub(asked);
                    self.acknowledged.extend(requests);
                }
                Done::Request => self.open = self.open.saturating_sub(1),
            }
        }
    }

    /// One long task counts at once, and a short one a little.
    fn note_pace(&mut self, taken: Duration) {
        self.pace = match self.pace {
            Duration::MAX => taken,
            pace => pace.mul_f64(0.9) + taken.mul_f64(0.1),
        };
    }

    /// Takes responsibility for a request until what is spawned is done with it.
    pub(super) fn open(&mut self, request: &Arc<Request>) -> Open {
        self.open += 1;
        Open::new(&self.shared, request.clone())
    }

    fn arrive(&mut self, channel: &Arc<dyn Channel>, batch: Vec<Delivery>) {
        if self.phase != Phase::Running {
            let tags = batch.iter().map(|delivery| delivery.tag);
            self.send_back(tags.map(|tag| (channel.clone(), tag)).collect());
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

    pub(super) fn hold(&mut self, request: Arc<Request>, eta: DateTime<Utc>) {
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

    pub(super) fn admit(&mut self, request: Arc<Request>) {
        request.enter(Stage::Reserved);
        self.shared.state().insert(&request);
        if let Some(request) = self.limits.hold(request) {
            self.ready.push_back(request);
        }
    }

    /// Whether it is not to run at all.
    pub(super) fn discard_revoked(&mut self, request: &Arc<Request>) -> bool {
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

    pub(super) fn take_waiting(&mut self, wanted: impl Fn(&Request) -> bool) -> Vec<Arc<Request>> {
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

    pub(super) fn give_back(&mut self, requests: Vec<Arc<Request>>) {
        let mut messages = Vec::new();
        for request in requests {
            self.shared.state().remove(&request);
            if !request.held.acknowledged.swap(true, Ordering::SeqCst) {
                messages.push((request.held.channel.clone(), request.held.tag));
            }
        }
        self.send_back(messages);
    }
}

async fn wait_for(stopped: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match stopped {
        Some(stopped) => stopped.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
