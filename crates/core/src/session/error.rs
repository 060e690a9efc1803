use std::borrow::Cow;
use std::error::Error;
use std::fmt;

type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What went wrong with a session, and what to do about it.
///
/// [`kind`](Self::kind) says what a program may do; the message says it to a person; the source is kept.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct SessionError {
    kind: SessionErrorKind,
    message: Cow<'static, str>,
    #[source]
    source: Option<BoxError>,
}

/// The kind and the message: this is what a `main` that returns the error prints.
impl fmt::Debug for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

/// The kinds of [`SessionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The store is down, locked, full or read-only: try again later. A web service answers 503.
    Unavailable,
    /// The store was sent a write and its answer was lost, by a time-out or a cut connection: the write may have been
    /// done, or not, and is not to be taken for either. A web service answers 503.
    Unknown,
    /// The session was deleted while this request worked on it, probably by a logout. A web service answers 400.
    /// Django's `SessionInterrupted`.
    Interrupted,
    /// A value is not of the type that was asked for, or cannot be written as JSON.
    Value,
    /// The session holds a Python object that cannot be written here without destroying it, so it was not saved.
    Foreign,
    /// The session is larger than its store takes: a cookie's 4,096 bytes, say.
    TooLarge,
    /// The engine cannot do this at all (list the sessions of a cache, say).
    Unsupported,
    /// Other writers were faster, again and again, until this one gave up. Nothing was saved.
    Contended,
    /// The program is put together wrongly: a missing table, say. The message names the mend.
    Misconfigured,
}

impl SessionError {
    /// The store named by `what` did not do its work.
    pub fn unavailable(what: &str, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self {
            kind: SessionErrorKind::Unavailable,
            message: format!("{what} is unavailable: {source}").into(),
            source: Some(source),
        }
    }

    /// The store named by `what` was sent a write, and its answer was lost.
    pub fn unknown(what: &str, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self {
            kind: SessionErrorKind::Unknown,
            message: format!(
                "{what} was sent a write and did not say whether it is done: {source}. It may be stored or not"
            )
            .into(),
            source: Some(source),
        }
    }

    /// The session was deleted in the middle of the request.
    pub fn interrupted() -> Self {
        Self::new(
            SessionErrorKind::Interrupted,
            "The session was deleted before this request completed. The visitor may have logged out in another window.",
        )
    }

    /// An error of this kind with this message.
    pub fn new(kind: SessionErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn foreign(key: &str, python_type: &str) -> Self {
        Self::new(
            SessionErrorKind::Foreign,
            format!(
                "session[{key:?}] cannot be read or saved here (in Python it is or holds: {python_type}). Store \
                 strings, numbers, lists and dicts there on the Django side, or remove the key"
            ),
        )
    }

    /// What a program may do about it.
    pub fn kind(&self) -> SessionErrorKind {
        self.kind
    }

    /// The HTTP status that answers it: 400 for an interrupted session, as in Django; 503 where trying again may
    /// help; else 500.
    pub fn status(&self) -> u16 {
        match self.kind {
            SessionErrorKind::Interrupted => 400,
            SessionErrorKind::Unavailable
            | SessionErrorKind::Unknown
            | SessionErrorKind::Contended => 503,
            _ => 500,
        }
    }

    /// After how many seconds a client may try again, where that may help: the `Retry-After` header.
    pub fn retry_after(&self) -> Option<u16> {
        (self.status() == 503).then_some(2)
    }

    /// What a visitor may read. The rest, which may name hosts and paths, is for the log.
    pub fn public_message(&self) -> &str {
        match self.status() {
            400 => &self.message,
            503 => "The session store is unavailable. Try again in a moment.",
            _ => "The session could not be used. The server's log says why.",
        }
    }

    /// Writes the whole error to the log: as an error, or as information where the visitor caused it.
    pub fn log(&self) {
        if self.kind == SessionErrorKind::Interrupted {
            tracing::info!(target: "quintette::session", "{self}");
        } else {
            tracing::error!(target: "quintette::session", "{self}");
        }
    }
}
