use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why Redis gave no answer, or refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    what: String,
    /// A script that the server does not know.
    pub(super) is_unknown_script: bool,
    /// The connection is of no use any more: another server is to be asked.
    pub(crate) ends_connection: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Try again.
    Unavailable,
    /// Trying again does not help.
    Refused,
    /// The URL or an option is wrong.
    Configuration,
}

impl Failure {
    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, what)
    }

    pub(crate) fn configuration(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Configuration, what)
    }

    pub(super) fn too_old() -> Self {
        Self::configuration("this Redis is too old: 6.2 is the oldest that will do")
    }

    /// An answer that no version of Redis gives to what was asked.
    pub(crate) fn unexpected() -> Self {
        Self::new(
            FailureKind::Refused,
            "Redis gives an answer that no version of it gives; is it another server?",
        )
    }

    fn new(kind: FailureKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            is_unknown_script: false,
            ends_connection: false,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        match redis::ServerError::try_from(error) {
            Ok(refused) => refused.into(),
            // At the start of a connection: no such database, no such user.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Server(ServerErrorKind::ResponseError)
                        | ErrorKind::AuthenticationFailed
                        | ErrorKind::InvalidClientConfig
                ) && !error.to_string().contains(TOO_MANY_CLIENTS) =>
            {
                Self::new(
                    FailureKind::Refused,
                    format!("Redis refused: {error}; look at the URL"),
                )
            }
            Err(error) => Self {
                ends_connection: true,
                ..Self::unavailable(format!("Redis is not to be reached: {error}"))
            },
        }
    }
}

impl From<redis::ServerError> for Failure {
    fn from(error: redis::ServerError) -> Self {
        let text = match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        };
        // As servers say that know no RESP3.
        if text.contains("unknown command") && text.contains("HELLO") {
            return Self::too_old();
        }
        let elsewhere = matches!(
            error.kind(),
            Some(
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::ClusterDown
            )
        );
        let later = matches!(
            error.kind(),
            Some(ServerErrorKind::BusyLoading | ServerErrorKind::TryAgain)
        ) || PASSING.contains(&error.code())
            || text.contains(TOO_MANY_CLIENTS);
        if elsewhere || later {
            return Self {
                ends_connection: elsewhere,
                ..Self::unavailable(format!("Redis cannot do that now: {text}"))
            };
        }
        Self {
            is_unknown_script: error.kind() == Some(ServerErrorKind::NoScript),
            ..Self::new(
                FailureKind::Refused,
                format!("Redis refused: {text}{}", advice(error.code())),
            )
        }
    }
}

/// Refusals that an operator, or time, puts an end to: no memory, no disk, no replicas, a script that runs too long.
const PASSING: [&str; 4] = ["OOM", "MISCONF", "NOREPLICAS", "BUSY"];

/// The same of a server that has its most connections (`maxclients`), which has no code.
const TOO_MANY_CLIENTS: &str = "max number of clients reached";

fn advice(code: &str) -> &'static str {
    match code {
        "NOAUTH" | "WRONGPASS" => "; write user and password into the URL",
        "CROSSSLOT" => {
            "; on a Redis Cluster, the prefix of the keys must hold a hash tag such as \"{celery}\""
        }
        _ => "",
    }
}
