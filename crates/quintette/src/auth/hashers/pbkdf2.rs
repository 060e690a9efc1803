use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha1::Sha1;
use sha2::Sha256;

use super::encoded::{after_algorithm, at_most, number, parts, same};
use super::{HashingError, PasswordHasher, UnreadableHash, salt};

/// The most iterations that a stored hash may ask for. Django 5.2 writes 1,000,000.
pub const MAX_PBKDF2_ITERATIONS: u32 = 20_000_000;

/// PBKDF2 with HMAC: `PBKDF2PasswordHasher` and `PBKDF2SHA1PasswordHasher`.
///
/// `pbkdf2_sha256$iterations$salt$digest`, the digest in base64.
#[derive(Clone, Debug)]
pub struct Pbkdf2 {
    digest: Digest,
    iterations: u32,
}

#[derive(Clone, Copy, Debug)]
enum Digest {
    Sha256,
    Sha1,
}

impl Pbkdf2 {
    /// `pbkdf2_sha256`, Django's default, with the 1,000,000 iterations of Django 5.2. Django 4.2 has 600,000.
    pub fn sha256() -> Self {
        Self {
            digest: Digest::Sha256,
            iterations: 1_000_000,
        }
    }

    /// `pbkdf2_sha1`, with as many.
    pub fn sha1() -> Self {
        Self {
            digest: Digest::Sha1,
            ..Self::sha256()
        }
    }

    /// Another number of iterations: at least one, in effect.
    #[must_use]
    pub fn with_iterations(self, iterations: u32) -> Self {
        let iterations = iterations.max(1);
        Self { iterations, ..self }
    }

    fn encode_with(&self, password: &str, salt: &str, iterations: u32) -> String {
        let derived = self.derive(password, salt, iterations);
        let derived = BASE64_STANDARD.encode(derived);
        format!("{}${iterations}${salt}${derived}", self.algorithm())
    }

    fn derive(&self, password: &str, salt: &str, iterations: u32) -> Vec<u8> {
        let (password, salt) = (password.as_bytes(), salt.as_bytes());
        match self.digest {
            Digest::Sha256 => {
                ::pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).into()
            }
            Digest::Sha1 => {
                ::pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).into()
            }
        }
    }

    fn decode<'a>(&self, encoded: &'a str) -> Result<Decoded<'a>, UnreadableHash> {
        let [iterations, salt, _] = parts(after_algorithm(encoded, self.algorithm())?)?;
        let iterations = number(iterations)?;
        if iterations == 0 {
            return Err(UnreadableHash::malformed());
        }
        let most = MAX_PBKDF2_ITERATIONS.max(self.iterations);
        Ok(Decoded {
            iterations: at_most("a number of iterations of", iterations, most)?,
            salt: salt::stored(salt)?,
        })
    }
}

struct Decoded<'a> {
    iterations: u32,
    salt: &'a str,
}

impl PasswordHasher for Pbkdf2 {
    fn algorithm(&self) -> &str {
        match self.digest {
            Digest::Sha256 => "pbkdf2_sha256",
            Digest::Sha1 => "pbkdf2_sha1",
        }
    }

    fn encode(&self, password: &str, salt: &str) -> Result<String, HashingError> {
        let salt = salt::checked(salt)?;
        Ok(self.encode_with(password, salt, self.iterations))
    }

    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash> {
        let decoded = self.decode(encoded)?;
        let again = self.encode_with(password, decoded.salt, decoded.iterations);
        Ok(same(encoded, &again))
    }

    fn must_update(&self, encoded: &str) -> bool {
        self.decode(encoded).map_or(true, |decoded| {
            decoded.iterations != self.iterations || salt::is_short(decoded.salt.chars().count())
        })
    }

    fn harden_runtime(&self, password: &str, encoded: &str) {
        let Ok(decoded) = self.decode(encoded) else {
            return;
        };
        let missing = self.iterations.saturating_sub(decoded.iterations);
        if missing > 0 {
            std::hint::black_box(self.derive(password, decoded.salt, missing));
        }
    }
}
