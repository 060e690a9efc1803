//! A beat's lease: a row of a table, by the database's clock.

use std::time::Duration;

use quintette_core::settings::DatabaseUrl;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::beat::error::{BeatError, BeatErrorKind};
use crate::beat::lease::Fence;
use crate::database::{Column, Database, DatabaseError, Dialect, Statement, Value};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS quintette_beat_lease (beat varchar(100) NOT NULL PRIMARY KEY, \
     fence bigint NOT NULL, holder varchar(36) NOT NULL, expires_at bigint NOT NULL)";

/// A database, and the row of one beat in its table `quintette_beat_lease`.
#[derive(Debug)]
pub(crate) struct LeaseTable {
    url: DatabaseUrl,
    name: String,
    /// This one, among the beats of the name.
    holder: String,
    /// Made at the first use, inside a runtime.
    database: OnceCell<Database>,
    prepared: OnceCell<()>,
}

impl LeaseTable {
    pub(crate) fn new(url: &str, name: &str) -> Result<Self, BeatError> {
        let url = url
            .parse()
            .map_err(|error| store_error("read the DATABASE_URL of").caused_by(error))?;
        Ok(Self {
            url,
            name: name.to_owned(),
            holder: Uuid::new_v4().to_string(),
            database: OnceCell::new(),
            prepared: OnceCell::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn dialect(&self) -> Result<Dialect, BeatError> {
        Ok(self.database().await?.dialect())
    }

    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Vec<Value>>, BeatError> {
        let read = self.database().await?.read(statement).await;
        read.map_err(|error| store_error("read from").caused_by(error))
    }

    /// Makes a table that may be there.
    pub(crate) async fn create(&self, table: &'static str) -> Result<(), BeatError> {
        let created = self.database().await?.execute(Statement::new(table)).await;
        created
            .map(|_| ())
            .map_err(|error| store_error("create its tables in").caused_by(error))
    }

    /// One statement, whoever leads. False where it had to change a row and changed none.
    pub(crate) async fn write_unchecked(&self, statement: Statement) -> Result<bool, BeatError> {
        let written = self.database().await?.execute(statement).await;
        changed(written.map(|_| ()))
    }

    /// Runs the statements in one transaction, unless a later leader has been here.
    pub(crate) async fn write(
        &self,
        fence: Fence,
        mut statements: Vec<Statement>,
    ) -> Result<(), BeatError> {
        self.prepare().await?;
        // Holds the row until the end of the transaction: no other takes the lease in between.
        let sql = "UPDATE quintette_beat_lease SET fence = ? WHERE beat = ? AND fence <= ?";
        let check = Statement::new(sql)
            .with(fence.0)
            .with(self.name())
            .with(fence.0)
            .changing();
        statements.insert(0, check);
        let written = self.database().await?.write(statements).await;
        changed(written.map(|_| ()))?
            .then_some(())
            .ok_or_else(BeatError::lease_lost)
    }

    pub(crate) async fn acquire(&self, time: Duration) -> Result<Option<Fence>, BeatError> {
        self.prepare().await?;
        let now = self.now().await?;
        let take = format!(
            "UPDATE quintette_beat_lease SET fence = fence + 1, holder = ?, expires_at = {now} + ? \
             WHERE beat = ? AND expires_at <= {now}"
        );
        let take = Statement::new(take)
            .with(self.holder.as_str())
            .with(millis(time))
            .with(self.name())
            .changing();
        if !self.write_unchecked(take).await? {
            return Ok(None);
        }
        let sql = "SELECT fence FROM quintette_beat_lease WHERE beat = ? AND holder = ?";
        let mine = Statement::new(sql)
            .with(self.name())
            .with(self.holder.as_str())
            .returning(&[Column::Int]);
        let mut rows = self.read(mine).await?;
        let fence = rows.pop().and_then(|mut row| row.pop()?.int());
        Ok(fence.map(Fence))
    }

    pub(crate) async fn renew(&self, fence: Fence, time: Duration) -> Result<bool, BeatError> {
        let now = self.now().await?;
        let renew = format!(
            "UPDATE quintette_beat_lease SET expires_at = {now} + ? WHERE beat = ? AND fence = ?"
        );
        let renew = Statement::new(renew)
            .with(millis(time))
            .with(self.name())
            .with(fence.0)
            .changing();
        self.write_unchecked(renew).await
    }

    pub(crate) async fn release(&self, fence: Fence) -> Result<(), BeatError> {
        let sql = "UPDATE quintette_beat_lease SET expires_at = 0 WHERE beat = ? AND fence = ?";
        let release = Statement::new(sql).with(self.name()).with(fence.0);
        self.write_unchecked(release).await.map(|_| ())
    }

    async fn database(&self) -> Result<&Database, BeatError> {
        let open = async || Database::new(&self.url);
        let opened = self.database.get_or_try_init(open).await;
        opened.map_err(|error| store_error("open").caused_by(error))
    }

    /// Makes the table if it is missing, and the row.
    async fn prepare(&self) -> Result<(), BeatError> {
        let prepare = async || {
            let row = Statement::new("SELECT fence FROM quintette_beat_lease WHERE beat = ?")
                .with(self.name())
                .returning(&[Column::Int]);
            // Asked for first: a user may have no right to create what is there already.
            match self.read(row).await {
                Ok(rows) if !rows.is_empty() => return Ok(()),
                Ok(_) => {}
                Err(_) => self.create(CREATE).await?,
            }
            let (ignore, on_conflict) = match self.dialect().await? {
                Dialect::Mysql => ("IGNORE ", ""),
                Dialect::Postgres | Dialect::Sqlite => ("", " ON CONFLICT DO NOTHING"),
            };
            let insert = format!(
                "INSERT {ignore}INTO quintette_beat_lease (beat, fence, holder, expires_at) \
                 VALUES (?, 0, '', 0){on_conflict}"
            );
            let insert = Statement::new(insert).with(self.name());
            self.write_unchecked(insert).await.map(|_| ())
        };
        self.prepared.get_or_try_init(prepare).await?;
        Ok(())
    }

    /// The database's clock, in milliseconds since 1970.
    async fn now(&self) -> Result<&'static str, BeatError> {
        Ok(match self.dialect().await? {
            Dialect::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
            Dialect::Mysql => "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000 AS SIGNED)",
        })
    }
}

fn changed(written: Result<(), DatabaseError>) -> Result<bool, BeatError> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.is_unchanged() => Ok(false),
        Err(error) => Err(store_error("write to").caused_by(error)),
    }
}

fn store_error(doing: &str) -> BeatError {
    let what = format!("beat could not {doing} the database");
    BeatError::new(BeatErrorKind::Store, what)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2)
}
