//! A store in two tables of a database.

mod lease_table;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;

use super::super::entry::Entry;
use super::super::error::BeatError;
use super::super::lease::{Fence, Lease};
use super::ScheduleStore;
use super::runs::{Run, Runs, installed, with_runs};
use crate::database::{Column, Statement, Value};
pub(crate) use lease_table::LeaseTable;

const CREATE_RUNS: &str = "CREATE TABLE IF NOT EXISTS quintette_beat_run (beat varchar(100) NOT NULL, \
     entry varchar(200) NOT NULL, last_run_at bigint NOT NULL, total_run_count bigint NOT NULL, \
     PRIMARY KEY (beat, entry))";

/// Keeps the last runs in a table of a database, and the lease in another beside it: SQLite, PostgreSQL, MariaDB or MySQL.
///
/// The tables are `quintette_beat_lease` and `quintette_beat_run`; they are made when they are missing.
#[derive(Debug)]
pub struct DatabaseStore {
    lease: LeaseTable,
    entries: Mutex<Vec<Entry>>,
}

impl DatabaseStore {
    /// A store for the beat of this name. Beats of one name take turns; each program has a name of its own.
    ///
    /// `url` is a `DATABASE_URL`: `sqlite:///srv/shop/db.sqlite3`, `postgres://…` or `mysql://…`. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read.
    pub fn open(url: &str, name: &str) -> Result<Self, BeatError> {
        Ok(Self {
            lease: LeaseTable::new(url, name)?,
            entries: Mutex::default(),
        })
    }

    fn name(&self) -> &str {
        self.lease.name()
    }

    async fn runs(&self) -> Result<Runs, BeatError> {
        let sql =
            "SELECT entry, last_run_at, total_run_count FROM quintette_beat_run WHERE beat = ?";
        let select = Statement::new(sql).with(self.name()).returning(&[
            Column::Text,
            Column::Int,
            Column::Int,
        ]);
        let run = |mut row: Vec<Value>| {
            let (count, time, name) = (row.pop()?, row.pop()?, row.pop()?);
            let run = Run {
                last_run_at: DateTime::from_timestamp_micros(time.int()?)?,
                total_run_count: u64::try_from(count.int()?).ok()?,
            };
            Some((name.text()?, run))
        };
        let rows = self.lease.read(select).await?;
        Ok(rows.into_iter().filter_map(run).collect())
    }

    /// Replaces what was recorded of an entry.
    fn statements(&self, name: &str, run: Run) -> [Statement; 2] {
        let delete = "DELETE FROM quintette_beat_run WHERE beat = ? AND entry = ?";
        let insert = "INSERT INTO quintette_beat_run (beat, entry, last_run_at, total_run_count) \
                      VALUES (?, ?, ?, ?)";
        [
            Statement::new(delete).with(self.name()).with(name),
            Statement::new(insert)
                .with(self.name())
                .with(name)
                .with(run.last_run_at.timestamp_micros())
                .with(i64::try_from(run.total_run_count).unwrap_or(i64::MAX)),
        ]
    }
}

#[async_trait]
impl ScheduleStore for DatabaseStore {
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError> {
        self.lease.create(CREATE_RUNS).await?;
        let runs = installed(entries, &self.runs().await?);
        let forget = "DELETE FROM quintette_beat_run WHERE beat = ?";
        let mut statements = vec![Statement::new(forget).with(self.name())];
        let records = runs.iter().map(|(name, run)| self.statements(name, *run));
        statements.extend(records.flatten());
        self.lease.write(fence, statements).await?;
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = entries.to_vec();
        Ok(())
    }

    async fn load(&self) -> Result<Vec<Entry>, BeatError> {
        let runs = self.runs().await?;
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(with_runs(&entries, &runs))
    }

    async fn changed(&self) -> Result<bool, BeatError> {
        Ok(false)
    }

    async fn record(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        let Some(run) = Run::of(entry) else {
            return Ok(());
        };
        let statements = self.statements(&entry.name, run);
        self.lease.write(fence, statements.into()).await
    }

    async fn finish(&self, _: Fence, _: &Entry) -> Result<(), BeatError> {
        Ok(())
    }
}

#[async_trait]
impl Lease for DatabaseStore {
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
