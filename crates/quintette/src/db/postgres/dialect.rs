use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgRow, PgSeverity};
use sqlx::{Executor, Postgres};

use crate::db::connections::{Answer, Server, Statement};

// The codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
const ADMIN_SHUTDOWN: &str = "57P01";
const CANNOT_CONNECT_NOW: &str = "57P03";
const DATABASE_DROPPED: &str = "57P04";
const IDLE_SESSION_TIMEOUT: &str = "57P05";
const READ_ONLY: &str = "25006";
const TOO_MANY_CONNECTIONS: &str = "53300";
const UNDEFINED_TABLE: &str = "42P01";

impl Server for Postgres {
    fn fetch_all(
        connection: &mut PgConnection,
        statement: Statement<Self>,
    ) -> Answer<'_, Vec<PgRow>> {
        connection.fetch_all(statement)
    }

    fn execute(connection: &mut PgConnection, statement: Statement<Self>) -> Answer<'_, u64> {
        Box::pin(async move { Ok(connection.execute(statement).await?.rows_affected()) })
    }

    /// An ERROR undoes the statement. A FATAL one that the server means to send comes only where it looks for interrupts,
    /// which it does not between a commit and the answer. Any other, a broken server's or a pooler's, may come
    /// after the commit.
    fn is_undone(error: &dyn DatabaseError) -> bool {
        let fatal = !matches!(severity(error), Some(PgSeverity::Error));
        !fatal
            || matches!(
                code(error),
                ADMIN_SHUTDOWN
                    | CANNOT_CONNECT_NOW
                    | DATABASE_DROPPED
                    | IDLE_SESSION_TIMEOUT
                    | TOO_MANY_CONNECTIONS
            )
    }

    fn ends_connection(error: &dyn DatabaseError) -> bool {
        !matches!(severity(error), Some(PgSeverity::Error))
            // After a fail-over the name leads to another server, and this connection to what is a standby now.
            || code(error) == READ_ONLY
            // Statements prepared before the table was altered, or that a pooler has lost.
            || matches!(code(error), "0A000" | "26000")
    }

    fn refuses_for_now(error: &dyn DatabaseError) -> bool {
        matches!(
            code(error),
            ADMIN_SHUTDOWN | CANNOT_CONNECT_NOW | TOO_MANY_CONNECTIONS
        )
    }

    fn is_missing_table(error: &dyn DatabaseError) -> bool {
        code(error) == UNDEFINED_TABLE
    }

    fn advice(error: &dyn DatabaseError) -> Option<&'static str> {
        Some(match code(error) {
            READ_ONLY => {
                "it is read-only: is this a standby, or default_transaction_read_only set?"
            }
            TOO_MANY_CONNECTIONS => {
                "the server has no connection to spare: raise its max_connections, or give fewer to each process \
                 (max_connections in DATABASE_URL)"
            }
            ADMIN_SHUTDOWN => "the server is shutting down, or ended this connection",
            CANNOT_CONNECT_NOW => "the server is starting up or shutting down",
            DATABASE_DROPPED | "3D000" => {
                "there is no such database on this server: create it (`createdb`), or correct its name"
            }
            "28P01" | "28000" => {
                "the server does not let this user in: check user and password, and the server's pg_hba.conf"
            }
            "42501" => {
                "this user may not use the table: GRANT SELECT, INSERT, UPDATE, DELETE on it"
            }
            "53100" => "the server's disk is full",
            "55P03" => "another statement has held the row for too long",
            _ => return None,
        })
    }
}

fn severity(error: &dyn DatabaseError) -> Option<PgSeverity> {
    Some(error.try_downcast_ref::<PgDatabaseError>()?.severity())
}

fn code(error: &dyn DatabaseError) -> &str {
    error
        .try_downcast_ref::<PgDatabaseError>()
        .map_or("", PgDatabaseError::code)
}
