//! Signed text: `django.core.signing`.
//!
//! A [`Signer`] appends a signature to text; a [`TimestampSigner`] also says when it signed, so that what is signed can expire. [`dumps`]
//! and [`loads`] carry any value, as JSON in URL-safe base64. The text stays readable by everyone: a signature
//! keeps it from being changed, not from being read.
//!
//! A *salt* keeps what was signed for one purpose from being used for another. It is a name, not a secret.
//!
//! What is signed with [`Keys`] is signed with their secret; what is checked may also have been signed with one of their fallbacks, the way
//! Django rotates its `SECRET_KEY`.
//!
//! ```
//! use quintette_core::signing::{DEFAULT_SALT, Keys, dumps, loads};
//!
//! let keys = Keys::new("a secret of fifty random characters");
//! let signed = dumps(&keys, DEFAULT_SALT, &["apples", "pears"], false)?;
//! let fruit: Vec<String> = loads(&keys, DEFAULT_SALT, &signed, None)?;
//! assert_eq!(fruit, ["apples", "pears"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: `django/core/signing.py` and `django/utils/crypto.py` of Django 5.2.19 and 4.2.30.

mod cookie;
mod hmac;
mod keys;
mod payload;
mod signer;
#[cfg(test)]
mod tests;
mod timestamp;

pub use cookie::{
    COOKIE_SIGNER_SALT, cookie_salt, cookie_signer, legacy_cookie_salt, sign_cookie, unsign_cookie,
};
pub use hmac::salted_hmac;
pub use keys::{Keys, SecretKey};
pub use payload::{MAX_DECOMPRESSED, PayloadError, deflate, dumps, inflate, loads};
pub use signer::{Signer, UnsafeSeparator};
pub use timestamp::TimestampSigner;

use chrono::TimeDelta;

/// The salt of Django's `signing.dumps` and `signing.loads` where none is given.
pub const DEFAULT_SALT: &str = "django.core.signing";

/// Why signed text was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no separator, so there is no signature.
    #[error("the text carries no signature")]
    Unsigned,
    /// No key made this signature: the text was changed, or signed with another key or salt.
    #[error("the signature does not match")]
    Mismatch,
    /// The signature is right, but no time of signing precedes it.
    #[error("the signed text carries no valid timestamp")]
    BadTimestamp,
    /// The signature is right and too old.
    #[error("signed {}s ago, but valid for {}s only", age.num_seconds(), max_age.num_seconds())]
    Expired {
        /// How long ago the text was signed.
        age: TimeDelta,
        /// How old it may have been.
        max_age: TimeDelta,
    },
    /// The signature is right, and what was signed cannot be read.
    #[error("the signed payload cannot be read")]
    Payload(#[from] PayloadError),
}
