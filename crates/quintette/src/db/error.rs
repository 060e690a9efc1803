#[cfg(feature = "sqlite")]
use std::sync::Arc;

use quintette_core::session::{SessionError, SessionErrorKind};

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
