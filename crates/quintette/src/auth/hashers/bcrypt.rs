use ::bcrypt::{BASE_64, Version, hash_with_salt};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::encoded::{after_algorithm, at_most, number, parts, same};
use super::{HashingError, PasswordHasher, UnreadableHash};

/// The most rounds that a stored hash may ask for; each doubles the cost. Django writes 12.
pub const MAX_BCRYPT_ROUNDS: u32 = 16;

/// The fewest and the most that the algorithm knows.
const ROUNDS: std::ops::RangeInclusive<u32> = 4..=31;

/// How many characters of a salt follow the rounds.
const SALT: usize = 22;

/// bcrypt: `BCryptSHA256PasswordHasher` and `BCryptPasswordHasher`.
///
/// `bcrypt_sha256$$2b$12$` and 22 characters of salt and 31 of digest. The salt that [`encode`](PasswordHasher::encode)
/// takes has the version and the rounds before it, as Python's `bcrypt.gensalt` gives it.
#[derive(Clone, Debug)]
pub struct BCrypt {
    prehash: bool,
    rounds: u32,
}

impl BCrypt {
    /// `bcrypt_sha256`: of the password's SHA-256, so that no part of a long password is lost.
    pub fn sha256() -> Self {
        Self {
            prehash: true,
            rounds: 12,
        }
    }

    /// `bcrypt`: of the password itself, of which only the first 72 bytes count.
    pub fn plain() -> Self {
        Self {
            prehash: false,
            ..Self::sha256()
        }
    }

    /// Another number of rounds, from 4 to 31: the nearest one, in effect.
    #[must_use]
    pub fn with_rounds(self, rounds: u32) -> Self {
        let rounds = rounds.clamp(*ROUNDS.start(), *ROUNDS.end());
        Self { rounds, ..self }
    }

    fn encode_with(&self, password: &str, salt: &Salt) -> Result<String, ::bcrypt::BcryptError> {
        let version = salt.version.clone();
        let hash = if self.prehash {
            // In hexadecimal, for bcrypt stops at a zero byte.
            let digest = format!("{:x}", HexBytes(&Sha256::digest(password)));
            hash_with_salt(digest, salt.rounds, salt.bytes)?
        } else {
            hash_with_salt(password, salt.rounds, salt.bytes)?
        };
        let hash = hash.format_for_version(version);
        Ok(format!("{}${hash}", self.algorithm()))
    }

    fn decode(&self, encoded: &str) -> Result<Salt, UnreadableHash> {
        let salt = Salt::parse(after_algorithm(encoded, self.algorithm())?)?;
        let most = MAX_BCRYPT_ROUNDS.max(self.rounds);
        at_most("a number of rounds of", salt.rounds, most)?;
        Ok(salt)
    }
}

struct HexBytes<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexBytes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `$2b$12$` and 22 characters, whatever follows them.
struct Salt {
    version: Version,
    rounds: u32,
    bytes: [u8; 16],
}

impl Salt {
    fn parse(text: &str) -> Result<Self, UnreadableHash> {
        let malformed = UnreadableHash::malformed;
        let [empty, version, rounds, rest] = parts(text)?;
        let version = match version {
            "2a" => Version::TwoA,
            "2b" => Version::TwoB,
            "2x" => Version::TwoX,
            "2y" => Version::TwoY,
            _ => return Err(malformed()),
        };
        let rounds = number(rounds.strip_prefix('0').unwrap_or(rounds))?;
        let characters = rest.get(..SALT).ok_or_else(malformed)?;
        let bytes = BASE_64.decode(characters).map_err(|_| malformed())?;
        if !empty.is_empty() || !ROUNDS.contains(&rounds) {
            return Err(malformed());
        }
        Ok(Self {
            version,
            rounds,
            bytes: bytes.try_into().map_err(|_| malformed())?,
        })
    }
}

impl PasswordHasher for BCrypt {
    fn algorithm(&self) -> &str {
        if self.prehash {
            "bcrypt_sha256"
        } else {
            "bcrypt"
        }
    }

    fn salt(&self) -> Result<String, HashingError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| HashingError::failed("the system has no randomness", error))?;
        Ok(format!("$2b${:02}${}", self.rounds, BASE_64.encode(bytes)))
    }

    fn encode(&self, password: &str, salt: &str) -> Result<String, HashingError> {
        Salt::parse(salt)
            .ok()
            .and_then(|salt| self.encode_with(password, &salt).ok())
            .ok_or_else(|| {
                HashingError::salt(
                    "no salt for bcrypt: write \"$2b$12$\" and 22 characters of its base64",
                )
            })
    }

    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash> {
        let salt = self.decode(encoded)?;
        let again = self
            .encode_with(password, &salt)
            .map_err(|_| UnreadableHash::malformed())?;
        Ok(same(encoded, &again))
    }

    fn must_update(&self, encoded: &str) -> bool {
        self.decode(encoded)
            .map_or(true, |salt| salt.rounds != self.rounds)
    }

    fn harden_runtime(&self, password: &str, encoded: &str) {
        let Ok(salt) = self.decode(encoded) else {
            return;
        };
        // Each round doubles the work, so the missing work is so many times what was done. Both are 31 at most.
        let missing = (1_u64 << self.rounds.saturating_sub(salt.rounds)) - 1;
        for _ in 0..missing {
            drop(std::hint::black_box(self.encode_with(password, &salt)));
        }
    }
}
