//! A beat that leads: it reads the schedule, sends what is due, and records it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Beat;
use super::agenda::{Agenda, Due};
use super::entry::Entry;
use super::error::{BeatError, BeatErrorKind};
use super::lease::{Held, within};
use super::tick::Tick;

/// How long a broker may take for one message, and a store for one statement.
const SEND_TIME: Duration = Duration::from_secs(30);
const STORE_TIME: Duration = Duration::from_secs(10);
/// How often the schedule is read even if nothing seems to have changed: django-celery-beat's number.
const RELOAD_EVERY: Duration = Duration::from_mins(5);

/// How long to wait while the store or the lease does not answer.
const UNSURE: Duration = Duration::from_secs(1);

/// Asks a beat to stop.
pub(super) type Stop = watch::Receiver<bool>;

/// What a leader knows.
#[derive(Debug)]
pub(super) struct Leader<'a> {
    beat: &'a Beat,
    held: Held,
    agenda: Agenda,
    loaded: Option<Instant>,
    installed: bool,
    /// Runs that were sent and that the store does not know of yet, by name.
    unrecorded: HashMap<String, Entry>,
    /// The entries whose first run under this leader was sent.
    seen: HashSet<String>,
}

impl<'a> Leader<'a> {
    pub(super) fn new(beat: &'a Beat, held: Held, unrecorded: HashMap<String, Entry>) -> Self {
        Self {
            beat,
            held,
            agenda: Agenda::new(beat.zone, beat.missed),
            loaded: None,
            installed: false,
            unrecorded,
            seen: HashSet::new(),
        }
    }

    /// Leads until it is asked to stop or the lease is lost. Returns the runs that could not be recorded.
    pub(super) async fn lead(mut self, stop: &mut Stop) -> HashMap<String, Entry> {
        while !*stop.borrow() {
            let wait = match self.turn(stop).await {
                Ok(()) => self.wait(),
                Err(error) if error.kind() == BeatErrorKind::LeaseLost => {
                    tracing::warn!("another beat has taken over; this one stands by");
                    return HashMap::new();
                }
                Err(error) => {
                    tracing::error!(%error, "beat cannot use its store, and tries again in a second");
                    UNSURE
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => {}
                () = self.held.lost() => {
                    tracing::warn!("beat's lease is lost; it stands by until it has it again");
                    return self.unrecorded;
                }
            }
        }
        if let Err(error) = self.record_all().await {
            tracing::error!(%error, "runs that were sent could not be recorded");
        }
        if let Err(error) = self.held.release().await {
            tracing::warn!(%error, "beat's lease could not be released; it runs out by itself");
        }
        self.unrecorded
    }

    async fn turn(&mut self, stop: &Stop) -> Result<(), BeatError> {
        if !self.installed {
            self.forget_outdated().await?;
        }
        self.record_all().await?;
        self.refresh().await?;
        self.finish().await?;
        while !*stop.borrow() && self.held.is_certain() {
            let Some(due) = self.agenda.take_due(self.beat.clock.now()) else {
                break;
            };
            self.send(due).await;
            self.record_all().await?;
        }
        self.finish().await
    }

    fn wait(&self) -> Duration {
        if !self.held.is_certain() {
            return UNSURE;
        }
        let until_next = self.agenda.next_wake().map(|next| {
            let left = next - self.beat.clock.now();
            left.to_std().unwrap_or_default()
        });
        let longest = self.beat.max_interval;
        let shortest = Duration::from_millis(1);
        until_next.map_or(longest, |next| next.clamp(shortest, longest.max(shortest)))
    }

    /// Reads the schedule if it is new or changed.
    async fn refresh(&mut self) -> Result<(), BeatError> {
        let store = &self.beat.store;
        if !self.installed {
            let entries = self.beat.entries_from(self.beat.clock.now());
            within(STORE_TIME, store.install(self.held.fence(), &entries)).await?;
            self.installed = true;
        }
        let fresh = self
            .loaded
            .is_some_and(|loaded| loaded.elapsed() < RELOAD_EVERY);
        if fresh && !within(STORE_TIME, store.changed()).await? {
            return Ok(());
        }
        let entries = within(STORE_TIME, store.load()).await?;
        tracing::debug!(entries = entries.len(), "beat has read its schedule");
        self.agenda.replace(entries, self.beat.clock.now());
        self.loaded = Some(Instant::now());
        Ok(())
    }

    async fn send(&mut self, due: Due) {
        let tick = Tick::new(&self.beat.name, due.entry.clone(), due.due);
        let first = self.seen.insert(tick.entry.name.clone());
        if first && self.was_sent(&tick).await {
            tracing::info!(
                entry = tick.entry.name,
                id = tick.id,
                "was sent by the last leader"
            );
        } else {
            tracing::info!(entry = tick.entry.name, task = tick.entry.signature.task, id = tick.id, due = %tick.due, "sending due task");
            let sent = timeout(SEND_TIME, self.beat.sender.send(&tick)).await;
            let sent = sent.unwrap_or_else(|elapsed| Err(elapsed.into()));
            if let Err(error) = sent {
                let wait = self.agenda.failed(due, self.beat.clock.now()).num_seconds();
                tracing::error!(entry = tick.entry.name, task = tick.entry.signature.task, id = tick.id, %error, "could not send a due task; tries again in {wait} s");
                return;
            }
        }
        let entry = self.agenda.sent(due, self.beat.clock.now());
        self.unrecorded.insert(entry.name.clone(), entry);
    }

    async fn was_sent(&self, tick: &Tick) -> bool {
        let known = timeout(STORE_TIME, self.beat.sender.was_sent(&tick.id)).await;
        matches!(known, Ok(Ok(true)))
    }

    /// Another beat may have led since what this one could not record: then that one knows better.
    async fn forget_outdated(&mut self) -> Result<(), BeatError> {
        if self.unrecorded.is_empty() {
            return Ok(());
        }
        for entry in within(STORE_TIME, self.beat.store.load()).await? {
            let ours = self.unrecorded.get(&entry.name);
            if ours.is_some_and(|ours| ours.last_run_at <= entry.last_run_at) {
                self.unrecorded.remove(&entry.name);
            }
        }
        Ok(())
    }

    /// What was sent and not recorded is recorded before anything else is read or sent.
    async fn record_all(&mut self) -> Result<(), BeatError> {
        let names: Vec<String> = self.unrecorded.keys().cloned().collect();
        for name in names {
            if let Some(entry) = self.unrecorded.get(&name) {
                let record = self.beat.store.record(self.held.fence(), entry);
                within(STORE_TIME, record).await?;
                self.unrecorded.remove(&name);
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), BeatError> {
        for entry in self.agenda.finished(self.beat.clock.now()) {
            tracing::info!(entry = entry.name, "the entry has ended");
            let finish = self.beat.store.finish(self.held.fence(), &entry);
            within(STORE_TIME, finish).await?;
            self.agenda.remove(&entry.name);
        }
        Ok(())
    }
}
