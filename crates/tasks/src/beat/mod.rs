//! Celery's beat: tasks sent on a schedule.
//!
//! A [`Beat`] sends each [`Entry`] when its [`Schedule`] says so. The entries come from the program, or
//! from the tables of django-celery-beat. Any number of beats may run over one store: one of them leads, and the others
//! stand by.
//!
//! # What holds over crashes and restarts
//!
//! A run is due at a time that follows from the last run that the store knows, and from nothing else. The leader sends
//! a run, waits until the broker has it, and then records it. So, wherever it dies:
//!
//! - *Before the run is sent*: the store knows nothing of it. The next leader finds it due, and sends it. None is lost.
//! - *After it was sent, before it was recorded*: the next leader sends it once more. It has the same id, a UUID made of
//!   the names of the beat and of the entry and the due time: one result is kept for both, and whoever keeps
//!   records by the id of the task sees that it was there before. Where results are kept, and there is one already,
//!   the run is not sent again ([`TickSender::was_sent`]).
//! - *After it was recorded*: the next leader counts from it.
//! - *It does not die, but stands still for longer than its lease*, as a suspended machine does, between the look at its
//!   lease and the send: the next leader sends the run, and the old one too when it wakes. It has the same id. What the old
//!   one then records is refused ([`Fence`]).
//! - *The broker has the run, but its answer is lost*: it is tried again, with the same id.
//!
//! So every run is sent at least once, and a second time only where one of these happened within the moment between
//! send and record. A task that must not do its work twice can tell by its id.
//!
//! A run that cannot be sent stays due and is tried again, after a second and up to a minute, while other entries go on.
//! (Celery logs it and drops it.) While runs cannot be recorded, none is sent.
//!
//! # Runs that were missed
//!
//! [`MissedTicks`] says what becomes of runs that came due while no beat ran. As with Celery, one run makes up for all by
//! default. An entry that is seen for the first time counts from then.
//!
//! # Clocks that jump
//!
//! Forward: what came due in between is missed, see above. Back: nothing is sent that was sent before, and an entry waits
//! until the clock has passed its last run again; but one whose last run is more than an hour in the future was recorded
//! by a clock that was wrong, and counts from now. Leases are kept by the clock of the store, and by elapsed time.
//!
//! An interval keeps its rhythm, where Celery's drifts by the time that each send takes.

mod agenda;
mod clock;
#[cfg(feature = "database")]
mod django;
mod entry;
mod error;
mod leader;
mod lease;
mod missed;
pub mod schedule;
mod stores;
mod tick;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::watch;
use tokio::time::sleep;

pub use clock::{Clock, SystemClock};
#[cfg(feature = "database")]
pub use django::DjangoStore;
pub use entry::Entry;
pub use error::{BeatError, BeatErrorKind};
pub use lease::{Fence, Lease};
pub use missed::MissedTicks;
#[cfg(feature = "database")]
pub use stores::DatabaseStore;
#[cfg(feature = "redis")]
pub use stores::RedisStore;
pub use stores::{BeatStore, FileStore, MemoryStore, ScheduleStore};
pub use tick::{Tick, TickSender};

use crate::app::App;
use crate::signature::Signature;
use leader::{Leader, Stop};
use lease::Held;
use schedule::{Crontab, Schedule};

/// Sends tasks on a schedule: `celery beat`.
///
/// See the [module's page](self) for what it promises.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use quintette_tasks::beat::schedule::Crontab;
/// use quintette_tasks::beat::{Beat, FileStore};
/// use quintette_tasks::{App, Signature, TaskSettings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let app = App::new(TaskSettings::default())?;
/// let store = Arc::new(FileStore::new(directory.path().join("beat-schedule")));
/// let at_two: Crontab = "0 2 * * *".parse()?;
/// let beat = Beat::new(&app, "shop", store)
///     .schedule("nightly", at_two, Signature::new("shop.sales_report"))
///     .schedule("poll", Duration::from_secs(30), Signature::new("shop.poll"));
/// # let stop = std::future::ready(());
/// beat.run(stop).await; // until SIGTERM, say
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Beat {
    name: String,
    sender: Arc<dyn TickSender>,
    store: Arc<dyn ScheduleStore>,
    lease: Arc<dyn Lease>,
    clock: Arc<dyn Clock>,
    zone: Tz,
    missed: MissedTicks,
    max_interval: Duration,
    lease_time: Duration,
    entries: Vec<Entry>,
}

impl Beat {
    /// A beat that sends to the app's broker, and keeps its lease and the last runs in `store`.
    ///
    /// Crontabs are on the clock of the app's `timezone`. Where its results do not expire by themselves,
    /// `celery.backend_cleanup` is sent at 04:00, unless there is another entry of that name.
    ///
    /// `name` tells the ids of its runs from those of other beats' entries of the same name: that of the application
    /// will do. It is the same for all beats over one store.
    pub fn new(app: &App, name: impl Into<String>, store: Arc<dyn BeatStore>) -> Self {
        let settings = app.settings();
        let keeps = app
            .results()
            .is_some_and(|results| !results.expires_by_itself());
        let beat = Self::over(name, Arc::new(app.clone()), store).zone(settings.timezone);
        if keeps && settings.result_expires.is_some() {
            beat.backend_cleanup()
        } else {
            beat
        }
    }

    /// A beat that sends by `sender`: [`new`](Self::new) without an app.
    pub fn over(
        name: impl Into<String>,
        sender: Arc<dyn TickSender>,
        store: Arc<dyn BeatStore>,
    ) -> Self {
        Self {
            name: name.into(),
            sender,
            lease: store.clone(),
            store,
            clock: Arc::new(SystemClock),
            zone: Tz::UTC,
            missed: MissedTicks::default(),
            max_interval: Duration::from_secs(5),
            lease_time: Duration::from_secs(30),
            entries: Vec::new(),
        }
    }

    /// Sends this call on this schedule: one of `CELERY_BEAT_SCHEDULE`. It takes the place of one of the same name.
    #[must_use]
    pub fn schedule(
        self,
        name: impl Into<String>,
        schedule: impl Into<Schedule>,
        signature: Signature,
    ) -> Self {
        self.entry(Entry::new(name, schedule, signature))
    }

    /// Adds an entry, as [`schedule`](Self::schedule) does, with all that it may have. It takes the place of one of the same name.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        self.entries.retain(|other| other.name != entry.name);
        self.entries.push(entry);
        self
    }

    /// Sends `celery.backend_cleanup` at 04:00 unless there is an entry of that name: what Celery does where results
    /// do not expire by themselves.
    #[must_use]
    pub fn backend_cleanup(mut self) -> Self {
        const NAME: &str = "celery.backend_cleanup";
        const HALF_A_DAY: u32 = 12 * 3600;
        if let (true, Ok(at_four)) = (
            self.entries.iter().all(|entry| entry.name != NAME),
            "0 4 * * *".parse::<Crontab>(),
        ) {
            let clean_up = Signature::new(NAME).option("expires", HALF_A_DAY);
            self.entries.push(Entry::new(NAME, at_four, clean_up));
        }
        self
    }

    /// The time zone of crontabs that have none of their own: `CELERY_TIMEZONE`. UTC by default.
    #[must_use]
    pub fn zone(self, zone: Tz) -> Self {
        Self { zone, ..self }
    }

    /// What becomes of runs that were missed.
    #[must_use]
    pub fn missed(self, missed: MissedTicks) -> Self {
        Self { missed, ..self }
    }

    /// At least this often the clock is looked at, and the store asked for changes: `beat_max_loop_interval`. Five
    /// seconds by default, as in django-celery-beat.
    #[must_use]
    pub fn max_interval(self, max_interval: Duration) -> Self {
        Self {
            max_interval,
            ..self
        }
    }

    /// For how long another beat waits before it takes over from a leader that has died: 30 seconds by default, one at
    /// least. The leader renews its lease each third of it.
    #[must_use]
    pub fn lease_time(self, lease_time: Duration) -> Self {
        Self {
            lease_time: lease_time.max(Duration::from_secs(1)),
            ..self
        }
    }

    /// Keeps the lease in another place than the store's.
    #[must_use]
    pub fn lease(self, lease: Arc<dyn Lease>) -> Self {
        Self { lease, ..self }
    }

    /// Reads the time elsewhere than on the computer's clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Runs until `stop` is ready: then it finishes the run that it is sending, records it, and lets another beat lead
    /// at once.
    ///
    /// A store or a broker that cannot be reached is logged and tried again, for ever.
    ///
    /// # Cancellation
    ///
    /// As if the process had died: see the [module's page](self). The lease runs out by itself.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (ask_to_stop, asked) = watch::channel(false);
        let mut work = pin!(self.work(asked));
        tokio::select! {
            () = &mut work => return,
            () = stop => {}
        }
        ask_to_stop.send_replace(true);
        work.await;
    }

    async fn work(&self, mut stop: Stop) {
        let mut unrecorded = HashMap::new();
        let mut standing_by = false;
        while !*stop.borrow() {
            match Held::acquire(&self.lease, self.lease_time).await {
                Ok(Some(held)) => {
                    tracing::info!(beat = self.name, "this beat leads");
                    standing_by = false;
                    let leader = Leader::new(self, held, std::mem::take(&mut unrecorded));
                    unrecorded = leader.lead(&mut stop).await;
                }
                Ok(None) if !standing_by => {
                    tracing::info!(beat = self.name, "another beat leads; this one stands by");
                    standing_by = true;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "beat could not ask for the lease"),
            }
            tokio::select! {
                () = sleep(self.lease_time / 6) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// The program's entries; those that the store does not know yet count from now.
    fn entries_from(&self, now: DateTime<Utc>) -> Vec<Entry> {
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            if let Schedule::Crontab(crontab) = &mut entry.schedule {
                crontab.default_zone(self.zone);
            }
            // One with a start has its first run then.
            if entry.start_time.is_none() {
                entry.last_run_at = entry.last_run_at.or(Some(now));
            }
        }
        entries
    }
}
