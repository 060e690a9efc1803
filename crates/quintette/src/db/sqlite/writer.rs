use std::sync::Arc;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteQueryResult};
use sqlx::{Connection as _, Error, Execute, SqlStr, Sqlite};
use tokio::sync::{mpsc, oneshot};

use super::connections::{Connections, Lease};
use crate::db::queries;

/// How many statements one transaction takes, and how many may wait for their turn.
const TOGETHER: usize = 64;
const WAITING: usize = 1_024;

/// What the last statement did; an error may be that of the transaction, which several share.
type Written = Result<SqliteQueryResult, Arc<Error>>;

/// Who writes to the file.
///
/// SQLite has one writer at a time. Ours queue for one connection, first come first served; on connections of their own
/// they would poll for the file's lock, and the unlucky would starve. What has come together is written in one
/// transaction, so that it waits for the disk once. Whoever has its answer knows its write on the disk.
#[derive(Clone, Debug)]
pub(super) enum Writer {
    /// The task that has the connection, and how long a request waits for it.
    Together(mpsc::Sender<Write>, Duration),
    /// Each statement by itself: on an application's pool, or in memory.
    Alone(Connections),
}

#[derive(Debug)]
pub(super) struct Write {
    /// More than one are a transaction of their own, where the write is alone.
    statements: Vec<(SqlStr, SqliteArguments)>,
    answer: oneshot::Sender<Written>,
}

impl Writer {
    /// Starts the task, which ends with the last handle.
    pub(super) fn together(connection: Lease, timeout: Duration) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write_all(connection, receiver));
        Self::Together(sender, timeout)
    }

    /// Runs a statement that is a transaction by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where its turn did not come or end in time: it may still be carried out.
    ///
    /// # Cancellation
    ///
    /// A statement whose caller vanishes is carried out, or was never begun.
    pub(super) async fn execute(&self, query: Query<'_, Sqlite, SqliteArguments>) -> Written {
        self.execute_all(std::iter::once(query)).await
    }

    /// Runs statements that are a transaction together. As [`execute`](Self::execute).
    pub(super) async fn execute_all(
        &self,
        queries: impl IntoIterator<Item = Query<'_, Sqlite, SqliteArguments>>,
    ) -> Written {
        let mut statements = Vec::with_capacity(1);
        for mut query in queries {
            let arguments = query.take_arguments().map_err(Error::Encode)?;
            statements.push((query.sql(), arguments.unwrap_or_default()));
        }
        let _notes = queries::noting_all(statements.iter().map(|(statement, _)| statement));
        let (writes, timeout) = match self {
            Self::Together(writes, timeout) => (writes, *timeout),
            Self::Alone(connections) => {
                let mut connection = connections.acquire().await?;
                return Ok(run(&mut connection, &statements).await?);
            }
        };
        let (answer, answered) = oneshot::channel();
        let write = Write { statements, answer };
        let written = async {
            writes.send(write).await.map_err(|_| Error::WorkerCrashed)?;
            answered.await.map_err(|_| Error::WorkerCrashed)?
        };
        match tokio::time::timeout(timeout, written).await {
            Ok(written) => written,
            Err(elapsed) => Err(Arc::new(Error::Io(elapsed.into()))),
        }
    }
}

async fn write_all(mut connection: Lease, mut writes: mpsc::Receiver<Write>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while writes.recv_many(&mut batch, TOGETHER).await > 0 {
        // Who has waited for too long was told that nobody knows; it is better not done.
        batch.retain(|write| !write.answer.is_closed());
        let answers = match batch.as_slice() {
            [] => continue,
            [write] => {
                let written = run(&mut connection, &write.statements).await;
                vec![written.map_err(Arc::new)]
            }
            several => run_together(&mut connection, several).await,
        };
        for (write, answer) in batch.drain(..).zip(answers) {
            // Nobody listens where the caller has vanished.
            let _ = write.answer.send(answer);
        }
    }
}

/// One answer for each of the statements.
async fn run_together(connection: &mut SqliteConnection, batch: &[Write]) -> Vec<Written> {
    if let Err(error) = sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await
    {
        // Locked by another program, say: so it would be for each of them, after as long a wait.
        let error = Arc::new(error);
        return batch.iter().map(|_| Err(error.clone())).collect();
    }
    if let Ok(rows) = run_and_commit(connection, batch).await {
        return rows.into_iter().map(Ok).collect();
    }
    // One of them cannot be done, and the others are not to suffer for it. There may be no transaction left to undo.
    let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    let mut answers = Vec::with_capacity(batch.len());
    for write in batch {
        let written = run(connection, &write.statements).await;
        answers.push(written.map_err(Arc::new));
    }
    answers
}

async fn run_and_commit(
    connection: &mut SqliteConnection,
    batch: &[Write],
) -> Result<Vec<SqliteQueryResult>, Error> {
    let mut results = Vec::with_capacity(batch.len());
    for write in batch {
        results.push(run_within(connection, &write.statements).await?);
    }
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(results)
}

async fn run(
    connection: &mut SqliteConnection,
    statements: &[(SqlStr, SqliteArguments)],
) -> Result<SqliteQueryResult, Error> {
    if statements.len() == 1 {
        return run_within(connection, statements).await;
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let result = run_within(&mut transaction, statements).await?;
    transaction.commit().await?;
    Ok(result)
}

/// In the transaction that there is, or each in its own.
async fn run_within(
    connection: &mut SqliteConnection,
    statements: &[(SqlStr, SqliteArguments)],
) -> Result<SqliteQueryResult, Error> {
    let mut result = SqliteQueryResult::default();
    for (statement, arguments) in statements {
        let query = sqlx::query_with(statement.clone(), arguments.clone());
        result = query.execute(&mut *connection).await?;
    }
    Ok(result)
}
