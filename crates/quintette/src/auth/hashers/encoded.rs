use std::borrow::Cow;
use std::str::FromStr;

use subtle::ConstantTimeEq as _;

/// The longest hash that is read, in bytes. Django's column holds 128 characters.
pub const MAX_ENCODED: usize = 1_024;

/// A stored hash that can verify nothing: truncated, written by hand, or dearer than it may be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableHash(Cow<'static, str>);

impl UnreadableHash {
    /// For this reason. It goes to the log, so it must hold nothing of the hash but the cost that it asks for.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }

    pub(super) fn malformed() -> Self {
        Self::new("it is not in the format of its algorithm")
    }
}

/// What follows the algorithm's name.
pub(super) fn after_algorithm<'a>(
    encoded: &'a str,
    algorithm: &str,
) -> Result<&'a str, UnreadableHash> {
    if encoded.len() > MAX_ENCODED {
        return Err(UnreadableHash::new(format!(
            "it is longer than {MAX_ENCODED} bytes"
        )));
    }
    encoded
        .strip_prefix(algorithm)
        .and_then(|rest| rest.strip_prefix('$'))
        .ok_or_else(UnreadableHash::malformed)
}

/// The parts of a hash, exactly so many.
pub(super) fn parts<const N: usize>(text: &str) -> Result<[&str; N], UnreadableHash> {
    let mut parts = [""; N];
    let mut given = text.split('$');
    for part in &mut parts {
        *part = given.next().ok_or_else(UnreadableHash::malformed)?;
    }
    match given.next() {
        None => Ok(parts),
        Some(_) => Err(UnreadableHash::malformed()),
    }
}

/// A parameter as hashers write it. Python reads `" 07"` and `"1_0"` too, but then compares with what it would have written.
pub(super) fn number<T: FromStr>(text: &str) -> Result<T, UnreadableHash> {
    let plain =
        text.bytes().all(|digit| digit.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(UnreadableHash::malformed)
}

/// A parameter within its bound, which `what` names.
pub(super) fn at_most<T: Copy + PartialOrd + std::fmt::Display>(
    what: &str,
    asked: T,
    most: T,
) -> Result<T, UnreadableHash> {
    if asked > most {
        return Err(UnreadableHash::new(format!(
            "it asks for {what} {asked}, and no more than {most} are spent on a hash from a database"
        )));
    }
    Ok(asked)
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(super) fn same(encoded: &str, again: &str) -> bool {
    encoded.as_bytes().ct_eq(again.as_bytes()).into()
}
