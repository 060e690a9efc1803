//! Secrets and the tokens that carry them, masked: `django/middleware/csrf.py`.

use std::fmt;

use quintette_core::session::SessionError;
use subtle::ConstantTimeEq;

/// Django's `CSRF_ALLOWED_CHARS`: its order is that of the arithmetic.
const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const SECRET_LENGTH: usize = 32;
const TOKEN_LENGTH: usize = 2 * SECRET_LENGTH;

/// What the visitor's cookie or session holds, and what each token of that visitor carries. Not for logs.
#[derive(Clone)]
pub(super) struct Secret([u8; SECRET_LENGTH]);

/// What is wrong with a token that a visitor sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenProblem {
    /// It has neither the length of a secret nor that of a masked one.
    #[error("has incorrect length")]
    Length,
    /// It has characters that are in no token.
    #[error("has invalid characters")]
    Characters,
    /// It is another visitor's, an old one, or made up.
    #[error("incorrect")]
    Incorrect,
}

impl Secret {
    /// A new secret, from the operating system's randomness.
    pub(super) fn random() -> Result<Self, SessionError> {
        let mut letters = [0; SECRET_LENGTH];
        let mut missing = letters.iter_mut();
        let mut bytes = [0_u8; 48];
        loop {
            getrandom::fill(&mut bytes)
                .map_err(|error| SessionError::unavailable("the system's randomness", error))?;
            // 248 is the largest multiple of 62 in a byte: larger values would favour the first letters.
            for byte in bytes.iter().filter(|byte| **byte < 248) {
                match missing.next() {
                    Some(letter) => *letter = ALPHABET[usize::from(byte % 62)],
                    None => return Ok(Self(letters)),
                }
            }
        }
    }

    /// The secret in this text, which is masked where it has a token's length. Django masked also what it stored, until 4.0.
    pub(super) fn parse(text: &str) -> Result<Self, TokenProblem> {
        let length = text.chars().count();
        if length != SECRET_LENGTH && length != TOKEN_LENGTH {
            return Err(TokenProblem::Length);
        }
        let letters = text.as_bytes();
        if !letters.iter().all(u8::is_ascii_alphanumeric) {
            return Err(TokenProblem::Characters);
        }
        let (mask, secret) = letters.split_at(length - SECRET_LENGTH);
        let mut unmasked = [0; SECRET_LENGTH];
        unmasked.copy_from_slice(secret);
        for (letter, mask) in unmasked.iter_mut().zip(mask) {
            *letter = ALPHABET[(index(*letter) + ALPHABET.len() - index(*mask)) % ALPHABET.len()];
        }
        Ok(Self(unmasked))
    }

    /// A token that carries this secret, another one each time: with a secret that repeats in compressed pages, an
    /// attacker could guess it letter by letter (BREACH). Django's `get_token`.
    pub(super) fn masked(&self) -> Result<String, SessionError> {
        let mask = Self::random()?;
        let pairs = self.0.iter().zip(&mask.0);
        let cipher = pairs.map(|(letter, mask)| ALPHABET[(index(*letter) + index(*mask)) % 62]);
        Ok(mask
            .0
            .iter()
            .copied()
            .chain(cipher)
            .map(char::from)
            .collect())
    }

    /// The secret as it is stored.
    pub(super) fn text(&self) -> String {
        self.0.iter().copied().map(char::from).collect()
    }

    /// Whether a token carries this secret.
    pub(super) fn check(&self, token: &str) -> Result<(), TokenProblem> {
        let sent = Self::parse(token)?;
        if bool::from(sent.0.ct_eq(&self.0)) {
            Ok(())
        } else {
            Err(TokenProblem::Incorrect)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The place of an ASCII letter or digit in the alphabet.
fn index(letter: u8) -> usize {
    usize::from(match letter {
        b'a'..=b'z' => letter - b'a',
        b'A'..=b'Z' => letter - b'A' + 26,
        _ => letter.wrapping_sub(b'0') % 10 + 52,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "lcccccccX2kcccccccY2jcccccccssIC";
    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccccccccccccccccccc";

    /// Tokens and what Django 5.2's `_unmask_cipher_token` makes of them.
    #[test]
    fn a_token_is_unmasked_as_django_does() {
        for (secret, token) in [
            (
                SECRET,
                "1bcdefghij2bcdefghij3bcdefghij4bcdefghij5bcdefghij6bcdefghijABCD".to_owned(),
            ),
            (
                SECRET,
                "2JgchWvM1tpxT2lfz9aydoXW9yT1DN3NdLiejYxOOlzzV4nhBbYqmqZYbAV3V5Bf".to_owned(),
            ),
            (
                A,
                "vFioG3XOLyGyGsPRFyB9iYUs341ufzIEvFioG3XOLyGyGsPRFyB9iYUs341ufzIE".to_owned(),
            ),
            (A, format!("{B}{B}")),
            (B, format!("{A}{B}")),
            (B, format!("{B}{C}")),
            (C, format!("{A}{C}")),
            (SECRET, SECRET.to_owned()),
        ] {
            assert_eq!(Secret::parse(&token).unwrap().text(), secret, "{token}");
        }
    }

    #[test]
    fn every_token_is_another_and_carries_the_secret() {
        let secret = Secret::parse(SECRET).unwrap();
        let (one, other) = (secret.masked().unwrap(), secret.masked().unwrap());
        assert_ne!(one, other);
        for token in [&one, &other] {
            assert_eq!(token.len(), TOKEN_LENGTH);
            assert_eq!(secret.check(token), Ok(()));
            assert!(!token.contains(SECRET));
        }
    }

    #[test]
    fn a_token_that_is_none_is_told_from_one_that_is_wrong() {
        let secret = Secret::parse(SECRET).unwrap();
        let told = |token: &str| secret.check(token).unwrap_err().to_string();
        assert_eq!(told(&A[..16]), "has incorrect length");
        assert_eq!(told(""), "has incorrect length");
        assert_eq!(told(&"*".repeat(64)), "has invalid characters");
        assert_eq!(told(&"é".repeat(32)), "has invalid characters");
        assert_eq!(told(&"é".repeat(16)), "has incorrect length");
        assert_eq!(told(A), "incorrect");
        assert_eq!(told(&A.repeat(2)), "incorrect");
    }

    #[test]
    fn secrets_are_random_over_the_whole_alphabet() {
        let mut counts = std::collections::HashMap::new();
        for _ in 0..2_000 {
            for letter in Secret::random().unwrap().text().chars() {
                *counts.entry(letter).or_insert(0_u32) += 1;
            }
        }
        // 64,000 letters over 62 places: 1,032 each. Ten standard deviations are about 320.
        assert_eq!(counts.len(), 62);
        assert!(
            counts.values().all(|count| (712..1_352).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn debug_keeps_the_secret() {
        assert!(!format!("{:?}", Secret::parse(SECRET).unwrap()).contains("lccc"));
    }
}
