use chrono::{DateTime, TimeDelta, Utc};
use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::signing::{Keys, PayloadError, deflate, inflate};

use crate::seal::{Seal, SealError};

/// Tells an encrypted cookie from a signed one, which begins with base64 or a lone dot and holds a colon.
const PREFIX: &str = "e1.";

/// Keeps the keys of this purpose apart from all others that come from `SECRET_KEY`.
const KEY_SALT: &str = "quintette.sessions.engines.signed_cookies.encrypted.v1";

const SECONDS: usize = size_of::<i64>();

/// The byte before the payload.
const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

/// Encrypts and authenticates cookies of one name, with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha).
///
/// The text is `e1.` and, in URL-safe base64, the random nonce and the sealed rest: the seconds since 1970 as eight
/// bytes, one byte that says whether the payload is a zlib stream, and the payload. The cookie's name is authenticated
/// with it, so that one cookie cannot stand in for another.
#[derive(Clone)]
pub(super) struct Cipher {
    seal: Seal,
}

/// Why an encrypted cookie is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum CipherError {
    #[error("the cookie is not an encrypted one")]
    Foreign,
    #[error("no key has encrypted this cookie")]
    Forged,
    #[error("the cookie was encrypted too long ago")]
    Expired,
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl Cipher {
    pub(super) fn new(keys: &Keys, cookie_name: &str) -> Self {
        Self {
            seal: Seal::new(keys, KEY_SALT, [PREFIX, cookie_name].concat()),
        }
    }

    pub(super) fn encrypt(&self, payload: &[u8]) -> Result<String, SessionError> {
        self.encrypt_at(payload, Utc::now())
    }

    pub(super) fn encrypt_at(
        &self,
        payload: &[u8],
        time: DateTime<Utc>,
    ) -> Result<String, SessionError> {
        let deflated = deflate(payload).filter(|deflated| deflated.len() < payload.len());
        let (form, body) = deflated
            .as_deref()
            .map_or((PLAIN, payload), |deflated| (DEFLATED, deflated));
        let mut opened = Vec::with_capacity(SECONDS + 1 + body.len());
        opened.extend(time.timestamp().to_be_bytes());
        opened.push(form);
        opened.extend(body);

        let sealed = self.seal.seal(&opened).map_err(|error| match error {
            SealError::Randomness(error) => {
                SessionError::unavailable("the system's randomness", error)
            }
            SealError::TooLarge => SessionError::new(
                SessionErrorKind::TooLarge,
                "The session is larger than what can be encrypted",
            ),
        })?;
        Ok(format!("{PREFIX}{sealed}"))
    }

    /// The payload, where it was encrypted no longer than `max_age` ago.
    pub(super) fn decrypt(&self, text: &str, max_age: TimeDelta) -> Result<Vec<u8>, CipherError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(CipherError::Foreign)?;
        let opened = self.seal.open(encoded).ok_or(CipherError::Forged)?;

        let (seconds, rest) = opened
            .split_first_chunk::<SECONDS>()
            .ok_or(CipherError::Forged)?;
        let time =
            DateTime::from_timestamp(i64::from_be_bytes(*seconds), 0).ok_or(CipherError::Forged)?;
        // A time in the future passes, as with signed cookies: the clock of the machine that wrote may be ahead.
        if Utc::now() - time > max_age {
            return Err(CipherError::Expired);
        }
        match rest.split_first() {
            Some((&PLAIN, payload)) => Ok(payload.to_vec()),
            Some((&DEFLATED, payload)) => Ok(inflate(payload)?),
            _ => Err(CipherError::Forged),
        }
    }
}
