use std::num::NonZero;

use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::settings::SecretUrl;
use sqlx::postgres::PgConnectOptions;

use crate::db::option_named;

/// What libpq's URLs may hold (<https://www.postgresql.org/docs/current/libpq-connect.html>) and sqlx heeds.
const HEEDED: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// What a Django site's URL may hold that is Django's own affair, or settled by `SESSION_STORE_TIMEOUT`.
const DJANGOS: &[&str] = &[
    "conn_max_age",
    "conn_health_checks",
    "connect_timeout",
    "disable_server_side_cursors",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
];

/// Statements wait for the server's disk more than for its cores.
const DEFAULT_MAX_CONNECTIONS: usize = 10;

const MAX_CONNECTIONS: &str = "max_connections";

/// Where a database is, and how many connections it is given.
pub(super) struct Location {
    pub(super) options: PgConnectOptions,
    pub(super) max_connections: usize,
}

impl Location {
    /// # Errors
    ///
    /// Where an option is unknown or misspelt: its value, which may be a secret, is not repeated.
    pub(super) fn parse(url: &SecretUrl) -> Result<Self, SessionError> {
        let (server, query) = url.reveal().split_once('?').unwrap_or((url.reveal(), ""));
        let mut max_connections = DEFAULT_MAX_CONNECTIONS;
        let mut heeded = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let lower = name.to_ascii_lowercase();
            if lower == MAX_CONNECTIONS {
                max_connections = value
                    .parse::<NonZero<u16>>()
                    .map_err(|_| wrong("max_connections in it must be a number from 1 to 65535"))?
                    .get()
                    .into();
            } else if HEEDED.contains(&lower.as_str()) || lower.starts_with("options[") {
                heeded.push(option);
            } else if !DJANGOS.contains(&lower.as_str()) {
                return Err(wrong(&format!(
                    "{} in it is unknown; known are {MAX_CONNECTIONS}, {}",
                    option_named(name),
                    HEEDED.join(", ")
                )));
            }
        }
        let options =
            format!("{server}?{}", heeded.join("&"))
                .parse()
                .map_err(|_: sqlx::Error| {
                wrong(
                    "it cannot be understood: write postgres://user:password@host:5432/name, with %-escapes in user and \
                     password, and as sslmode disable, prefer, require, verify-ca or verify-full",
                )
            })?;
        Ok(Self {
            options,
            max_connections,
        })
    }
}

fn wrong(what: &str) -> SessionError {
    SessionError::new(
        SessionErrorKind::Misconfigured,
        format!("DATABASE_URL: {what}"),
    )
}
