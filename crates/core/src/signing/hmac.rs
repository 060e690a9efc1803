use ::hmac::{Hmac, KeyInit as _, Mac as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The HMAC-SHA256 of `value`, with a key derived from a salt and a secret.
///
/// The counterpart of `django.utils.crypto.salted_hmac(key_salt, value, secret, algorithm="sha256")`, on which the hash of a
/// session's user and the tokens of password resets stand. Compare its result in constant time.
///
/// ```
/// use quintette_core::signing::salted_hmac;
///
/// let mac = salted_hmac("salt", "value", &"secret".into());
/// assert_eq!(mac[..4], [0xde, 0xba, 0xdd, 0xcd]);
/// ```
pub fn salted_hmac(
    key_salt: impl AsRef<[u8]>,
    value: impl AsRef<[u8]>,
    secret: &super::SecretKey,
) -> [u8; 32] {
    SaltedHmac::new(&[key_salt.as_ref()], &[secret.as_bytes()]).mac(value.as_ref())
}

/// An HMAC that has taken in its key, to be copied for each message: deriving the key costs three times what a short message does.
#[derive(Clone)]
pub(super) struct SaltedHmac(Hmac<Sha256>);

impl SaltedHmac {
    /// Both the salt and the secret may come in parts.
    pub(super) fn new(salt: &[&[u8]], secret: &[&[u8]]) -> Self {
        let mut derived = Sha256::new();
        for part in salt.iter().chain(secret) {
            derived.update(part);
        }
        let key = derived.finalize();
        Self(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"))
    }

    pub(super) fn mac(&self, value: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(value);
        mac.finalize().into_bytes().into()
    }

    /// In the text form of signatures: URL-safe base64 without padding.
    pub(super) fn signature(&self, value: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.mac(value.as_bytes()))
    }

    /// Whether `signature` is the one of `value`, in a time that does not depend on how much of it is right.
    ///
    /// Texts are compared, as Django does: decoding first would accept several spellings of one signature.
    pub(super) fn verify(&self, value: &str, signature: &str) -> bool {
        let mut expected = [0; 43];
        let written = BASE64_URL_SAFE_NO_PAD
            .encode_slice(self.mac(value.as_bytes()), &mut expected)
            .expect("32 bytes are 43 characters of base64");
        expected[..written].ct_eq(signature.as_bytes()).into()
    }
}
