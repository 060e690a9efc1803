use std::sync::Arc;

use tracing::warn;

use crate::json::JsonError;
use crate::pickle::PickleError;
use crate::settings::{SerializerName, Settings};
use crate::signing::TimestampSigner;

use super::{SessionData, SessionError};

/// The salt of everything Django's storing engines sign: `"django.contrib.sessions." + class name`
/// (`SessionBase.key_salt`).
const STORE_SALT: &str = "django.contrib.sessions.SessionStore";

/// How a session becomes bytes before it is signed: `SESSION_SERIALIZER`.
///
/// [`JsonSerializer`] is the default. An application that shares its sessions with a Django site whose serializer is its
/// own implements this trait and hands it to [`Codec::with_serializer`].
pub trait Serializer: Send + Sync + 'static {
    /// The bytes to sign and store.
    ///
    /// # Errors
    ///
    /// Where the data holds what this format cannot carry.
    fn encode(&self, data: &SessionData) -> Result<Vec<u8>, SessionError>;

    /// The data in bytes whose signature was good.
    ///
    /// # Errors
    ///
    /// Where they are not of this format. The session is then read as an empty one.
    fn decode(&self, bytes: &[u8])
    -> Result<SessionData, Box<dyn std::error::Error + Send + Sync>>;
}

impl dyn Serializer {
    /// The one that `SESSION_SERIALIZER` names.
    pub fn named(name: SerializerName) -> Arc<dyn Serializer> {
        match name {
            SerializerName::Json => Arc::new(JsonSerializer),
            SerializerName::Pickle => Arc::new(PickleSerializer),
        }
    }
}

/// Django's `JSONSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonSerializer;

impl Serializer for JsonSerializer {
    fn encode(&self, data: &SessionData) -> Result<Vec<u8>, SessionError> {
        data.to_json().map(String::into_bytes)
    }

    fn decode(
        &self,
        bytes: &[u8],
    ) -> Result<SessionData, Box<dyn std::error::Error + Send + Sync>> {
        SessionData::from_json(bytes).map_err(|error: JsonError| error.into())
    }
}

/// Django's `PickleSerializer` (up to 4.2), for plain values. Nothing in a pickle is ever run.
#[derive(Clone, Copy, Debug, Default)]
pub struct PickleSerializer;

impl Serializer for PickleSerializer {
    fn encode(&self, data: &SessionData) -> Result<Vec<u8>, SessionError> {
        data.to_pickle()
    }

    fn decode(
        &self,
        bytes: &[u8],
    ) -> Result<SessionData, Box<dyn std::error::Error + Send + Sync>> {
        let data = SessionData::from_pickle(bytes).map_err(|error: PickleError| Box::new(error))?;
        Ok(data.unwrap_or_default())
    }
}

/// From a session to the signed text that the db, `cached_db` and file engines store, and back. Django's
/// `SessionBase.encode` and `decode`.
#[derive(Clone)]
pub struct Codec {
    signer: TimestampSigner,
    serializer: Arc<dyn Serializer>,
}

impl Codec {
    /// With the keys and the serializer of the settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            signer: TimestampSigner::new(&settings.secret_key, STORE_SALT),
            serializer: <dyn Serializer>::named(settings.session_serializer),
        }
    }

    /// With the application's own serializer.
    #[must_use]
    pub fn with_serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Arc::new(serializer);
        self
    }

    /// The signed text to store.
    ///
    /// # Errors
    ///
    /// Where the data holds a value that the serializer cannot carry.
    pub fn encode(&self, data: &SessionData) -> Result<String, SessionError> {
        let bytes = self.serializer.encode(data)?;
        Ok(self.signer.sign_bytes(&bytes, true))
    }

    /// The data in a stored text; empty, with a log line, where it is corrupt or was signed with another key.
    pub fn decode(&self, stored: &str) -> SessionData {
        let decoded = match self.signer.unsign_bytes(stored, None) {
            Ok(bytes) => self.serializer.decode(&bytes),
            Err(error) => Err(error.into()),
        };
        decoded.unwrap_or_else(|error| {
            warn!(target: "quintette::session", %error, "session data corrupted");
            SessionData::default()
        })
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}
