use std::fmt;

/// The name of one session: what the visitor's cookie holds.
///
/// Whoever knows a session's key is that visitor, so `Debug` prints nothing of it. Django's `session_key`.
///
/// ```
/// use quintette_core::session::SessionKey;
///
/// let key = SessionKey::random()?;
/// assert_eq!(key.as_str().len(), 32);
/// assert!(SessionKey::parse("short").is_none());
/// # Ok::<(), quintette_core::session::SessionError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(Box<str>);

/// Django's `VALID_KEY_CHARS` (django/contrib/sessions/backends/base.py).
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 32;
const SHORTEST: usize = 8;

impl SessionKey {
    /// A new key: 32 characters of a–z and 0–9 (165 bits) from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// Where the operating system has no randomness to give.
    pub fn random() -> Result<Self, super::SessionError> {
        // 252 is the largest multiple of 36 in a byte: larger values would favour the first letters.
        let mut key = String::with_capacity(LENGTH);
        let mut bytes = [0_u8; 48];
        while key.len() < LENGTH {
            getrandom::fill(&mut bytes).map_err(|error| {
                super::SessionError::unavailable("the system's randomness", error)
            })?;
            let fair = bytes.iter().filter(|byte| **byte < 252);
            key.extend(
                fair.take(LENGTH - key.len())
                    .map(|byte| char::from(ALPHABET[usize::from(byte % 36)])),
            );
        }
        Ok(Self(key.into()))
    }

    /// A key as a visitor sent it; `None` where it is shorter than Django accepts (8 characters).
    ///
    /// Anything else may be in it: an engine treats it as the attacker's.
    pub fn parse(text: impl Into<Box<str>>) -> Option<Self> {
        let text = text.into();
        (text.chars().take(SHORTEST).count() == SHORTEST).then_some(Self(text))
    }

    /// The key's text. Do not log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether Django could have made this key: nothing but a–z and 0–9. Only such a key may become part of a file's name.
    pub fn is_plain(&self) -> bool {
        self.0.bytes().all(|byte| ALPHABET.contains(&byte))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_keys_are_djangos_and_never_the_same() {
        let first = SessionKey::random().unwrap();
        let second = SessionKey::random().unwrap();
        assert_ne!(first, second);
        assert!(first.is_plain() && first.as_str().len() == 32);
    }

    #[test]
    fn every_letter_is_drawn_about_as_often() {
        let mut counts = std::collections::HashMap::new();
        for _ in 0..2_000 {
            for letter in SessionKey::random().unwrap().as_str().chars() {
                *counts.entry(letter).or_insert(0_u32) += 1;
            }
        }
        // 64,000 letters over 36 places: 1,778 each. Ten standard deviations are about 420.
        assert_eq!(counts.len(), 36);
        assert!(
            counts.values().all(|count| (1_358..2_198).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn eight_characters_are_enough_and_seven_are_not() {
        assert!(SessionKey::parse("1234567").is_none());
        assert!(SessionKey::parse("가나다라마바사").is_none());
        assert!(SessionKey::parse("12345678").is_some());
    }

    #[test]
    fn debug_keeps_the_secret() {
        let key = SessionKey::parse("abcdefgh12345678").unwrap();
        assert!(!format!("{key:?}").contains("abcdefgh"));
    }
}
