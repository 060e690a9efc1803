use std::error::Error;
use std::fmt;
#[cfg(feature = "sqlite")]
use std::sync::Arc;

use quintette_core::session::{SessionError, SessionErrorKind};

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
    /// The program is put together wrongly.
    Misconfigured,
    /// There is a row already with a value that only one may have.
    Duplicate,
    /// The database does not take such a row: a text that is too long, a row that others refer to.
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

    pub(super) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a program may do about it.
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
            DatabaseErrorKind::Misconfigured => SessionErrorKind::Misconfigured,
            DatabaseErrorKind::Duplicate | DatabaseErrorKind::Refused => SessionErrorKind::Value,
        };
        let told = SessionError::new(kind, error.message);
        match error.source {
            Some(source) => told.with_source(source),
            None => told,
        }
    }
}

/// A failed statement, told so that a person knows what to do: `place` is the file.
#[cfg(feature = "sqlite")]
pub(super) fn translate(place: &str, error: impl Into<Arc<sqlx::Error>>) -> SessionError {
    let error = error.into();
    let database = error
        .as_database_error()
        .map(|error| error.message().to_owned())
        .unwrap_or_default();
    if database.contains("no such table") {
        return missing_table(place).with_source(error);
    }
    SessionError::unavailable(&format!("the session database {place}"), error)
}

/// The same of a statement that changes something: what was handed to the writer, and had no answer, may be done yet.
#[cfg(feature = "sqlite")]
pub(super) fn translate_write(place: &str, error: impl Into<Arc<sqlx::Error>>) -> SessionError {
    let error = error.into();
    match &*error {
        // What SQLite itself cannot read or write is an error of the database.
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => {
            SessionError::unknown(&format!("the session database {place}"), error)
        }
        _ => translate(place, error),
    }
}

pub(super) fn missing_table(place: &str) -> SessionError {
    SessionError::new(
        SessionErrorKind::Unavailable,
        format!(
            "the database {place} has no table django_session: run `quintette migrate` (or Django's \
             `manage.py migrate`) with the same DATABASE_URL"
        ),
    )
}
