//! A beat's lease: a row of a table, by the database's clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use uuid::Uuid;

use super::super::super::error::BeatError;
use super::super::super::lease::Fence;
use super::tables::{Column, Kind, Statement, Tables, Value};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS quintette_beat_lease (beat varchar(100) NOT NULL PRIMARY KEY, \
     fence bigint NOT NULL, holder varchar(36) NOT NULL, expires_at bigint NOT NULL)";

/// The row of one beat, in `quintette_beat_lease`.
#[derive(Debug)]
pub(crate) struct LeaseTable {
    pub(crate) tables: Arc<dyn Tables>,
    pub(crate) name: String,
    /// This one, among the beats of the name.
    holder: String,
    prepared: OnceCell<()>,
}

impl LeaseTable {
    pub(crate) fn new(tables: Arc<dyn Tables>, name: &str) -> Self {
        Self {
            tables,
            name: name.to_owned(),
            holder: Uuid::new_v4().to_string(),
            prepared: OnceCell::new(),
        }
    }

    /// Makes the tables that are missing, and the row.
    pub(crate) async fn prepare(&self, others: &[&str]) -> Result<(), BeatError> {
        for create in others {
            self.tables.run(create).await?;
        }
        let prepare = || async {
            let row = "SELECT fence FROM quintette_beat_lease WHERE beat = ?";
            let name = || Value::from(self.name.clone());
            // Asked for first: a user may have no right to create what is there already.
            let found = self.tables.fetch(row, &[name()], &[Column::Integer]).await;
            if found.is_err() {
                self.tables.run(CREATE).await?;
            }
            if found.is_ok_and(|rows| !rows.is_empty()) {
                return Ok(());
            }
            let insert = match self.tables.kind() {
                Kind::Mysql => {
                    "INSERT IGNORE INTO quintette_beat_lease (beat, fence, holder, expires_at) VALUES (?, 0, '', 0)"
                }
                Kind::Postgres | Kind::Sqlite => {
                    "INSERT INTO quintette_beat_lease (beat, fence, holder, expires_at) VALUES (?, 0, '', 0) ON CONFLICT DO NOTHING"
                }
            };
            let insert = Statement::new(insert, vec![name()]);
            self.tables.write(&[insert]).await.map(|_| ())
        };
        self.prepared.get_or_try_init(prepare).await?;
        Ok(())
    }

    pub(crate) async fn acquire(&self, time: Duration) -> Result<Option<Fence>, BeatError> {
        self.prepare(&[]).await?;
        let now = self.now();
        let take = Statement::changing(
            format!(
                "UPDATE quintette_beat_lease SET fence = fence + 1, holder = ?, expires_at = {now} + ? \
                 WHERE beat = ? AND expires_at <= {now}"
            ),
            vec![
                self.holder.clone().into(),
                millis(time),
                self.name.clone().into(),
            ],
        );
        if !self.tables.write(&[take]).await? {
            return Ok(None);
        }
        let rows = self
            .tables
            .fetch(
                "SELECT fence FROM quintette_beat_lease WHERE beat = ? AND holder = ?",
                &[self.name.clone().into(), self.holder.clone().into()],
                &[Column::Integer],
            )
            .await?;
        let fence = rows.first().and_then(|row| row.first()?.integer());
        Ok(fence.map(Fence))
    }

    pub(crate) async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError> {
        let now = self.now();
        let renew = Statement::changing(
            format!(
                "UPDATE quintette_beat_lease SET expires_at = {now} + ? WHERE beat = ? AND fence = ?"
            ),
            vec![millis(time), self.name.clone().into(), fence.0.into()],
        );
        self.tables.write(&[renew]).await
    }

    pub(crate) async fn release(&self, fence: Fence) -> Result<(), BeatError> {
        let release = Statement::new(
            "UPDATE quintette_beat_lease SET expires_at = 0 WHERE beat = ? AND fence = ?",
            vec![self.name.clone().into(), fence.0.into()],
        );
        self.tables.write(&[release]).await.map(|_| ())
    }

    /// Runs the statements in one transaction, unless a later leader has been here.
    pub(crate) async fn write(
        &self,
        fence: Fence,
        mut statements: Vec<Statement>,
    ) -> Result<(), BeatError> {
        self.prepare(&[]).await?;
        // Holds the row until the end of the transaction: no other takes the lease in between.
        let check = Statement::changing(
            "UPDATE quintette_beat_lease SET fence = ? WHERE beat = ? AND fence <= ?",
            vec![fence.0.into(), self.name.clone().into(), fence.0.into()],
        );
        statements.insert(0, check);
        let written = self.tables.write(&statements).await?;
        written.then_some(()).ok_or_else(BeatError::lease_lost)
    }

    /// The database's clock, in milliseconds since 1970.
    fn now(&self) -> &'static str {
        match self.tables.kind() {
            Kind::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Kind::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
            Kind::Mysql => "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000 AS SIGNED)",
        }
    }
}

fn millis(time: Duration) -> Value {
    i64::try_from(time.as_millis())
        .unwrap_or(i64::MAX / 2)
        .into()
}
