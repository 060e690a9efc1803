use std::iter;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use quintette_core::signing::{Keys, salted_hmac};

const NONCE: usize = 24;

/// Encrypts and authenticates for one purpose, with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) and keys that come from
/// `SECRET_KEY`: the text is, in URL-safe base64, a random nonce and what is sealed.
#[derive(Clone)]
pub(crate) struct Seal {
    current: XChaCha20Poly1305,
    /// Those of `SECRET_KEY_FALLBACKS`, which only open.
    fallbacks: Vec<XChaCha20Poly1305>,
    associated: Vec<u8>,
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("the system's randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    #[error("this is more than what can be encrypted")]
    TooLarge,
}

impl Seal {
    /// `salt` keeps the keys of this purpose apart from all others; `associated` is authenticated with what is sealed.
    pub(crate) fn new(keys: &Keys, salt: &str, associated: impl Into<Vec<u8>>) -> Self {
        let derive =
            |secret| XChaCha20Poly1305::new(&salted_hmac(salt, "encryption", secret).into());
        Self {
            current: derive(keys.secret()),
            fallbacks: keys.fallbacks().iter().map(derive).collect(),
            associated: associated.into(),
        }
    }

    pub(crate) fn seal(&self, plain: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        let sealed = self
            .current
            .encrypt(&XNonce::from(nonce), self.payload(plain));
        let sealed = sealed.map_err(|_| SealError::TooLarge)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// What was sealed; `None` where none of the keys has sealed this text.
    pub(crate) fn open(&self, text: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let nonce = XNonce::from(*nonce);
        iter::once(&self.current)
            .chain(&self.fallbacks)
            .find_map(|cipher| cipher.decrypt(&nonce, self.payload(sealed)).ok())
    }

    fn payload<'a>(&'a self, message: &'a [u8]) -> Payload<'a, 'a> {
        Payload {
            msg: message,
            aad: &self.associated,
        }
    }
}
