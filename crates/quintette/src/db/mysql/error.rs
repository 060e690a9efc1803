use std::error::Error as _;

use quintette_core::session::{SessionError, SessionErrorKind};
use sqlx::mysql::MySqlDatabaseError;

use crate::db::error::missing_table;

/// The server's own number of an error.
///
/// Source of all numbers here: <https://mariadb.com/kb/en/mariadb-error-codes/>, and the same in `MySQL`'s manual.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?;
    Some(error.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// A row with this key is there already.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    number(error) == Some(1062)
}

/// What a migration makes is there already: a table, or an index of that name.
pub(super) fn is_made_already(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1050 | 1061))
}

/// The server undid the statement for the sake of another one, and it may be sent again at once: a deadlock, a row that
/// was changed since it was looked at, or a certification that failed in a Galera cluster.
pub(super) fn is_undone(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1213 | 1020))
}

/// Another statement held a row for longer than this one may wait.
pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    number(error) == Some(1205)
}

/// Whether a statement that failed in this way may have been carried out nevertheless.
///
/// A statement that the server answers with an error is undone as a whole, but for a commit that fails halfway.
pub(super) fn may_be_done(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => number(error) == Some(1180),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// What to do about an error, where the server's own words leave it open.
pub(super) fn advice(error: &sqlx::Error) -> Option<&'static str> {
    Some(match number(error)? {
        1040 | 1203 | 1226 => {
            "it has no connection left: raise its max_connections, or let its programs use fewer"
        }
        1044 | 1045 | 1142 | 1143 | 1227 | 1698 | 3118 => {
            "it denies access: check user and password in DATABASE_URL, and what the user is granted"
        }
        1820 | 1862 => "the user's password has expired",
        1046 => "DATABASE_URL names no database: write mysql://user:password@host/database",
        1049 => "there is no such database: CREATE DATABASE, or mend its name in DATABASE_URL",
        1021 | 1114 | 3675 => "its disk, or the room for the table, is full",
        1047 => "this node of the cluster is not ready to answer",
        1053 | 1927 => "it is shutting down, or it closed the connection",
        1205 => "another statement held the row for too long",
        1213 | 1020 => "it undid the statement again and again for the sake of others",
        1290 | 1792 | 1836 => {
            "it is read-only: a replica, or a server that was set so. Point DATABASE_URL to the one that takes writes"
        }
        1366 | 1406 => {
            "it cannot hold the text: convert the table with \
             ALTER TABLE django_session CONVERT TO CHARACTER SET utf8mb4"
        }
        _ => return None,
    })
}

/// A failed statement, told so that a person knows what to do.
pub(super) fn translate(place: &str, error: sqlx::Error) -> SessionError {
    match number(&error) {
        Some(1146) => missing_table(place).with_source(error),
        Some(1153) => too_large(place).with_source(error),
        _ => SessionError::new(SessionErrorKind::Unavailable, told(place, &error)).with_source(error),
    }
}

/// The server, what to do about it, and its own words.
pub(super) fn told(place: &str, error: &sqlx::Error) -> String {
    // The words of an error that a row caused may hold its key.
    let words = match (number(error), error.source()) {
        (Some(number @ (1062 | 1366 | 1406)), _) => format!("error {number}"),
        _ => error.to_string(),
    };
    match advice(error) {
        Some(advice) => format!("the session database {place} is unavailable: {advice} ({words})"),
        None => format!("the session database {place} is unavailable: {words}"),
    }
}

pub(super) fn too_large(place: &str) -> SessionError {
    SessionError::new(
        SessionErrorKind::TooLarge,
        format!(
            "the session is larger than {place} takes in one statement: store less in it, or raise the server's \
             max_allowed_packet"
        ),
    )
}
