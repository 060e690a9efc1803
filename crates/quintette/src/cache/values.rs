use quintette_core::pickle;
use quintette_core::session::{SessionData, SessionError};

/// How a cache backend of Django's writes the dict of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// As a pickle: every backend of Django's own.
    Pickle,
}

impl Values {
    /// The bytes for this session. Fails where it holds what cannot be written.
    pub(crate) fn encode(self, data: &SessionData) -> Result<Vec<u8>, SessionError> {
        match self {
            Self::Pickle => data.to_pickle(),
        }
    }

    /// The session in these bytes; `None` where they are Python's `None`, a marker among them.
    pub(crate) fn decode(
        self,
        value: &[u8],
    ) -> Result<Option<SessionData>, quintette_core::pickle::PickleError> {
        match self {
            Self::Pickle => SessionData::from_pickle(value),
        }
    }

    /// A value that Python takes for `None`, different for each nonce.
    pub(crate) fn marker(self, nonce: &[u8; 16]) -> Vec<u8> {
        match self {
            Self::Pickle => pickle::encode_none(nonce),
        }
    }
}
