use std::num::NonZero;

use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::settings::SecretUrl;
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;

use crate::db::option_named;

/// What sqlx heeds, under each of its names there.
const HEEDED: &[&str] = &[
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "sslmode",
    "sslca",
    "sslcert",
    "sslkey",
    "socket",
    "statement-cache-capacity",
];

/// What a Django site's URL may hold that is Django's own affair, settled here, or settled by `SESSION_STORE_TIMEOUT`.
const DJANGOS: &[&str] = &[
    "charset",
    "collation",
    "conn_max_age",
    "conn_health_checks",
    "connect_timeout",
    "read_timeout",
    "write_timeout",
    "init_command",
    "isolation_level",
    "sql_mode",
];

const MAX_CONNECTIONS: &str = "max_connections";

/// More than the server has cores: writes wait for the disk, and those that wait at once share one sync of it. On two
/// cores with 32 requests at once, 10 write 1.4 times as much as 4.
const DEFAULT_MAX_CONNECTIONS: usize = 10;

/// Where a database is, and how many connections it is given.
pub(super) struct Location {
    pub(super) options: MySqlConnectOptions,
    pub(super) max_connections: usize,
}

impl Location {
    /// # Errors
    ///
    /// Where the URL names no database, or an option is unknown or misspelt: its value, which may be a secret, is not
    /// repeated.
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
            } else if lower == "unix_socket" {
                heeded.push(format!("socket={value}"));
            } else if HEEDED.contains(&lower.as_str()) {
                heeded.push(format!("{lower}={value}"));
            } else if !DJANGOS.contains(&lower.as_str()) {
                return Err(wrong(&format!(
                    "{} in it is unknown; known are {MAX_CONNECTIONS}, unix_socket, {}",
                    option_named(name),
                    HEEDED.join(", ")
                )));
            }
        }
        let mut options: MySqlConnectOptions = server.parse().map_err(|error| match error {
            sqlx::Error::Configuration(error) => wrong(&error.to_string()),
            other => wrong(&other.to_string()),
        })?;
        if !heeded.is_empty() {
            let with_options = format!("{server}?{}", heeded.join("&")).parse();
            options = with_options.map_err(|_| {
                wrong("one of its options has a value that means nothing; ssl-mode is disabled, preferred, required, \
                       verify_ca or verify_identity")
            })?;
        }
        if options.get_database().is_none_or(str::is_empty) {
            return Err(wrong(&format!(
                "{url} names a server, and no database there: write mysql://user:password@host/database"
            )));
        }
        Ok(Self {
            options: options.disable_statement_logging(),
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
