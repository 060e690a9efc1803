//! Password hashers: `django.contrib.auth.hashers`.
//!
//! Every hash that Django 5.2 and 4.2 write is verified here, and theirs verify every hash that is written here. A hash is one
//! text, the `password` column of a user: the algorithm, its parameters, a salt and the digest, with `$` between them.
//!
//! ```
//! use quintette::auth::hashers::{PasswordHashers, Pbkdf2, Verification};
//!
//! // Django 4.2 stands on the same users and hashes 600,000 times. Whoever logs in here keeps that.
//! let hashers = PasswordHashers::default().with(Pbkdf2::sha256().with_iterations(600_000));
//!
//! let encoded = hashers.make_password("correct horse")?;
//! assert!(encoded.starts_with("pbkdf2_sha256$600000$"));
//! assert_eq!(hashers.check_password("correct horse", &encoded), Verification::Correct);
//! assert_eq!(hashers.check_password("battery staple", &encoded), Verification::Wrong);
//! # Ok::<(), quintette::auth::hashers::HashingError>(())
//! ```
//!
//! Each of these calls keeps a thread busy for a tenth of a second or more. A web service makes them through
//! [`PasswordHashing`](crate::auth::PasswordHashing), off the threads that serve requests.
//!
//! In a build without optimization they take ten times as long and more. An application's `Cargo.toml` mends that for its
//! development:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 3
//! ```
//!
//! # What a stored hash may cost
//!
//! A hash names its own cost, and whoever can write one row could name any. So each hasher refuses what would take it more than
//! some four seconds of one core, or more than 1 GiB: such a hash verifies nothing, and the log says so. The bounds are
//! constants here ([`MAX_PBKDF2_ITERATIONS`], [`MAX_ARGON2_MEMORY`] and so on), far above Django's defaults; a hasher that is
//! given higher parameters in code accepts those too. Django has no such bounds.
//!
//! # Differences from Django
//!
//! Where Django fails with an exception, since a hash is truncated or written by hand, the password is wrong here and the
//! log says why. Hashes of the algorithms that Django 5.1 removed (`sha1`, `crypt`, those without a salt) verify nothing.
//! A password for plain `bcrypt` is cut at 72 bytes, as Django documents; beside version 5 of Python's bcrypt, Django fails there.
//!
//! Source: `django/contrib/auth/hashers.py` of Django 5.2.19 and 4.2.30.

mod argon2;
mod bcrypt;
mod encoded;
mod error;
mod hasher;
mod md5;
mod paths;
mod pbkdf2;
mod salt;
mod scrypt;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::argon2::{Argon2, MAX_ARGON2_MEMORY, MAX_ARGON2_WORK};
pub use self::bcrypt::{BCrypt, MAX_BCRYPT_ROUNDS};
pub use self::encoded::{MAX_ENCODED, UnreadableHash};
pub use self::error::{HashingError, HashingErrorKind};
pub use self::hasher::PasswordHasher;
pub use self::md5::Md5;
pub use self::pbkdf2::{MAX_PBKDF2_ITERATIONS, Pbkdf2};
pub use self::salt::{is_password_usable, unusable_password};
pub use self::scrypt::{MAX_SCRYPT_MEMORY, MAX_SCRYPT_WORK, Scrypt};

/// The algorithms in use, the preferred one first: `PASSWORD_HASHERS`.
///
/// New passwords are hashed with the first. Hashes of the others are verified, and are then to be written anew. The default is
/// Django's: PBKDF2 with SHA-256, with SHA-1, Argon2, bcrypt over SHA-256, scrypt.
///
/// A cheap handle; clones share it.
#[derive(Clone, Debug)]
pub struct PasswordHashers(Arc<[Arc<dyn PasswordHasher>]>);

/// What came of checking a password: `verify_password`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verification {
    /// The password is right.
    Correct,
    /// The password is right, and its hash should be written anew: it was made with another algorithm or other parameters
    /// than would be used now, or with a short salt.
    CorrectAndOutdated,
    /// The password is wrong, or there is none that would be right.
    Wrong,
}

impl Verification {
    /// Whether the password is right.
    pub fn is_correct(self) -> bool {
        self != Self::Wrong
    }
}

impl Default for PasswordHashers {
    fn default() -> Self {
        Self(Arc::new([
            Arc::new(Pbkdf2::sha256()),
            Arc::new(Pbkdf2::sha1()),
            Arc::new(Argon2::new()),
            Arc::new(BCrypt::sha256()),
            Arc::new(Scrypt::new()),
        ]))
    }
}

impl PasswordHashers {
    /// These hashers, an application's own among them, the preferred one first.
    ///
    /// # Errors
    ///
    /// Of kind [`Misconfigured`](HashingErrorKind::Misconfigured), if there is none.
    pub fn new(
        hashers: impl IntoIterator<Item = Arc<dyn PasswordHasher>>,
    ) -> Result<Self, HashingError> {
        let hashers: Arc<[_]> = hashers.into_iter().collect();
        if hashers.is_empty() {
            return Err(HashingError::misconfigured(
                "PASSWORD_HASHERS is empty: name at least one hasher, such as \
                 \"django.contrib.auth.hashers.PBKDF2PasswordHasher\", or leave the setting out",
            ));
        }
        Ok(Self(hashers))
    }

    /// The hashers that the setting `PASSWORD_HASHERS` names, as Django names them.
    ///
    /// ```
    /// use quintette::auth::hashers::PasswordHashers;
    ///
    /// let hashers = PasswordHashers::from_paths(&["django.contrib.auth.hashers.Argon2PasswordHasher"])?;
    /// assert_eq!(hashers.preferred().algorithm(), "argon2");
    ///
    /// let error = PasswordHashers::from_paths(&["shop.hashers.Enigma"]).unwrap_err();
    /// assert!(error.to_string().contains("shop.hashers.Enigma"));
    /// # Ok::<(), quintette::auth::hashers::HashingError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Of kind [`Misconfigured`](HashingErrorKind::Misconfigured), if a path is not one of Django's, or if there is none. The
    /// message names the path and those that would do.
    pub fn from_paths<P: AsRef<str>>(paths: &[P]) -> Result<Self, HashingError> {
        let hashers: Result<Vec<_>, _> = paths
            .iter()
            .map(|path| paths::hasher(path.as_ref()))
            .collect();
        Self::new(hashers?)
    }

    /// Puts this hasher in the place of the one for its algorithm, or last where there was none.
    ///
    /// In Django, a subclass with other parameters in `PASSWORD_HASHERS`.
    #[must_use]
    pub fn with(self, hasher: impl PasswordHasher) -> Self {
        let mut hashers = self.0.to_vec();
        let place = hashers
            .iter()
            .position(|known| known.algorithm() == hasher.algorithm());
        match place {
            Some(place) => hashers[place] = Arc::new(hasher),
            None => hashers.push(Arc::new(hasher)),
        }
        Self(hashers.into())
    }

    /// The hasher for new passwords: `get_hasher()`.
    pub fn preferred(&self) -> &dyn PasswordHasher {
        // Both ways to make this type put at least one in.
        self.0[0].as_ref()
    }

    /// The hasher for an algorithm, by its short name, such as `argon2`: `get_hasher(algorithm)`.
    pub fn hasher(&self, algorithm: &str) -> Option<&dyn PasswordHasher> {
        self.0
            .iter()
            .find(|hasher| hasher.algorithm() == algorithm)
            .map(AsRef::as_ref)
    }

    /// The hasher that a hash was made with, where it is among these: `identify_hasher`.
    pub fn identify(&self, encoded: &str) -> Option<&dyn PasswordHasher> {
        let (algorithm, _) = encoded.split_once('$')?;
        self.hasher(algorithm)
    }

    /// Hashes a password for storage, with a new random salt: `make_password`.
    ///
    /// For a user without a password, see [`unusable_password`].
    ///
    /// # Errors
    ///
    /// Of kind [`Failed`](HashingErrorKind::Failed), if the system has no randomness.
    pub fn make_password(&self, password: &str) -> Result<String, HashingError> {
        let hasher = self.preferred();
        hasher.encode(password, &hasher.salt()?)
    }

    /// Hashes a password with another algorithm than the preferred one: `make_password(password, hasher=algorithm)`.
    ///
    /// # Errors
    ///
    /// As [`make_password`](Self::make_password), and of kind [`Misconfigured`](HashingErrorKind::Misconfigured), if the
    /// algorithm is not among these.
    pub fn make_password_with(
        &self,
        algorithm: &str,
        password: &str,
    ) -> Result<String, HashingError> {
        let hasher = self.hasher(algorithm).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|hasher| hasher.algorithm()).collect();
            HashingError::misconfigured(format!(
                "there is no password hasher for the algorithm {algorithm:?}: use one of {}, or add its hasher to \
                 PASSWORD_HASHERS",
                known.join(", ")
            ))
        })?;
        hasher.encode(password, &hasher.salt()?)
    }

    /// Whether a password is the one that a hash was made of: `check_password`.
    ///
    /// A wrong password takes as long as a right one, also where the hash was made with fewer iterations than are used now, is
    /// unusable or cannot be read; only a hash of another algorithm than the preferred one takes its own time, as in Django.
    pub fn check_password(&self, password: &str, encoded: &str) -> Verification {
        if !is_password_usable(encoded) {
            return self.check_nobody(password);
        }
        let Some(hasher) = self.identify(encoded) else {
            tracing::warn!(
                target: "quintette::auth",
                "a stored password was hashed with an algorithm that is not in PASSWORD_HASHERS; it verifies nothing"
            );
            return self.check_nobody(password);
        };
        match hasher.verify(password, encoded) {
            Ok(correct) => self.judge(hasher, password, encoded, correct),
            Err(unreadable) => {
                tracing::warn!(
                    target: "quintette::auth",
                    algorithm = hasher.algorithm(),
                    "a stored password verifies nothing: {unreadable}"
                );
                self.check_nobody(password)
            }
        }
    }

    fn judge(
        &self,
        hasher: &dyn PasswordHasher,
        password: &str,
        encoded: &str,
        correct: bool,
    ) -> Verification {
        let preferred = hasher.algorithm() == self.preferred().algorithm();
        let outdated = !preferred || self.preferred().must_update(encoded);
        match (correct, outdated) {
            (true, false) => Verification::Correct,
            (true, true) => Verification::CorrectAndOutdated,
            (false, true) if preferred => {
                hasher.harden_runtime(password, encoded);
                Verification::Wrong
            }
            (false, _) => Verification::Wrong,
        }
    }

    /// Takes the time of checking a password, for a user who does not exist, so that the time does not tell.
    ///
    /// Django's `ModelBackend` calls `set_password` on an empty user for it.
    pub fn check_nobody(&self, password: &str) -> Verification {
        // Only the time counts: without randomness there is no hash to wait for.
        drop(self.make_password(password));
        Verification::Wrong
    }
}
