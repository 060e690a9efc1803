use quintette_core::json::JsonError;
#[cfg(any(feature = "database", feature = "redis"))]
use quintette_core::pickle;
use quintette_core::pickle::PickleError;
use quintette_core::session::{SessionData, SessionError};

#[cfg(feature = "redis")]
mod compressor;

#[cfg(feature = "redis")]
pub(crate) use compressor::Compressor;

/// How a cache backend of Django's writes the dict of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// As a pickle: every backend of Django's own.
    Pickle,
    /// As django-redis does: serialized, then compressed (`encode` in its client/default.py).
    #[cfg(feature = "redis")]
    DjangoRedis(Serializer, Compressor),
}

/// `OPTIONS["SERIALIZER"]` of django-redis.
#[cfg(feature = "redis")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serializer {
    /// `django_redis.serializers.pickle.PickleSerializer`, the default.
    Pickle,
    /// `django_redis.serializers.json.JSONSerializer`.
    Json,
}

/// A cached value that holds no session which can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    /// Not a pickled dict.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// Not a JSON object.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A bomb.
    #[cfg(feature = "redis")]
    #[error(
        "it takes more than {} bytes when it is decompressed",
        pickle::MAX_EXPANDED
    )]
    TooLarge,
}

impl Values {
    /// The bytes for this session. Fails where it holds what cannot be written.
    pub(crate) fn encode(self, data: &SessionData) -> Result<Vec<u8>, SessionError> {
        match self {
            Self::Pickle => data.to_pickle(),
            #[cfg(feature = "redis")]
            Self::DjangoRedis(serializer, compressor) => {
                Ok(compressor.compress(serializer.encode(data)?))
            }
        }
    }

    /// The session in these bytes; `None` where they are Python's `None`, a marker among them.
    pub(crate) fn decode(self, value: &[u8]) -> Result<Option<SessionData>, ValueError> {
        match self {
            Self::Pickle => Ok(SessionData::from_pickle(value)?),
            #[cfg(feature = "redis")]
            Self::DjangoRedis(serializer, compressor) => {
                serializer.decode(&compressor.decompress(value)?)
            }
        }
    }

    /// A value that Python takes for `None`, different for each nonce.
    ///
    /// It is never compressed: django-redis takes what it cannot decompress as it is.
    #[cfg(feature = "database")]
    pub(crate) fn marker(self, nonce: &[u8; 16]) -> Vec<u8> {
        match self {
            #[cfg(feature = "redis")]
            Self::DjangoRedis(Serializer::Json, _) => json_marker(nonce),
            _ => pickle::encode_none(nonce),
        }
    }
}

#[cfg(feature = "redis")]
impl Serializer {
    fn encode(self, data: &SessionData) -> Result<Vec<u8>, SessionError> {
        match self {
            Self::Pickle => data.to_pickle(),
            Self::Json => data.to_json().map(String::into_bytes),
        }
    }

    fn decode(self, value: &[u8]) -> Result<Option<SessionData>, ValueError> {
        match self {
            Self::Pickle => Ok(SessionData::from_pickle(value)?),
            Self::Json if value.trim_ascii() == b"null" => Ok(None),
            Self::Json => Ok(Some(SessionData::from_json(value)?)),
        }
    }
}

/// `null`, and the bits of the nonce as the white space behind it.
#[cfg(all(feature = "database", feature = "redis"))]
fn json_marker(nonce: &[u8; 16]) -> Vec<u8> {
    let bits = nonce
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
    let white_space = bits.map(|bit| if bit == 0 { b' ' } else { b'\t' });
    b"null".iter().copied().chain(white_space).collect()
}

#[cfg(all(test, feature = "database", feature = "redis"))]
mod tests;
