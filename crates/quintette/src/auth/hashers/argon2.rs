use ::argon2::{Algorithm, Params, Version};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::encoded::{after_algorithm, at_most, number, parts};
use super::{HashingError, PasswordHasher, UnreadableHash, salt};

/// The most memory that a stored hash may ask for, in KiB: 1 GiB. Django writes 102,400.
pub const MAX_ARGON2_MEMORY: u32 = 1 << 20;

/// The most memory times passes over it that a stored hash may ask for, in KiB. Django writes 204,800.
pub const MAX_ARGON2_WORK: u64 = 1 << 22;

/// The longest digest and the longest salt in a stored hash, in bytes. Django writes 32 and 22.
const MAX_DIGEST: usize = 512;

const DIGEST: usize = 32;

/// Argon2: `Argon2PasswordHasher`.
///
/// `argon2$argon2id$v=19$m=102400,t=2,p=8$salt$digest`, both in base64 without padding. New hashes are of `argon2id`, version
/// 19; those of `argon2i`, `argon2d` and version 16 are verified, and are to be written anew.
///
/// The lanes of a hash are computed one after the other, on one thread.
#[derive(Clone, Debug)]
pub struct Argon2 {
    time_cost: u32,
    memory_cost: u32,
    parallelism: u32,
}

impl Argon2 {
    /// With Django's parameters: two passes over 100 MiB, in eight lanes.
    pub fn new() -> Self {
        Self {
            time_cost: 2,
            memory_cost: 102_400,
            parallelism: 8,
        }
    }

    /// Other parameters: passes, KiB of memory, lanes. Python's attributes of the same names.
    ///
    /// # Errors
    ///
    /// Of kind [`Misconfigured`](super::HashingErrorKind::Misconfigured), if the algorithm does not allow them: there must be
    /// a pass and a lane, and 8 KiB for each lane.
    pub fn with_parameters(
        time_cost: u32,
        memory_cost: u32,
        parallelism: u32,
    ) -> Result<Self, HashingError> {
        let hasher = Self {
            time_cost,
            memory_cost,
            parallelism,
        };
        match Params::new(memory_cost, time_cost, parallelism, Some(DIGEST)) {
            Ok(_) => Ok(hasher),
            Err(error) => Err(HashingError::misconfigured(format!(
                "Argon2 cannot have time_cost={time_cost}, memory_cost={memory_cost}, parallelism={parallelism}: {error}"
            ))),
        }
    }

    fn decode(&self, encoded: &str) -> Result<Decoded, UnreadableHash> {
        let rest = after_algorithm(encoded, self.algorithm())?;
        let (version, [variety, parameters, salt, digest]) = versioned(rest)?;
        let [memory, time, lanes] = parameter_values(parameters)?;
        let own_work = u64::from(self.memory_cost) * u64::from(self.time_cost);
        let most = MAX_ARGON2_MEMORY.max(self.memory_cost);
        at_most("KiB of memory:", memory, most)?;
        let work = u64::from(memory) * u64::from(time);
        at_most(
            "KiB of memory, over all passes:",
            work,
            MAX_ARGON2_WORK.max(own_work),
        )?;
        let (salt, digest) = (bytes(salt)?, bytes(digest)?);
        let params = Params::new(memory, time, lanes, Some(digest.len()))
            .map_err(|_| UnreadableHash::malformed())?;
        Ok(Decoded {
            algorithm: algorithm(variety)?,
            version,
            params,
            salt,
            digest,
        })
    }
}

impl Default for Argon2 {
    fn default() -> Self {
        Self::new()
    }
}

struct Decoded {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

/// Argon2 1.2 and earlier wrote no version, and were of version 16.
fn versioned(rest: &str) -> Result<(Version, [&str; 4]), UnreadableHash> {
    if let Ok(unversioned) = parts::<4>(rest) {
        return Ok((Version::V0x10, unversioned));
    }
    let [variety, version, parameters, salt, digest] = parts(rest)?;
    let version = match version {
        "v=16" => Version::V0x10,
        "v=19" => Version::V0x13,
        _ => return Err(UnreadableHash::malformed()),
    };
    Ok((version, [variety, parameters, salt, digest]))
}

/// Memory, time, lanes: always in this order.
fn parameter_values(text: &str) -> Result<[u32; 3], UnreadableHash> {
    let mut values = [0; 3];
    let mut given = text.split(',');
    for (name, value) in ["m=", "t=", "p="].into_iter().zip(&mut values) {
        let digits = given.next().and_then(|part| part.strip_prefix(name));
        *value = number(digits.ok_or_else(UnreadableHash::malformed)?)?;
    }
    match given.next() {
        None => Ok(values),
        Some(_) => Err(UnreadableHash::malformed()),
    }
}

fn algorithm(variety: &str) -> Result<Algorithm, UnreadableHash> {
    match variety {
        "argon2id" => Ok(Algorithm::Argon2id),
        "argon2i" => Ok(Algorithm::Argon2i),
        "argon2d" => Ok(Algorithm::Argon2d),
        _ => Err(UnreadableHash::malformed()),
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, UnreadableHash> {
    let bytes = BASE64_STANDARD_NO_PAD
        .decode(text)
        .map_err(|_| UnreadableHash::malformed())?;
    at_most("bytes:", bytes.len(), MAX_DIGEST)?;
    Ok(bytes)
}

fn derive(
    variety: (Algorithm, Version),
    params: Params,
    password: &str,
    salt: &[u8],
    digest: &mut [u8],
) -> Result<(), ::argon2::Error> {
    let (algorithm, version) = variety;
    ::argon2::Argon2::new(algorithm, version, params).hash_password_into(
        password.as_bytes(),
        salt,
        digest,
    )
}

impl PasswordHasher for Argon2 {
    fn algorithm(&self) -> &'static str {
        "argon2"
    }

    fn encode(&self, password: &str, salt: &str) -> Result<String, HashingError> {
        let (memory, time, lanes) = (self.memory_cost, self.time_cost, self.parallelism);
        let mut digest = [0; DIGEST];
        Params::new(memory, time, lanes, Some(DIGEST))
            .and_then(|params| {
                let variety = (Algorithm::Argon2id, Version::V0x13);
                derive(variety, params, password, salt.as_bytes(), &mut digest)
            })
            .map_err(|error| HashingError::salt(format!("no salt for Argon2: {error}")))?;
        Ok(format!(
            "argon2$argon2id$v=19$m={memory},t={time},p={lanes}${}${}",
            BASE64_STANDARD_NO_PAD.encode(salt),
            BASE64_STANDARD_NO_PAD.encode(digest)
        ))
    }

    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash> {
        let decoded = self.decode(encoded)?;
        let variety = (decoded.algorithm, decoded.version);
        let mut digest = vec![0; decoded.digest.len()];
        derive(
            variety,
            decoded.params,
            password,
            &decoded.salt,
            &mut digest,
        )
        .map_err(|_| UnreadableHash::malformed())?;
        Ok(digest.ct_eq(&decoded.digest).into())
    }

    fn must_update(&self, encoded: &str) -> bool {
        self.decode(encoded).map_or(true, |decoded| {
            decoded.algorithm != Algorithm::Argon2id
                || decoded.version != Version::V0x13
                || decoded.digest.len() != DIGEST
                || decoded.params.m_cost() != self.memory_cost
                || decoded.params.t_cost() != self.time_cost
                || decoded.params.p_cost() != self.parallelism
                || salt::is_short(decoded.salt.len())
        })
    }
}
