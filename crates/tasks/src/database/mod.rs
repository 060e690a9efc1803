//! Databases: of the broker `sqla+sqlite:///` and of results. The only room that names sqlx.

mod run;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quintette_core::settings::DatabaseUrl;
#[cfg(feature = "sqlite")]
use quintette_core::settings::SqliteLocation;

#[cfg(any(feature = "postgres", feature = "mysql"))]
use self::run::run;
#[cfg(feature = "sqlite")]
use self::sqlite::SqliteFile;
pub(crate) use self::statement::{Column, Statement, Value, Written, places};
pub(crate) use self::url::parse as parse_url;

/// How long a caller waits for a connection, or for a lock on a file.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many connections to a server there are at most.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const CONNECTIONS: u32 = 8;

/// What the kinds of databases write differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "a program that is built with one database names no other"
)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    Mysql,
}

/// A database. A cheap handle: clones share connections, which are made when they are needed.
#[derive(Clone)]
pub(crate) struct Database {
    connections: Connections,
    place: Arc<str>,
}

#[derive(Clone)]
enum Connections {
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<SqliteFile>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "mysql")]
    Mysql(sqlx::MySqlPool),
}

/// Why a database did not do something.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place}: {what}")]
pub(crate) struct DatabaseError {
    place: Arc<str>,
    what: String,
    #[source]
    source: Option<Arc<sqlx::Error>>,
    kind: DatabaseErrorKind,
}

/// Whether trying again is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseErrorKind {
    /// The database is away, or busy.
    Unavailable,
    /// It has no room for a value: too long a text, a NUL in it.
    Refused,
    /// The URL is wrong, or a table is missing.
    Configuration,
}

impl DatabaseError {
    pub(crate) fn kind(&self) -> DatabaseErrorKind {
        self.kind
    }

    /// Whether a statement that had to change a row changed none.
    pub(crate) fn is_unchanged(&self) -> bool {
        matches!(self.source.as_deref(), Some(sqlx::Error::RowNotFound))
    }

    pub(crate) fn configuration(place: &str, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
            source: None,
            kind: DatabaseErrorKind::Configuration,
        }
    }
}

impl Database {
    /// What a URL names. Nothing is connected before it is used.
    pub(crate) fn new(url: &DatabaseUrl) -> Result<Self, DatabaseError> {
        let place: Arc<str> = url.to_string().into();
        let connections = match url {
            #[cfg(feature = "sqlite")]
            DatabaseUrl::Sqlite(SqliteLocation::File(path)) => {
                Connections::Sqlite(Arc::new(SqliteFile::new(path)))
            }
            #[cfg(feature = "sqlite")]
            DatabaseUrl::Sqlite(SqliteLocation::Memory) => {
                return Err(DatabaseError::configuration(
                    &place,
                    "a database in memory is nobody else's; name a file, or write memory://",
                ));
            }
            #[cfg(feature = "postgres")]
            DatabaseUrl::Postgres(url) => {
                let options = url.reveal().parse();
                let options = options.map_err(|error| invalid(&place, &error))?;
                let pool = sqlx::postgres::PgPoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(PATIENCE);
                Connections::Postgres(pool.connect_lazy_with(options))
            }
            #[cfg(feature = "mysql")]
            DatabaseUrl::Mysql(url) => {
                let options = url.reveal().parse::<sqlx::mysql::MySqlConnectOptions>();
                let options = options.map_err(|error| invalid(&place, &error))?;
                let pool = sqlx::mysql::MySqlPoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(PATIENCE);
                Connections::Mysql(pool.connect_lazy_with(options))
            }
            #[allow(unreachable_patterns, reason = "with all features there is no other")]
            _ => {
                return Err(DatabaseError::configuration(
                    &place,
                    "this program was built without that database: enable the feature \"sqlite\", \"postgres\" or \"mysql\" of quintette-tasks",
                ));
            }
        };
        Ok(Self { connections, place })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.connections {
            #[cfg(feature = "sqlite")]
            Connections::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Connections::Postgres(_) => Dialect::Postgres,
            #[cfg(feature = "mysql")]
            Connections::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Where it is; without its password.
    #[cfg(feature = "sqlite")]
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The rows that a statement finds.
    pub(crate) async fn read(
        &self,
        statement: Statement,
    ) -> Result<Vec<Vec<Value>>, DatabaseError> {
        let statements = [statement];
        let read = match &self.connections {
            #[cfg(feature = "sqlite")]
            Connections::Sqlite(file) => file.read(&statements).await,
            #[cfg(feature = "postgres")]
            Connections::Postgres(pool) => match pool.acquire().await {
                Ok(mut connection) => {
                    run::<sqlx::Postgres>(&mut connection, Dialect::Postgres, &statements).await
                }
                Err(error) => Err(error),
            },
            #[cfg(feature = "mysql")]
            Connections::Mysql(pool) => match pool.acquire().await {
                Ok(mut connection) => {
                    run::<sqlx::MySql>(&mut connection, Dialect::Mysql, &statements).await
                }
                Err(error) => Err(error),
            },
        };
        let mut written = read.map_err(|error| self.failure(Arc::new(error)))?;
        Ok(written.pop().unwrap_or_default().rows)
    }

    /// Carries out statements, together or not at all; answers with what each did.
    ///
    /// # Cancellation
    ///
    /// What the caller no longer waits for is done, or never begun.
    pub(crate) async fn write(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Vec<Written>, DatabaseError> {
        let written = match &self.connections {
            #[cfg(feature = "sqlite")]
            Connections::Sqlite(file) => file.write(statements).await,
            #[cfg(feature = "postgres")]
            Connections::Postgres(pool) => {
                let written = async {
                    let mut transaction = pool.begin().await?;
                    let dialect = Dialect::Postgres;
                    let written =
                        run::<sqlx::Postgres>(&mut transaction, dialect, &statements).await?;
                    transaction.commit().await.map(|()| written)
                };
                written.await.map_err(Arc::new)
            }
            #[cfg(feature = "mysql")]
            Connections::Mysql(pool) => {
                let written = async {
                    let mut transaction = pool.begin().await?;
                    let dialect = Dialect::Mysql;
                    let written =
                        run::<sqlx::MySql>(&mut transaction, dialect, &statements).await?;
                    transaction.commit().await.map(|()| written)
                };
                written.await.map_err(Arc::new)
            }
        };
        written.map_err(|error| self.failure(error))
    }

    /// Carries out one statement; answers with how many rows it changed.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, DatabaseError> {
        let written = self.write(vec![statement]).await?;
        Ok(written.iter().map(|written| written.changed).sum())
    }

    fn failure(&self, error: Arc<sqlx::Error>) -> DatabaseError {
        let kind = kind(&error);
        let what = match kind {
            DatabaseErrorKind::Configuration if error.as_database_error().is_some() => {
                format!("{error}; are its migrations done?")
            }
            _ => match &*error {
                // Without sqlx's words before it.
                sqlx::Error::Io(error) => error.to_string(),
                error => error.to_string(),
            },
        };
        DatabaseError {
            place: self.place.clone(),
            what,
            source: Some(error),
            kind,
        }
    }
}

fn kind(error: &sqlx::Error) -> DatabaseErrorKind {
    // SQL's states of what is not there, of PostgreSQL and of MySQL; SQLite has a text.
    const MISSING: [&str; 4] = ["42P01", "42703", "42S02", "42S22"];
    /// Values that do not fit (data exceptions), and rows that may not be so (constraints).
    const UNFIT: [&str; 2] = ["22", "23"];
    /// MySQL's "Incorrect string value", of a character that a column in `utf8` has no room for.
    const GENERAL: &str = "HY000";
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::Encode(_) => return DatabaseErrorKind::Refused,
        // As the file's writer says it.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            return DatabaseErrorKind::Configuration;
        }
        _ => return DatabaseErrorKind::Unavailable,
    };
    let (code, message) = (error.code().unwrap_or_default(), error.message());
    let is_text = |beginning: &str| message.starts_with(beginning);
    if MISSING.contains(&&*code) || is_text("no such table") || is_text("no such column") {
        return DatabaseErrorKind::Configuration;
    }
    // SQLite's codes are numbers of other lengths.
    let is_unfit = code.len() == 5 && UNFIT.iter().any(|class| code.starts_with(class));
    if is_unfit || (code == GENERAL && is_text("Incorrect string value")) {
        return DatabaseErrorKind::Refused;
    }
    DatabaseErrorKind::Unavailable
}

/// A URL's error is told without the URL, which may hold a password.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn invalid(place: &str, _error: &sqlx::Error) -> DatabaseError {
    DatabaseError::configuration(
        place,
        "the URL cannot be read; write such as postgresql://user:password@host:5432/name, without options of Python's drivers",
    )
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.place).finish()
    }
}
