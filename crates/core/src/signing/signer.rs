use std::fmt;

use super::hmac::SaltedHmac;
use super::{Keys, SecretKey, SignatureError};

/// A character that may stand in a signature, and so cannot separate one from the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot separate a signature: take none of A-z, 0-9, '-', '_', '='")]
pub struct UnsafeSeparator(pub char);

/// Signs text: `django.core.signing.Signer`.
///
/// The keys are derived once, here; keep the signer.
///
/// ```
/// use quintette_core::signing::{Keys, Signer};
///
/// let signer = Signer::new(&Keys::new("secret"), "newsletter");
/// let signed = signer.sign("jane@example.com");
/// assert_eq!(signer.unsign(&signed)?, "jane@example.com");
/// assert!(signer.unsign("john@example.com:forged").is_err());
/// # Ok::<(), quintette_core::signing::SignatureError>(())
/// ```
#[derive(Clone)]
pub struct Signer {
    secret: SaltedHmac,
    fallbacks: Vec<SaltedHmac>,
    separator: char,
}

impl Signer {
    /// Signs for the purpose that `salt` names. Without one, the salt is the name of Django's class, as it is there.
    pub fn new(keys: &Keys, salt: &str) -> Self {
        Self::with_class_salt(keys, b"", salt, "django.core.signing.Signer")
    }

    /// Django appends a word to each salt, prefixes the keys of cookies, and takes its class' name for an empty salt.
    pub(super) fn with_class_salt(keys: &Keys, key_prefix: &[u8], salt: &str, class: &str) -> Self {
        let salt = if salt.is_empty() { class } else { salt };
        let derive = |key: &SecretKey| {
            SaltedHmac::new(&[salt.as_bytes(), b"signer"], &[key_prefix, key.as_bytes()])
        };
        Self {
            secret: derive(keys.secret()),
            fallbacks: keys.fallbacks().iter().map(derive).collect(),
            separator: ':',
        }
    }

    /// Puts another character than `:` before the signature.
    ///
    /// # Errors
    ///
    /// If the character is one that Django does not allow here, since it may be part of a signature.
    pub fn with_separator(mut self, separator: char) -> Result<Self, UnsafeSeparator> {
        // Django's pattern spans A-z, with the signs between the upper and the lower case, and a
        // newline slips through the end of the pattern.
        if matches!(separator, 'A'..='z' | '0'..='9' | '-' | '=' | '\n') {
            return Err(UnsafeSeparator(separator));
        }
        self.separator = separator;
        Ok(self)
    }

    pub(super) fn separator(&self) -> char {
        self.separator
    }

    /// The signature alone: 43 characters of URL-safe base64.
    pub fn signature(&self, text: &str) -> String {
        self.secret.signature(text)
    }

    /// The text, the separator and the signature.
    pub fn sign(&self, text: &str) -> String {
        format!("{text}{}{}", self.separator, self.signature(text))
    }

    /// The text that was signed.
    ///
    /// # Errors
    ///
    /// If there is no signature, or neither the secret nor a fallback has made it.
    pub fn unsign<'a>(&self, signed: &'a str) -> Result<&'a str, SignatureError> {
        let (text, signature) = signed
            .rsplit_once(self.separator)
            .ok_or(SignatureError::Unsigned)?;
        std::iter::once(&self.secret)
            .chain(&self.fallbacks)
            .any(|key| key.verify(text, signature))
            .then_some(text)
            .ok_or(SignatureError::Mismatch)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("fallbacks", &self.fallbacks.len())
            .field("separator", &self.separator)
            .finish_non_exhaustive()
    }
}
