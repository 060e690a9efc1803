use ::scrypt::Params;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::encoded::{after_algorithm, at_most, number, parts, same};
use super::{HashingError, PasswordHasher, UnreadableHash, salt};

/// The most memory that a stored hash may ask for, in bytes: 256 MiB. Django writes 16 MiB.
pub const MAX_SCRYPT_MEMORY: u64 = 256 << 20;

/// The most memory times parallelism that a stored hash may ask for, in bytes: 2 GiB. Django 5.2 writes 80 MiB.
pub const MAX_SCRYPT_WORK: u64 = 2 << 30;

/// The largest block size and parallelism in a stored hash. Django 5.2 writes 8 and 5.
const MAX_FACTOR: u32 = 256;

const DIGEST: usize = 64;

/// scrypt: `ScryptPasswordHasher`.
///
/// `scrypt$work_factor$salt$block_size$parallelism$digest`, the digest in base64.
#[derive(Clone, Debug)]
pub struct Scrypt {
    work_factor: u64,
    block_size: u32,
    parallelism: u32,
}

impl Scrypt {
    /// With the parameters of Django 5.2: 16,384, 8 and 5. Django 4.2 has a parallelism of 1.
    pub fn new() -> Self {
        Self {
            work_factor: 1 << 14,
            block_size: 8,
            parallelism: 5,
        }
    }

    /// Other parameters. Python's attributes of the same names; beyond 32 MiB, Django's hasher needs another `maxmem`.
    ///
    /// # Errors
    ///
    /// Of kind [`Misconfigured`](super::HashingErrorKind::Misconfigured), if the work factor is not a power of two above one,
    /// if one of the others is not from 1 to 256, or if a hash would take more memory than one from a database may.
    pub fn with_parameters(
        work_factor: u64,
        block_size: u32,
        parallelism: u32,
    ) -> Result<Self, HashingError> {
        let hasher = Self {
            work_factor,
            block_size,
            parallelism,
        };
        match hasher.params() {
            Ok(_) => Ok(hasher),
            Err(error) => Err(HashingError::misconfigured(format!(
                "scrypt cannot have work_factor={work_factor}, block_size={block_size}, parallelism={parallelism}: {error}"
            ))),
        }
    }

    fn params(&self) -> Result<Params, UnreadableHash> {
        at_most("a block size of", self.block_size, MAX_FACTOR)?;
        at_most("a parallelism of", self.parallelism, MAX_FACTOR)?;
        let memory = self
            .work_factor
            .saturating_mul(128 * u64::from(self.block_size));
        at_most("bytes of memory:", memory, MAX_SCRYPT_MEMORY)?;
        let work = memory.saturating_mul(self.parallelism.into());
        at_most("bytes of memory, times parallelism:", work, MAX_SCRYPT_WORK)?;
        if self.work_factor < 2 || !self.work_factor.is_power_of_two() {
            return Err(UnreadableHash::new(
                "its work factor is not a power of two above one",
            ));
        }
        let log = self.work_factor.trailing_zeros();
        u8::try_from(log)
            .ok()
            .and_then(|log| Params::new(log, self.block_size, self.parallelism).ok())
            .ok_or_else(UnreadableHash::malformed)
    }

    fn encode_with(&self, password: &str, salt: &str) -> Result<String, UnreadableHash> {
        let mut digest = [0; DIGEST];
        ::scrypt::scrypt(
            password.as_bytes(),
            salt.as_bytes(),
            &self.params()?,
            &mut digest,
        )
        .map_err(|_| UnreadableHash::malformed())?;
        Ok(format!(
            "scrypt${}${salt}${}${}${}",
            self.work_factor,
            self.block_size,
            self.parallelism,
            BASE64_STANDARD.encode(digest)
        ))
    }

    /// The parameters of a hash, as a hasher that would write them, and its salt.
    fn decode<'a>(&self, encoded: &'a str) -> Result<(Self, &'a str), UnreadableHash> {
        let rest = after_algorithm(encoded, self.algorithm())?;
        let [work_factor, salt, block_size, parallelism, _] = parts(rest)?;
        let hasher = Self {
            work_factor: number(work_factor)?,
            block_size: number(block_size)?,
            parallelism: number(parallelism)?,
        };
        Ok((hasher, salt::stored(salt)?))
    }
}

impl Default for Scrypt {
    fn default() -> Self {
        Self::new()
    }
}

impl PasswordHasher for Scrypt {
    fn algorithm(&self) -> &'static str {
        "scrypt"
    }

    fn encode(&self, password: &str, salt: &str) -> Result<String, HashingError> {
        self.encode_with(password, salt::checked(salt)?)
            .map_err(|error| HashingError::failed("scrypt cannot hash", error))
    }

    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash> {
        let (hasher, salt) = self.decode(encoded)?;
        Ok(same(encoded, &hasher.encode_with(password, salt)?))
    }

    /// Django looks at the parameters only, not at the salt.
    fn must_update(&self, encoded: &str) -> bool {
        self.decode(encoded).map_or(true, |(hasher, _)| {
            hasher.work_factor != self.work_factor
                || hasher.block_size != self.block_size
                || hasher.parallelism != self.parallelism
        })
    }
}
