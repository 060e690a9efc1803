use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use quintette_core::session::{SessionError, SessionErrorKind};

use super::hashers::{HashingError, HashingErrorKind};
use crate::db::{DatabaseError, DatabaseErrorKind};

type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What went wrong with a user, a login or a password, and what to do about it.
///
/// A wrong password is no error: [`Auth::authenticate`](super::Auth::authenticate) answers `None`.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct AuthError {
    kind: AuthErrorKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    #[source]
    source: Option<BoxError>,
}

/// The kinds of [`AuthError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// A store is down, locked, full or read-only, or there are more passwords to check than this process can: try again later.
    /// A web service answers 503.
    Unavailable,
    /// A write was sent and its answer was lost: it may have been done or not. A web service answers 503.
    Unknown,
    /// The session was deleted while this request worked on it. A web service answers 400.
    Interrupted,
    /// Too many wrong passwords: `LOGIN_FAILURE_LIMIT`. A web service answers 429.
    Throttled,
    /// A backend says that this user may not log in, whatever the other backends say. Django's `PermissionDenied`.
    PermissionDenied,
    /// There is a user of this name already. A web service answers 409.
    Duplicate,
    /// A value that cannot be stored: an empty user name, one that is too long. A web service answers 400.
    Value,
    /// The program is put together wrongly. The message names the mend.
    Misconfigured,
    /// The session cannot hold what it is to hold; the source says why.
    Session,
}

impl AuthError {
    /// An error of this kind with this message, for backends and observers of an application.
    pub fn new(kind: AuthErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(super) fn throttled(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        Self {
            retry_after: Some(wait),
            ..Self::new(
                AuthErrorKind::Throttled,
                format!("Too many wrong passwords. Try again in {seconds} seconds."),
            )
        }
    }

    /// What a program may do about it.
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// The HTTP status that answers it.
    pub fn status(&self) -> u16 {
        match self.kind {
            AuthErrorKind::Interrupted | AuthErrorKind::Value => 400,
            AuthErrorKind::PermissionDenied => 403,
            AuthErrorKind::Duplicate => 409,
            AuthErrorKind::Throttled => 429,
            AuthErrorKind::Unavailable | AuthErrorKind::Unknown => 503,
            _ => 500,
        }
    }

    /// How long a client should wait before it tries again, where that helps: the header `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
            .or_else(|| (self.status() == 503).then_some(Duration::from_secs(2)))
    }

    /// What a visitor may read. The rest, which may name hosts and paths, is for the log.
    pub fn public_message(&self) -> &str {
        match self.status() {
            _ if self.kind == AuthErrorKind::Value => "This value cannot be stored.",
            400 | 403 | 429 => &self.message,
            409 => "There is a user of this name already.",
            503 => "Logins are not possible at the moment. Try again in a moment.",
            _ => "The server's log says what went wrong.",
        }
    }

    /// Writes the whole error to the log: as an error, or as information where the visitor caused it.
    pub fn log(&self) {
        match self.status() {
            400 | 403 | 409 | 429 => tracing::info!(target: "quintette::auth", "{self}"),
            _ => tracing::error!(target: "quintette::auth", "{self}"),
        }
    }
}

impl From<SessionError> for AuthError {
    fn from(error: SessionError) -> Self {
        let kind = match error.kind() {
            SessionErrorKind::Unavailable | SessionErrorKind::Contended => {
                AuthErrorKind::Unavailable
            }
            SessionErrorKind::Unknown => AuthErrorKind::Unknown,
            SessionErrorKind::Interrupted => AuthErrorKind::Interrupted,
            SessionErrorKind::Misconfigured => AuthErrorKind::Misconfigured,
            _ => AuthErrorKind::Session,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

impl From<DatabaseError> for AuthError {
    fn from(error: DatabaseError) -> Self {
        let kind = match error.kind() {
            DatabaseErrorKind::Unavailable | DatabaseErrorKind::MissingTable => {
                AuthErrorKind::Unavailable
            }
            DatabaseErrorKind::Unknown => AuthErrorKind::Unknown,
            DatabaseErrorKind::Duplicate => AuthErrorKind::Duplicate,
            DatabaseErrorKind::Refused => AuthErrorKind::Value,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

impl From<HashingError> for AuthError {
    fn from(error: HashingError) -> Self {
        let kind = match error.kind() {
            HashingErrorKind::Busy | HashingErrorKind::Failed => AuthErrorKind::Unavailable,
            _ => AuthErrorKind::Misconfigured,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

/// The kind and the message: this is what a `main` that returns the error prints.
impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}
