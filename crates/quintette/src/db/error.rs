use std::error::Error;
use std::fmt;
#[cfg(feature = "sqlite")]
use std::sync::Arc;

use quintette_core::session::{SessionError, SessionErrorKind};
#[cfg(feature = "auth")]
use sqlx::error::ErrorKind;

type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What went wrong in a database, for whoever stands on it.
#[derive(thiserror::Error)]
#[error("{message}")]
pub(crate) struct DatabaseError {
    kind: DatabaseErrorKind,
    message: String,
    #[source]
    source: Option<BoxError>,
}

/// The kinds of [`DatabaseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseErrorKind {
    /// The database is down, locked, full or read-only: try again later.
    Unavailable,
    /// A write's answer was lost: it may have been done, or not.
    Unknown,
    /// There is no such table: nobody has migrated.
    #[cfg(feature = "auth")]
    MissingTable,
    /// There is a row already with a value that only one may have.
    #[cfg(feature = "auth")]
    Duplicate,
    /// The database does not take such a row: a text that is too long, a row that others refer to.
    #[cfg(feature = "auth")]
    Refused,
}

impl DatabaseError {
    pub(super) fn new(kind: DatabaseErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn unavailable(what: &str, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let message = format!("{what} is unavailable: {source}");
        Self::new(DatabaseErrorKind::Unavailable, message).with_source(source)
    }

    pub(super) fn unknown(what: &str, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let message = format!(
            "{what} was sent a write and did not say whether it is done: {source}. It may be stored or not"
        );
        Self::new(DatabaseErrorKind::Unknown, message).with_source(source)
    }

    #[cfg(feature = "auth")]
    pub(super) fn not_taken(
        kind: DatabaseErrorKind,
        what: &str,
        source: impl Into<BoxError>,
    ) -> Self {
        let source = source.into();
        let message = format!("{what} does not take this row: {source}");
        Self::new(kind, message).with_source(source)
    }

    pub(super) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a program may do about it.
    #[cfg(feature = "auth")]
    pub(crate) fn kind(&self) -> DatabaseErrorKind {
        self.kind
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl From<DatabaseError> for SessionError {
    fn from(error: DatabaseError) -> Self {
        let kind = match error.kind {
            DatabaseErrorKind::Unavailable => SessionErrorKind::Unavailable,
            DatabaseErrorKind::Unknown => SessionErrorKind::Unknown,
            #[cfg(feature = "auth")]
            DatabaseErrorKind::MissingTable => SessionErrorKind::Unavailable,
            #[cfg(feature = "auth")]
            DatabaseErrorKind::Duplicate | DatabaseErrorKind::Refused => SessionErrorKind::Value,
        };
        let told = SessionError::new(kind, error.message);
        match error.source {
            Some(source) => told.with_source(source),
            None => told,
        }
    }
}

/// A failed statement on SQLite's session table, told so that a person knows what to do: `place` is the file.
#[cfg(feature = "sqlite")]
pub(super) fn translate(place: &str, error: impl Into<Arc<sqlx::Error>>) -> SessionError {
    let what = format!("the session database {place}");
    told(&what, error.into(), |_| missing_table(place)).into()
}

/// The same of a statement that changes something: what was handed to the writer, and had no answer, may be done yet.
#[cfg(feature = "sqlite")]
pub(super) fn translate_write(place: &str, error: impl Into<Arc<sqlx::Error>>) -> SessionError {
    let what = format!("the session database {place}");
    told_write(&what, error.into(), |_| missing_table(place)).into()
}

/// A failed statement: `what` is the database, `missing` tells of a table that is not there.
#[cfg(feature = "sqlite")]
pub(super) fn told(
    what: &str,
    error: Arc<sqlx::Error>,
    missing: impl FnOnce(&sqlx::Error) -> DatabaseError,
) -> DatabaseError {
    let database = error.as_database_error();
    if database.is_some_and(|error| error.message().contains("no such table")) {
        return missing(&error).with_source(error);
    }
    DatabaseError::unavailable(what, error)
}

/// The same of a statement that changes something.
#[cfg(feature = "sqlite")]
pub(super) fn told_write(
    what: &str,
    error: Arc<sqlx::Error>,
    missing: impl FnOnce(&sqlx::Error) -> DatabaseError,
) -> DatabaseError {
    match &*error {
        // What SQLite itself cannot read or write is an error of the database.
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => DatabaseError::unknown(what, error),
        _ => told(what, error, missing),
    }
}

/// A failed statement on SQLite's tables of users.
#[cfg(all(feature = "auth", feature = "sqlite"))]
pub(super) fn of_users(place: &str, error: impl Into<Arc<sqlx::Error>>) -> DatabaseError {
    let (what, error) = (format!("the database {place}"), error.into());
    match not_taken(&error) {
        Some(kind) => DatabaseError::not_taken(kind, &what, error),
        None => told(&what, error, |error| missing_user_table(place, error)),
    }
}

/// The same of a statement that changes something.
#[cfg(all(feature = "auth", feature = "sqlite"))]
pub(super) fn of_users_write(place: &str, error: impl Into<Arc<sqlx::Error>>) -> DatabaseError {
    let (what, error) = (format!("the database {place}"), error.into());
    match not_taken(&error) {
        Some(kind) => DatabaseError::not_taken(kind, &what, error),
        None => told_write(&what, error, |error| missing_user_table(place, error)),
    }
}

/// Whether it is the row that the database does not take, and not the database that does not work.
#[cfg(feature = "auth")]
pub(super) fn not_taken(error: &sqlx::Error) -> Option<DatabaseErrorKind> {
    let error = error.as_database_error()?;
    match error.kind() {
        ErrorKind::UniqueViolation => Some(DatabaseErrorKind::Duplicate),
        ErrorKind::ForeignKeyViolation
        | ErrorKind::NotNullViolation
        | ErrorKind::CheckViolation
        | ErrorKind::ExclusionViolation => Some(DatabaseErrorKind::Refused),
        // The class of values that no column takes, in the servers' SQLSTATE.
        _ => {
            let code = error.code()?;
            (code.len() == 5 && code.starts_with("22")).then_some(DatabaseErrorKind::Refused)
        }
    }
}

pub(super) fn missing_table(place: &str) -> DatabaseError {
    DatabaseError::new(
        DatabaseErrorKind::Unavailable,
        format!(
            "the database {place} has no table django_session: run `quintette migrate` (or Django's \
             `manage.py migrate`) with the same DATABASE_URL"
        ),
    )
}

/// A table of users is not there; the error names it.
#[cfg(feature = "auth")]
pub(super) fn missing_user_table(place: &str, error: &sqlx::Error) -> DatabaseError {
    DatabaseError::new(
        DatabaseErrorKind::MissingTable,
        format!(
            "the database {place} has not all the tables of users ({error}): run `quintette migrate` with the same \
             DATABASE_URL and AUTH_USER_MODEL"
        ),
    )
}
