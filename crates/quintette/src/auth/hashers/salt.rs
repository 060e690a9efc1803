use super::{HashingError, UnreadableHash};

/// `RANDOM_STRING_CHARS` of Django.
const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// So many characters of that alphabet carry 128 bits: Django's `salt_entropy`.
pub(super) const LENGTH: usize = 22;

/// What no hash starts with, and how much random text Django puts after it.
const UNUSABLE: char = '!';
const UNUSABLE_LENGTH: usize = 40;

/// A password that nothing matches, for a user who cannot log in with one: `make_password(None)`, `set_unusable_password`.
///
/// It is random, so that what is derived from it (the tokens that reset a password, say) is no one else's.
///
/// ```
/// use quintette::auth::hashers::{is_password_usable, unusable_password};
///
/// let encoded = unusable_password()?;
/// assert_eq!(encoded.len(), 41);
/// assert!(!is_password_usable(&encoded));
/// # Ok::<(), quintette::auth::hashers::HashingError>(())
/// ```
///
/// # Errors
///
/// Of kind [`Failed`](super::HashingErrorKind::Failed), if the system has no randomness.
pub fn unusable_password() -> Result<String, HashingError> {
    random_text(UNUSABLE_LENGTH).map(|text| format!("{UNUSABLE}{text}"))
}

/// Whether a stored password is one at all, and not what [`unusable_password`] made: `is_password_usable`.
pub fn is_password_usable(encoded: &str) -> bool {
    !encoded.starts_with(UNUSABLE)
}

/// Random letters and digits: `get_random_string`.
pub(super) fn random_text(length: usize) -> Result<String, HashingError> {
    let mut text = String::with_capacity(length);
    let mut random = [0; 64];
    while text.len() < length {
        getrandom::fill(&mut random)
            .map_err(|error| HashingError::failed("the system has no randomness", error))?;
        // Six bits of each byte, and another try for what is past the alphabet, so that each character is as likely.
        let characters = random
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)))
            .map(|character| char::from(*character));
        text.extend(characters.take(length - text.len()));
    }
    Ok(text)
}

/// A salt that is something, and ends where the next `$` says: `_check_encode_args`.
pub(super) fn checked(salt: &str) -> Result<&str, HashingError> {
    if salt.is_empty() || salt.contains('$') {
        return Err(HashingError::salt(
            "a salt must not be empty and must not hold a \"$\"",
        ));
    }
    Ok(salt)
}

/// The same, of a salt that stands in a hash.
pub(super) fn stored(salt: &str) -> Result<&str, UnreadableHash> {
    checked(salt).map_err(|_| UnreadableHash::malformed())
}

/// Whether a salt of so many characters carries less than 128 bits: `must_update_salt`.
pub(super) fn is_short(characters: usize) -> bool {
    characters < LENGTH
}
