use std::fmt;

use super::{HashingError, UnreadableHash, salt};

/// One algorithm: `BasePasswordHasher`. An application may have its own.
///
/// Every method is called on a thread that may block. `encoded` comes out of a database: whoever can write there has chosen
/// it, so an implementation must refuse what would cost too much, and must not panic on any text.
pub trait PasswordHasher: fmt::Debug + Send + Sync + 'static {
    /// The name before the first `$` of each hash. It must not change, and must not hold a `$`.
    fn algorithm(&self) -> &str;

    /// A new random salt, as [`encode`](Self::encode) takes it. By default 22 letters and digits: 128 bits.
    ///
    /// # Errors
    ///
    /// Of kind [`Failed`](super::HashingErrorKind::Failed), if the system has no randomness.
    fn salt(&self) -> Result<String, HashingError> {
        salt::random_text(salt::LENGTH)
    }

    /// The hash of a password, for storage.
    ///
    /// # Errors
    ///
    /// Of kind [`Salt`](super::HashingErrorKind::Salt), if the salt is not one for this algorithm.
    fn encode(&self, password: &str, salt: &str) -> Result<String, HashingError>;

    /// Whether the hash is one of this password. The comparison must be one in constant time.
    ///
    /// # Errors
    ///
    /// If the hash is not one that this algorithm writes, or costs more than it may.
    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash>;

    /// Whether the hash was made with other parameters than this hasher would use.
    fn must_update(&self, encoded: &str) -> bool;

    /// Takes the time that verifying this hash took less than verifying a new one would: after a wrong password, so that
    /// the time does not tell whose hash is old. By default none.
    fn harden_runtime(&self, password: &str, encoded: &str) {
        let _ = (password, encoded);
    }
}
