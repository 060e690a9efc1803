//! Which statements a request has run: Django's `connection.queries`.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::query::Query as Statement;
use sqlx::{Database, Execute, IntoArguments, SqlStr};

/// As many as Django keeps (`queries_limit` in `django/db/backends/base/base.py`).
const LIMIT: usize = 9_000;

tokio::task_local! {
    static CURRENT: Logs;
}

/// A statement that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Its text, with marks in the place of values.
    pub sql: String,
    /// How long its answer took.
    pub time: Duration,
}

/// Notes the statements that run on behalf of a future, such as the handling of a request. A cheap handle: clones share the
/// notes.
///
/// Statements are noted that Quintette runs, in whatever task; those of an application's own are not, nor are migrations. Of
/// a statement that runs for several requests at once, each has a note. The last 9,000 are kept, as in Django.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use quintette::db::{Database, QueryLog};
/// use quintette::sessions;
/// use quintette::settings::Settings;
///
/// # let directory = tempfile::tempdir()?;
/// let mut settings = Settings::new("a secret");
/// # let file = directory.path().join("db.sqlite3");
/// # settings.database_url = Some(format!("sqlite://{}", file.display()).parse()?);
/// Database::create(&settings).await?.migrate().await?;
/// let sessions = sessions::connect(settings).await?;
///
/// let log = QueryLog::new();
/// let session = sessions.session(Some("a1b2c3d4e5f6g7h8"));
/// log.record(session.get::<String>("cart")).await?;
/// assert!(log.queries()[0].sql.starts_with("SELECT"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct QueryLog {
    queries: Arc<Mutex<VecDeque<Query>>>,
}

impl QueryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs the future, and notes its statements here. Where it is recorded already, both logs have them.
    pub fn record<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let log = self.clone();
        async move { Logs::current().and(log).carried(future).await }
    }

    /// What was noted until now, in the order in which it ended.
    pub fn queries(&self) -> Vec<Query> {
        let queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        queries.iter().cloned().collect()
    }

    fn note(&self, query: Query) {
        // A push and a pop leave nothing half-done.
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        if queries.len() == LIMIT {
            queries.pop_front();
        }
        queries.push_back(query);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.queries, &other.queries)
    }
}

/// The logs of those on whose behalf something is done: mostly none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs(Vec<QueryLog>);

impl Logs {
    pub(crate) fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Another log, unless it is among these.
    pub(crate) fn and(mut self, log: QueryLog) -> Self {
        if !self.0.iter().any(|other| other.is(&log)) {
            self.0.push(log);
        }
        self
    }

    /// These and those.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(super) fn and_all(self, logs: Self) -> Self {
        logs.0.into_iter().fold(self, Self::and)
    }

    /// Runs a future on their behalf, in a task of its own say.
    pub(crate) async fn carried<F: Future>(self, future: F) -> F::Output {
        if self.is_empty() {
            return future.await;
        }
        CURRENT.scope(self, future).await
    }
}

/// Notes a statement when it is dropped, failed or not.
#[derive(Debug)]
pub(super) struct Note {
    logs: Logs,
    sql: SqlStr,
    begun: Instant,
}

/// Notes that a statement begins now.
pub(super) fn noting<D: Database<Arguments: IntoArguments<D>>>(
    mut statement: Statement<'_, D, D::Arguments>,
) -> (Statement<'_, D, D::Arguments>, Option<Note>) {
    let logs = Logs::current();
    if logs.is_empty() {
        return (statement, None);
    }
    // To read the text is to take the statement apart.
    let Ok(Some(arguments)) = statement.take_arguments() else {
        return (statement, None);
    };
    let sql = statement.sql();
    let note = Note::of(logs, sql.clone());
    (sqlx::query_with(sql, arguments), Some(note))
}

/// Notes that statements begin now which end together.
#[cfg(feature = "sqlite")]
pub(super) fn noting_all<'a>(statements: impl Iterator<Item = &'a SqlStr>) -> Vec<Note> {
    let logs = Logs::current();
    if logs.is_empty() {
        return Vec::new();
    }
    let notes = statements.map(|sql| Note::of(logs.clone(), sql.clone()));
    notes.collect()
}

impl Note {
    fn of(logs: Logs, sql: SqlStr) -> Self {
        Self {
            logs,
            sql,
            begun: Instant::now(),
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let time = self.begun.elapsed();
        for log in &self.logs.0 {
            log.note(Query {
                sql: self.sql.as_str().to_owned(),
                time,
            });
        }
    }
}
