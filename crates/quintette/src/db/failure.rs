use std::sync::Arc;

use quintette_core::session::SessionError;

use super::connections::Server;
use super::error::{DatabaseError, DatabaseErrorKind, missing_table};
#[cfg(feature = "auth")]
use super::error::{missing_user_table, not_taken};

/// Why a statement has no answer that its caller can use.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) fate: Fate,
    pub(super) error: Arc<sqlx::Error>,
}

/// What became of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was never sent.
    NotSent,
    /// The server refused it, and it changed nothing.
    Refused,
    /// It was sent, and its answer was lost: nobody here knows.
    Lost,
}

impl Failure {
    pub(super) fn not_sent(error: impl Into<Arc<sqlx::Error>>) -> Self {
        Self::new(Fate::NotSent, error)
    }

    pub(super) fn refused(error: impl Into<Arc<sqlx::Error>>) -> Self {
        Self::new(Fate::Refused, error)
    }

    pub(super) fn lost(error: impl Into<Arc<sqlx::Error>>) -> Self {
        Self::new(Fate::Lost, error)
    }

    /// No answer in time; what is known about it.
    pub(super) fn timed_out(what: &str) -> Self {
        Self::lost(timed_out(what))
    }

    fn new(fate: Fate, error: impl Into<Arc<sqlx::Error>>) -> Self {
        Self {
            fate,
            error: error.into(),
        }
    }
}

pub(super) fn timed_out(what: &str) -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, what).into()
}

/// A failed statement on the session table that changes nothing, told so that a person knows what to do: `place` is the
/// server and the database.
pub(super) fn not_read<S: Server>(place: &str, failure: Failure) -> SessionError {
    let what = format!("the session database {place}");
    told::<S>(&what, failure, |_| missing_table(place)).into()
}

/// The same of a statement that changes something.
pub(super) fn not_written<S: Server>(place: &str, failure: Failure) -> SessionError {
    let what = format!("the session database {place}");
    told_write::<S>(&what, failure, |_| missing_table(place)).into()
}

/// A failed statement: `what` is the database, `missing` tells of a table that is not there.
pub(super) fn told<S: Server>(
    what: &str,
    failure: Failure,
    missing: impl FnOnce(&sqlx::Error) -> DatabaseError,
) -> DatabaseError {
    let error = failure.error;
    let advice = match error.as_database_error() {
        Some(database) if S::is_missing_table(database) => {
            return missing(&error).with_source(error);
        }
        Some(database) => S::advice(database),
        None => None,
    };
    match advice {
        Some(advice) => DatabaseError::new(
            DatabaseErrorKind::Unavailable,
            format!("{what} is unavailable: {advice} ({error})"),
        )
        .with_source(error),
        None => DatabaseError::unavailable(what, error),
    }
}

/// The same of a statement that changes something.
pub(super) fn told_write<S: Server>(
    what: &str,
    failure: Failure,
    missing: impl FnOnce(&sqlx::Error) -> DatabaseError,
) -> DatabaseError {
    if failure.fate == Fate::Lost {
        return DatabaseError::unknown(what, failure.error);
    }
    told::<S>(what, failure, missing)
}

/// A failed statement on the tables of users that changes nothing.
#[cfg(feature = "auth")]
pub(super) fn users_not_read<S: Server>(place: &str, failure: Failure) -> DatabaseError {
    told::<S>(&format!("the database {place}"), failure, |error| {
        missing_user_table(place, error)
    })
}

/// The same of a statement that changes something.
#[cfg(feature = "auth")]
pub(super) fn users_not_written<S: Server>(place: &str, failure: Failure) -> DatabaseError {
    let what = format!("the database {place}");
    match not_taken(&failure.error) {
        Some(kind) if failure.fate == Fate::Refused => {
            DatabaseError::not_taken(kind, &what, failure.error)
        }
        _ => told_write::<S>(&what, failure, |error| missing_user_table(place, error)),
    }
}
