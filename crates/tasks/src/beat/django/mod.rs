//! The tables of django-celery-beat: what `celery beat -S django` reads and writes.
//!
//! Entries are made and changed in Django's admin, or by any program that writes the tables as Django does. A change is seen
//! within [`max_interval`](super::Beat::max_interval): whoever makes one sets `PeriodicTasks.last_update`. All is read again
//! each five minutes.
//!
//! Entries of the program are written into the tables, as with Celery: their task, schedule, arguments and options
//! are the program's at each start, while `enabled` and the last run stay as they are. A table has no column for
//! [`relative`](super::schedule::Interval::relative) intervals.
//!
//! The lease is one row of a table of its own, `quintette_beat_lease`, in the same database. Celery's own beat knows
//! nothing of it: run one or the other.
//!
//! A row that cannot be understood (an argument that is no JSON, a day of the week 7, two schedules or none) is left out,
//! with a line in the log, and stays as it is. Celery's beat disables it, leaves it out in silence, or ends.

mod columns;
mod install;
mod row;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::time::TimeZone;

use super::entry::Entry;
use super::error::{BeatError, BeatErrorKind};
use super::lease::{Fence, Lease};
use super::stores::ScheduleStore;
use super::stores::database::LeaseTable;
use crate::database::{Column, Statement};
use columns::Times;

/// Entries and last runs in django-celery-beat's tables, in SQLite, PostgreSQL, MariaDB or MySQL.
///
/// ```no_run
/// use std::sync::Arc;
/// use quintette_core::time::TimeZone;
/// use quintette_tasks::beat::{Beat, DjangoStore, TickSender};
///
/// # async fn example(sender: Arc<dyn TickSender>) -> Result<(), Box<dyn std::error::Error>> {
/// let utc = TimeZone { use_tz: true, zone: chrono_tz::Tz::UTC };
/// let store = Arc::new(DjangoStore::open("postgres://shop@localhost/shop", utc)?);
/// Beat::over("shop", sender, store).run(std::future::pending()).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DjangoStore {
    lease: LeaseTable,
    zone: TimeZone,
    /// `PeriodicTasks.last_update` when the tables were last read.
    seen: Mutex<Option<DateTime<Utc>>>,
}

impl DjangoStore {
    /// The tables in the database of this `DATABASE_URL`, of a Django with these `USE_TZ` and `TIME_ZONE`. Nothing is
    /// opened yet.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read, or this program was built without its kind of database.
    pub fn open(url: &str, zone: TimeZone) -> Result<Self, BeatError> {
        Ok(Self {
            lease: LeaseTable::new(url, "django-celery-beat")?,
            zone,
            seen: Mutex::default(),
        })
    }

    async fn times(&self) -> Result<Times, BeatError> {
        Ok(Times {
            dialect: self.lease.dialect().await?,
            zone: self.zone,
        })
    }

    async fn last_update(&self) -> Result<Option<DateTime<Utc>>, BeatError> {
        let sql = "SELECT last_update FROM django_celery_beat_periodictasks WHERE ident = 1";
        let select = Statement::new(sql).returning(&[Column::Time]);
        let value = self
            .lease
            .read(select)
            .await?
            .pop()
            .and_then(|mut row| row.pop());
        let times = self.times().await?;
        Ok(value.and_then(|value| times.read(value)))
    }
}

#[async_trait]
impl ScheduleStore for DjangoStore {
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError> {
        let times = self.times().await?;
        let mut statements = Vec::new();
        for entry in entries {
            match install::statements(&self.lease, times, entry).await {
                Ok(of_entry) => statements.extend(of_entry),
                Err(error) if error.kind() == BeatErrorKind::Entry => {
                    tracing::error!(entry = entry.name, %error, "an entry is left out of the tables");
                }
                Err(error) => return Err(error),
            }
        }
        if statements.is_empty() {
            return Ok(());
        }
        statements.extend(changed(times));
        self.lease.write(fence, statements).await
    }

    async fn load(&self) -> Result<Vec<Entry>, BeatError> {
        // Read first: a change that comes in between is read once more, and none is overlooked.
        let last_update = self.last_update().await?;
        let select = Statement::new(row::SELECT).returning(&row::COLUMNS);
        let rows = self.lease.read(select).await?;
        let times = self.times().await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = last_update;
        let entries = rows.into_iter().filter_map(|row| {
            let row = row::PeriodicTask::read(row, times)?;
            let name = row.name.clone();
            row.into_entry()
                .inspect_err(
                    |error| tracing::error!(entry = name, %error, "a periodic task is left out"),
                )
                .ok()
        });
        Ok(entries.collect())
    }

    async fn changed(&self) -> Result<bool, BeatError> {
        let last_update = self.last_update().await?;
        Ok(last_update != *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn record(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        let times = self.times().await?;
        let sql = "UPDATE django_celery_beat_periodictask SET last_run_at = ?, total_run_count = ?, \
                   date_changed = ? WHERE name = ?";
        let record = Statement::new(sql)
            .with(times.write(entry.last_run_at))
            .with(i64::try_from(entry.total_run_count).unwrap_or(i64::MAX))
            .with(times.write(Some(Utc::now())))
            .with(entry.name.as_str());
        self.lease.write(fence, vec![record]).await
    }

    async fn finish(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        let times = self.times().await?;
        // Enabled once more, what had its one run has one more; and whoever reads the tables is told.
        let count = if entry.one_off {
            ", total_run_count = 0"
        } else {
            ""
        };
        let disable = format!(
            "UPDATE django_celery_beat_periodictask SET enabled = (1 = 0), last_run_at = NULL, \
             date_changed = ?{count} WHERE name = ?"
        );
        let mut statements = vec![
            Statement::new(disable)
                .with(times.write(Some(Utc::now())))
                .with(entry.name.as_str()),
        ];
        if entry.one_off {
            statements.extend(changed(times));
        }
        self.lease.write(fence, statements).await
    }
}

/// Tells others that something was changed: `PeriodicTasks.update_changed`.
fn changed(times: Times) -> [Statement; 2] {
    let insert = "INSERT INTO django_celery_beat_periodictasks (ident, last_update) \
                  SELECT 1, MAX(date_changed) FROM django_celery_beat_periodictask \
                  WHERE NOT EXISTS (SELECT 1 FROM django_celery_beat_periodictasks WHERE ident = 1) \
                  HAVING COUNT(*) > 0";
    let update = "UPDATE django_celery_beat_periodictasks SET last_update = ? WHERE ident = 1";
    [
        Statement::new(insert),
        Statement::new(update).with(times.write(Some(Utc::now()))),
    ]
}

#[async_trait]
impl Lease for DjangoStore {
    async fn acquire(&self, time: Duration) -> Result<Option<Fence>, BeatError> {
        self.lease.acquire(time).await
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError> {
        self.lease.renew(fence, time).await
    }

    async fn release(&self, fence: Fence) -> Result<(), BeatError> {
        self.lease.release(fence).await
    }
}
