//! What goes wrong in beat.

use std::error::Error;
use std::fmt;

/// What beat could not do. It says what, where, and keeps what caused it.
#[derive(Debug)]
pub struct BeatError {
    kind: BeatErrorKind,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`BeatError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeatErrorKind {
    /// The store of the schedule could not be read or written.
    Store,
    /// A newer leader wrote to the store: this beat leads no more.
    LeaseLost,
    /// A due task could not be sent.
    Send,
    /// An entry cannot be understood.
    Entry,
}

impl BeatError {
    /// An error with a text that says what was done, to what, and what to do about it.
    pub fn new(kind: BeatErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            source: None,
        }
    }

    /// The same, with its cause.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// What kind of error this is.
    pub fn kind(&self) -> BeatErrorKind {
        self.kind
    }

    pub(super) fn lease_lost() -> Self {
        Self::new(
            BeatErrorKind::LeaseLost,
            "another beat leads now, so this one's run was not recorded",
        )
    }
}

impl fmt::Display for BeatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.source
            .iter()
            .try_for_each(|source| write!(f, ": {source}"))
    }
}

impl Error for BeatError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
