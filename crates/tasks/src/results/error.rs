use std::error::Error;

/// A store of results that cannot be reached, or that holds what cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ResultError {
    kind: ResultErrorKind,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of trouble a [`ResultError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResultErrorKind {
    /// The store cannot be reached: try again.
    Unavailable,
    /// The store refused: a value that it has no room for, no permission. Trying again does not help.
    Refused,
    /// The store holds what cannot be read.
    Corrupt,
    /// This store does not do that: there is none, or it keeps no groups.
    Unsupported,
    /// The URL or an option of it is wrong.
    Configuration,
}

impl ResultError {
    /// An error with a message that says what was being done, and where.
    pub fn new(kind: ResultErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            source: None,
        }
    }

    /// With the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ResultErrorKind {
        self.kind
    }
}
