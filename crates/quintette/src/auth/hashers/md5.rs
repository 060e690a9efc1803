use ::md5::{Digest as _, Md5 as Digest};

use super::encoded::{after_algorithm, parts, same};
use super::{HashingError, PasswordHasher, UnreadableHash, salt};

/// Salted MD5: `MD5PasswordHasher`. For tests only: it is fast, so a stolen hash is soon guessed.
///
/// `md5$salt$digest`, the digest in hexadecimal.
#[derive(Clone, Debug, Default)]
pub struct Md5(());

impl Md5 {
    /// It has no parameters.
    pub fn new() -> Self {
        Self::default()
    }
}

fn encode_with(password: &str, salt: &str) -> String {
    let digest = Digest::new()
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    let digest = u128::from_be_bytes(digest.into());
    format!("md5${salt}${digest:032x}")
}

impl PasswordHasher for Md5 {
    fn algorithm(&self) -> &'static str {
        "md5"
    }

    fn encode(&self, password: &str, salt: &str) -> Result<String, HashingError> {
        Ok(encode_with(password, salt::checked(salt)?))
    }

    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash> {
        let [salt, _] = parts(after_algorithm(encoded, self.algorithm())?)?;
        Ok(same(encoded, &encode_with(password, salt::stored(salt)?)))
    }

    fn must_update(&self, encoded: &str) -> bool {
        after_algorithm(encoded, self.algorithm())
            .and_then(parts)
            .map_or(true, |[salt, _]| salt::is_short(salt.chars().count()))
    }
}
