use std::error::Error;

/// A broker that cannot be reached, or that refused.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct BrokerError {
    kind: BrokerErrorKind,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of trouble a [`BrokerError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerErrorKind {
    /// It cannot be reached, or the connection was lost: try again.
    Unavailable,
    /// It refused: a queue of other properties, no permission.
    Refused,
    /// A message found no queue.
    Unroutable,
    /// This broker does not do that: broadcasts through a database, say.
    Unsupported,
    /// The URL or an option of it is wrong.
    Configuration,
}

impl BrokerError {
    /// An error with a message that says what was being done, and where.
    pub fn new(kind: BrokerErrorKind, what: impl Into<String>) -> Self {
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
    pub fn kind(&self) -> BrokerErrorKind {
        self.kind
    }
}
