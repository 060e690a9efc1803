use std::sync::Arc;

use quintette_core::session::{SessionError, SessionErrorKind};

use super::connections::Server;
use super::error::missing_table;

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

/// A failed statement that changes nothing, told so that a person knows what to do: `place` is the server and the database.
pub(super) fn not_read<S: Server>(place: &str, failure: Failure) -> SessionError {
    let error = failure.error;
    let what = format!("the session database {place}");
    let advice = match error.as_database_error() {
        Some(database) if S::is_missing_table(database) => {
            return missing_table(place).with_source(error);
        }
        Some(database) => S::advice(database),
        None => None,
    };
    match advice {
        Some(advice) => SessionError::new(
            SessionErrorKind::Unavailable,
            format!("{what} is unavailable: {advice} ({error})"),
        )
        .with_source(error),
        None => SessionError::unavailable(&what, error),
    }
}

/// The same of a statement that changes something.
pub(super) fn not_written<S: Server>(place: &str, failure: Failure) -> SessionError {
    if failure.fate == Fate::Lost {
        return SessionError::unknown(&format!("the session database {place}"), failure.error);
    }
    not_read::<S>(place, failure)
}
