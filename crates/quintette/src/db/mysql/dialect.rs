use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::{AssertSqlSafe, MySql};

use crate::db::connections::{Answer, Server, Statement};

/// After how many seconds without a statement the server closes a connection: later than we do.
const WAIT_TIMEOUT: u32 = 3_600;

/// Source of all numbers here: <https://mariadb.com/kb/en/mariadb-error-codes/>, and the same in `MySQL`'s manual.
impl Server for MySql {
    fn fetch_all(
        connection: &mut MySqlConnection,
        statement: Statement<Self>,
    ) -> Answer<'_, Vec<MySqlRow>> {
        Box::pin(statement.fetch_all(connection))
    }

    /// How many rows the statement found: sqlx asks for that (`CLIENT_FOUND_ROWS`), and not for how many it changed, so
    /// that writing what is there already counts as written.
    fn execute(connection: &mut MySqlConnection, statement: Statement<Self>) -> Answer<'_, u64> {
        Box::pin(async move { Ok(statement.execute(connection).await?.rows_affected()) })
    }

    /// - Each statement is committed, whatever the server's default is.
    /// - READ COMMITTED, as on Django's connections: it locks no gaps between rows, where others' new rows belong.
    /// - A wait for a lock ends before its caller's patience, so that the caller learns that nothing was done.
    /// - What a column cannot hold is an error, whatever the server's `sql_mode` is.
    /// - A connection is closed by us, and not by the server while a statement is on its way.
    fn set_up(connection: &mut MySqlConnection, timeout: Duration) -> Answer<'_, ()> {
        let seconds = timeout.as_secs().saturating_sub(1).clamp(1, 60);
        let text = format!(
            "SET SESSION autocommit = 1, innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}, \
             wait_timeout = {WAIT_TIMEOUT}, sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'); \
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
        );
        Box::pin(async move {
            let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
            done.map(drop)
        })
    }

    /// A statement that fails is undone as a whole, but for a commit that fails halfway.
    fn is_undone(error: &dyn DatabaseError) -> bool {
        number(error) != 1180
    }

    /// The server shuts down, or closes this connection: it was killed, idle for too long, or sent too much at once. Or the
    /// server no longer takes writes, and another one may by now be behind its name.
    fn ends_connection(error: &dyn DatabaseError) -> bool {
        matches!(
            number(error),
            1053 | 1152..=1161 | 1290 | 1792 | 1836 | 1927 | 4031
        )
    }

    /// It has no connection left, starts, shuts down, or waits for its cluster.
    fn refuses_for_now(error: &dyn DatabaseError) -> bool {
        matches!(number(error), 1040 | 1047 | 1053 | 1203 | 1226)
    }

    fn is_missing_table(error: &dyn DatabaseError) -> bool {
        number(error) == 1146
    }

    fn advice(error: &dyn DatabaseError) -> Option<&'static str> {
        Some(match number(error) {
            1040 | 1203 | 1226 => {
                "it has no connection left: raise its max_connections, or let its programs use fewer"
            }
            1044 | 1045 | 1142 | 1143 | 1227 | 1698 | 3118 => {
                "it denies access: check user and password in DATABASE_URL, and what the user is granted"
            }
            1820 | 1862 => "the user's password has expired",
            1049 => "there is no such database: CREATE DATABASE, or mend its name in DATABASE_URL",
            1021 | 1114 | 3675 => "its disk, or the room for the table, is full",
            1047 => "this node of the cluster is not ready",
            1053 | 1927 | 4031 => "it shuts down, or has closed the connection",
            1153 => "it was sent more at once than its max_allowed_packet: raise that",
            1205 => "another statement has held the row for too long",
            1213 | 1020 => "it undid the statement again and again for the sake of others",
            1290 | 1792 | 1836 => {
                "it is read-only, as a replica is: DATABASE_URL must name the server that takes writes"
            }
            _ => return None,
        })
    }
}

/// A row with this key is there already.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    is(error, &[1062])
}

/// What a migration makes is there already: a table, or an index of that name.
pub(super) fn is_made_already(error: &sqlx::Error) -> bool {
    is(error, &[1050, 1061])
}

/// The server undid the statement for the sake of another one: a deadlock, a row that was changed since the statement
/// looked at it, a certification that failed in a Galera cluster. It may be sent again at once.
pub(super) fn gave_way(error: &sqlx::Error) -> bool {
    is(error, &[1213, 1020])
}

/// Another statement held a row for longer than this one may wait.
pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    is(error, &[1205])
}

/// A text has a letter that the column it is compared with cannot have.
#[cfg(feature = "auth")]
pub(super) fn is_incomparable(error: &sqlx::Error) -> bool {
    is(error, &[1267, 3854, 3988])
}

fn is(error: &sqlx::Error, numbers: &[u16]) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| numbers.contains(&number(error)))
}

/// The server's own number of an error.
fn number(error: &dyn DatabaseError) -> u16 {
    error
        .try_downcast_ref::<MySqlDatabaseError>()
        .map_or(0, MySqlDatabaseError::number)
}
