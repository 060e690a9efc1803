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
use super::stores::database::{Column, LeaseTable, Statement, Value, open};

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
            lease: LeaseTable::new(open(url, zone)?, "django-celery-beat"),
            seen: Mutex::default(),
        })
    }

    async fn last_update(&self) -> Result<Option<DateTime<Utc>>, BeatError> {
        let sql = "SELECT last_update FROM django_celery_beat_periodictasks WHERE ident = 1";
        let rows = self.lease.tables.fetch(sql, &[], &[Column::Time]).await?;
        Ok(rows.first().and_then(|row| row.first()?.time()))
    }
}

#[async_trait]
impl ScheduleStore for DjangoStore {
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError> {
        let mut statements = Vec::new();
        for entry in entries {
            match install::statements(&*self.lease.tables, entry).await {
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
        statements.extend(changed(Utc::now()));
        self.lease.write(fence, statements).await
    }

    async fn load(&self) -> Result<Vec<Entry>, BeatError> {
        // Read first: a change that comes in between is read once more, and none is overlooked.
        let last_update = self.last_update().await?;
        let rows = self
            .lease
            .tables
            .fetch(row::SELECT, &[], &row::COLUMNS)
            .await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = last_update;
        let entries = rows.into_iter().filter_map(|row| {
            let row = row::PeriodicTask::read(row)?;
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
        let count = i64::try_from(entry.total_run_count).unwrap_or(i64::MAX);
        let record = Statement::new(
            "UPDATE django_celery_beat_periodictask SET last_run_at = ?, total_run_count = ?, date_changed = ? WHERE name = ?",
            vec![
                Value::or_null(entry.last_run_at, Column::Time),
                count.into(),
                Utc::now().into(),
                entry.name.clone().into(),
            ],
        );
        self.lease.write(fence, vec![record]).await
    }

    async fn finish(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        let now = Utc::now();
        let disable = "UPDATE django_celery_beat_periodictask SET enabled = ?, last_run_at = NULL, date_changed = ?";
        let values = vec![false.into(), now.into(), entry.name.clone().into()];
        if !entry.one_off {
            let expired = Statement::new(format!("{disable} WHERE name = ?"), values);
            return self.lease.write(fence, vec![expired]).await;
        }
        // Enabled once more, it runs once more.
        let ran = Statement::new(
            format!("{disable}, total_run_count = 0 WHERE name = ?"),
            values,
        );
        let statements = std::iter::once(ran).chain(changed(now)).collect();
        self.lease.write(fence, statements).await
    }
}

/// Tells others that something was changed: `PeriodicTasks.update_changed`.
fn changed(now: DateTime<Utc>) -> [Statement; 2] {
    let update = "UPDATE django_celery_beat_periodictasks SET last_update = ? WHERE ident = 1";
    let insert = "INSERT INTO django_celery_beat_periodictasks (ident, last_update) SELECT 1, last_update FROM \
                  (SELECT MAX(date_changed) AS last_update FROM django_celery_beat_periodictask) AS newest \
                  WHERE last_update IS NOT NULL AND NOT EXISTS \
                  (SELECT 1 FROM django_celery_beat_periodictasks WHERE ident = 1)";
    [
        Statement::new(insert, vec![]),
        Statement::new(update, vec![now.into()]),
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
