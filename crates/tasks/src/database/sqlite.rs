//! A file: one connection that writes, and a few that read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
};
use sqlx::{ConnectOptions as _, Connection as _, Error, Sqlite};
use tokio::sync::{OnceCell, mpsc, oneshot};

use super::run::run;
use super::statement::{Statement, Written};
use super::{Dialect, PATIENCE};

/// How many writes one transaction takes, and how many may wait for their turn.
const TOGETHER: usize = 256;
const WAITING: usize = 1_024;

type Answer = Result<Vec<Written>, Arc<Error>>;

/// An SQLite file, which is made where it is missing.
pub(super) struct SqliteFile {
    options: SqliteConnectOptions,
    readers: SqlitePool,
    writer: OnceCell<mpsc::Sender<Write>>,
    path: PathBuf,
}

struct Write {
    statements: Vec<Statement>,
    answer: oneshot::Sender<Answer>,
}

impl SqliteFile {
    pub(super) fn new(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // For as long as another process writes.
            .busy_timeout(PATIENCE)
            // Readers and a writer go on side by side; Python reads and writes such a file as any other.
            .journal_mode(SqliteJournalMode::Wal);
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(PATIENCE)
            // A file does not hang up.
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        Self {
            options,
            readers,
            writer: OnceCell::new(),
            path: path.to_owned(),
        }
    }

    pub(super) async fn read(&self, statements: &[Statement]) -> Result<Vec<Written>, Error> {
        // The first connection makes the file and sets its mode, which two at once would quarrel about.
        self.writer().await.map_err(Error::Io)?;
        let mut connection = self.readers.acquire().await?;
        run::<Sqlite>(&mut connection, Dialect::Sqlite, statements).await
    }

    /// Writes queue for one connection, first come first served, and what has come together waits for the disk once. On connections of their
    /// own they would poll for the file's lock, and the unlucky would starve.
    pub(super) async fn write(&self, statements: Vec<Statement>) -> Answer {
        let writer = self
            .writer()
            .await
            .map_err(|error| Arc::new(Error::Io(error)))?;
        let (answer, answered) = oneshot::channel();
        let write = Write { statements, answer };
        writer.send(write).await.map_err(|_| Error::WorkerCrashed)?;
        answered.await.map_err(|_| Error::WorkerCrashed)?
    }

    /// The task that has the connection. It lives as long as the handles, on whichever runtime came first.
    async fn writer(&self) -> Result<&mpsc::Sender<Write>, std::io::Error> {
        let started = self.writer.get_or_try_init(|| async {
            let connection = open(&self.options).await?;
            let (sender, receiver) = mpsc::channel(WAITING);
            tokio::spawn(write_all(connection, receiver));
            Ok(sender)
        });
        started.await.map_err(|error: Error| {
            let database = error.as_database_error();
            let code = database.and_then(sqlx::error::DatabaseError::code);
            let (kind, advice) = match code.as_deref() {
                // SQLITE_CANTOPEN, SQLITE_NOTADB: no new try will change that.
                Some("14") => (
                    ErrorKind::InvalidInput,
                    "; its folder must be there, and this user must be allowed to write into it",
                ),
                Some("26") => (
                    ErrorKind::InvalidInput,
                    "; name another one, or move it away",
                ),
                _ => (ErrorKind::Other, ""),
            };
            let path = self.path.display();
            std::io::Error::new(kind, format!("{path} cannot be opened: {error}{advice}"))
        })
    }
}

/// Of two programs that set a file to WAL at once, SQLite tells one that it is locked, however long its time-out is.
async fn open(options: &SqliteConnectOptions) -> Result<SqliteConnection, Error> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match options.connect().await {
            Err(Error::Database(error))
                if error.message().contains("locked") && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

async fn write_all(mut connection: SqliteConnection, mut writes: mpsc::Receiver<Write>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while writes.recv_many(&mut batch, TOGETHER).await > 0 {
        // Nobody waits for it any more: it is better not done.
        batch.retain(|write| !write.answer.is_closed());
        let answers = together(&mut connection, &batch).await;
        for (write, answer) in batch.drain(..).zip(answers) {
            // Nobody listens where the caller has vanished.
            let _ = write.answer.send(answer);
        }
    }
}

/// One answer for each of the writes.
async fn together(connection: &mut SqliteConnection, batch: &[Write]) -> Vec<Answer> {
    if let [_, _, ..] = batch {
        let statements: Vec<_> = batch
            .iter()
            .flat_map(|write| write.statements.clone())
            .collect();
        if let Ok(written) = transaction(connection, &statements).await {
            let mut written = written.into_iter();
            let of_each =
                |write: &Write| Ok(written.by_ref().take(write.statements.len()).collect());
            return batch.iter().map(of_each).collect();
        }
        // One of them cannot be done, and the others are not to suffer for it.
    }
    let mut answers = Vec::with_capacity(batch.len());
    for write in batch {
        let written = transaction(connection, &write.statements).await;
        answers.push(written.map_err(Arc::new));
    }
    answers
}

async fn transaction(
    connection: &mut SqliteConnection,
    statements: &[Statement],
) -> Result<Vec<Written>, Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let written = run::<Sqlite>(&mut transaction, Dialect::Sqlite, statements).await?;
    transaction.commit().await?;
    Ok(written)
}
