use std::fmt;
use std::sync::Arc;

use quintette_core::cache::CacheError;
use redis::{ServerError, ServerErrorKind};

/// Why there is no answer to a request.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It was not sent.
    Unsent(Arc<str>),
    /// It was sent and its answer was lost: it may have been done.
    Lost(Arc<str>),
    /// The server did not do it.
    Refused(ServerError),
}

impl Failure {
    pub(super) fn unsent(reason: impl Into<Arc<str>>) -> Self {
        Self::Unsent(reason.into())
    }

    pub(super) fn lost(reason: impl Into<Arc<str>>) -> Self {
        Self::Lost(reason.into())
    }

    /// The server's error code, such as `OOM`.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => Some(error.code()),
            _ => None,
        }
    }

    /// Whether the server says that it is no master.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::Refused(error) if error.kind() == Some(ServerErrorKind::ReadOnly))
    }

    /// Whether the server says that another type of value is there. Redis 6 and older tell so in the text only, where
    /// a script finds out.
    pub(super) fn is_wrong_type(&self) -> bool {
        const CODE: &str = "WRONGTYPE";
        match self {
            Self::Refused(error) => {
                error.code() == CODE || error.details().is_some_and(|text| text.contains(CODE))
            }
            _ => false,
        }
    }

    /// A read that failed, which has changed nothing.
    pub(super) fn of_read(self) -> CacheError {
        CacheError::new(self.to_string())
    }

    /// A write that failed.
    pub(super) fn of_write(self) -> CacheError {
        match self {
            Self::Lost(_) => CacheError::unknown(self.to_string()),
            Self::Unsent(_) | Self::Refused(_) => CacheError::new(self.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(reason) => write!(f, "Redis is not to be reached: {reason}"),
            Self::Lost(reason) => write!(f, "the answer of Redis was lost: {reason}"),
            Self::Refused(error) => {
                write!(f, "Redis refuses: {}", error.code())?;
                if let Some(details) = error.details() {
                    write!(f, " {details}")?;
                }
                match advice(error.code()) {
                    Some(advice) => write!(f, " ({advice})"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What to do where the server's own words do not say it.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "NOAUTH" => "give the user and the password in its URL",
        "OOM" => "its memory is full: raise maxmemory, or choose a maxmemory-policy that evicts",
        "READONLY" => "it is a replica: name the master, or use Sentinel or Cluster",
        "LOADING" => "it is starting, and will serve when its data is read",
        "MISCONF" => "it cannot save its data to the disk, and so takes no writes",
        "CROSSSLOT" | "MOVED" | "ASK" => {
            "it is a node of a Redis Cluster: write redis+cluster://, or OPTIONS {\"cluster\": true}"
        }
        _ => return None,
    })
}
