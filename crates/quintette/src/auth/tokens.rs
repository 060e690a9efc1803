//! Tokens that reset a password, and the hash that ends the sessions of an old one: `django.contrib.auth.tokens`.
//!
//! A token made here is accepted by a Django with the same `SECRET_KEY`, `TIME_ZONE` and `USE_TZ`, and the other way round.
//! It is stored nowhere: it is an HMAC over what a reset changes, so that it works once.
//!
//! ```
//! use quintette::auth::tokens::{PasswordResetTokenGenerator, TokenUser, urlsafe_base64_decode, urlsafe_base64_encode};
//! use quintette::signing::Keys;
//! use quintette::time::TimeZone;
//!
//! # let zone = "Asia/Seoul".parse()?;
//! let time_zone = TimeZone { use_tz: true, zone };
//! let tokens = PasswordResetTokenGenerator::new(&Keys::new("secret"), time_zone);
//! let jane = TokenUser {
//!     id: "42",
//!     password: "pbkdf2_sha256$1000000$...",
//!     last_login: None,
//!     email: Some("jane@example.com"),
//! };
//! let link = format!("/reset/{}/{}/", urlsafe_base64_encode(jane.id), tokens.make_token(&jane));
//!
//! // When the link is followed:
//! # let mut parts = link.split('/').skip(2);
//! # let (uid, token) = (parts.next().unwrap(), parts.next().unwrap());
//! assert_eq!(urlsafe_base64_decode(uid).as_deref(), Some("42".as_bytes()));
//! assert!(tokens.check_token(&jane, token));
//! // With the new password, the token is no longer one.
//! assert!(!tokens.check_token(&TokenUser { password: "another hash", ..jane }, token));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: `django/contrib/auth/tokens.py`, `django/contrib/auth/base_user.py` and `django/utils/http.py` of Django 5.2.19.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use quintette_core::signing::{Keys, SecretKey, salted_hmac};
use quintette_core::time::TimeZone;
use subtle::ConstantTimeEq as _;

const RESET_SALT: &str = "django.contrib.auth.tokens.PasswordResetTokenGenerator";
const SESSION_SALT: &str = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";

/// As many digits as 64 bits can need, and Django reads.
const MAX_BASE36: usize = 13;

/// The longest token that is looked at, in bytes: a time, a dash and half of the digits of a SHA-256.
const MAX_TOKEN: usize = MAX_BASE36 + 1 + 32;

/// Makes and checks the tokens that reset passwords: `PasswordResetTokenGenerator`.
#[derive(Clone, Debug)]
pub struct PasswordResetTokenGenerator {
    keys: Keys,
    time_zone: TimeZone,
    timeout: TimeDelta,
}

/// What a token is bound to. When one of these changes, the token is void.
#[derive(Clone, Copy)]
pub struct TokenUser<'a> {
    /// The primary key, as Python's `str()` writes it.
    pub id: &'a str,
    /// The hash in the column `password`.
    pub password: &'a str,
    /// When the user last logged in.
    pub last_login: Option<DateTime<Utc>>,
    /// The mail address, where the user has one.
    pub email: Option<&'a str>,
}

/// Whose token it is, without the secret.
impl fmt::Debug for TokenUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenUser")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl PasswordResetTokenGenerator {
    /// With Django's default of three days.
    ///
    /// `keys` are `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
    pub fn new(keys: &Keys, time_zone: TimeZone) -> Self {
        Self {
            keys: keys.clone(),
            time_zone,
            timeout: TimeDelta::days(3),
        }
    }

    /// For how long a token is good, in whole seconds: `PASSWORD_RESET_TIMEOUT`.
    #[must_use]
    pub fn with_timeout(self, timeout: TimeDelta) -> Self {
        Self { timeout, ..self }
    }

    /// A token for this user, of at most 46 characters that need no escaping in a URL.
    pub fn make_token(&self, user: &TokenUser<'_>) -> String {
        self.make_token_at(user, Utc::now())
    }

    fn make_token_at(&self, user: &TokenUser<'_>, now: DateTime<Utc>) -> String {
        self.token(user, self.seconds(now), self.keys.secret())
    }

    /// Whether a token was made for this user, with one of the keys, not too long ago, and not used since.
    ///
    /// As in Django, one from the future is good.
    pub fn check_token(&self, user: &TokenUser<'_>, token: &str) -> bool {
        self.check_token_at(user, token, Utc::now())
    }

    fn check_token_at(&self, user: &TokenUser<'_>, token: &str, now: DateTime<Utc>) -> bool {
        if token.len() > MAX_TOKEN {
            return false;
        }
        let Some(made) = token
            .split_once('-')
            .and_then(|(seconds, _)| base36_to_int(seconds))
        else {
            return false;
        };
        let genuine = self.keys.iter().any(|secret| {
            let expected = self.token(user, made, secret);
            expected.as_bytes().ct_eq(token.as_bytes()).into()
        });
        let age = i128::from(self.seconds(now)) - i128::from(made);
        genuine && age <= i128::from(self.timeout.num_seconds())
    }

    fn token(&self, user: &TokenUser<'_>, seconds: u64, secret: &SecretKey) -> String {
        let last_login = user.last_login.map(|time| self.last_login(time));
        let value = format!(
            "{}{}{}{seconds}{}",
            user.id,
            user.password,
            last_login.unwrap_or_default(),
            user.email.unwrap_or_default()
        );
        let digits = hex(&salted_hmac(RESET_SALT, value, secret));
        let half: String = digits.chars().step_by(2).collect();
        format!("{}-{half}", int_to_base36(seconds))
    }

    /// As Python writes the column's value, without a fraction and an offset.
    fn last_login(&self, time: DateTime<Utc>) -> String {
        self.time_zone
            .to_naive(time)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    }

    /// Since the beginning of 2001 on the clock of `TIME_ZONE`: Django sets the clock of its process to it, `USE_TZ` or not.
    fn seconds(&self, now: DateTime<Utc>) -> u64 {
        const EPOCH: NaiveDateTime = NaiveDateTime::new(
            NaiveDate::from_ymd_opt(2001, 1, 1).expect("a day"),
            NaiveTime::MIN,
        );
        let local = now.with_timezone(&self.time_zone.zone).naive_local();
        // A clock before 2001 is one that was never set.
        local
            .signed_duration_since(EPOCH)
            .num_seconds()
            .try_into()
            .unwrap_or_default()
    }
}

/// The hash that a session keeps of its user's password, so that it ends when that changes: `get_session_auth_hash`.
///
/// `password` is the hash in the column of that name. Compare the result in constant time.
pub fn session_auth_hash(password: &str, keys: &Keys) -> String {
    session_auth_hash_with(password, keys.secret())
}

/// The same with each of the earlier keys, under which sessions are still good: `get_session_auth_fallback_hash`.
pub fn session_auth_fallback_hashes(password: &str, keys: &Keys) -> impl Iterator<Item = String> {
    keys.fallbacks()
        .iter()
        .map(move |secret| session_auth_hash_with(password, secret))
}

fn session_auth_hash_with(password: &str, secret: &SecretKey) -> String {
    hex(&salted_hmac(SESSION_SALT, password, secret))
}

/// In lower case, as Python's `hexdigest`.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// A number in base 36, with small letters: `django.utils.http.int_to_base36`.
pub fn int_to_base36(number: u64) -> String {
    let mut digits = Vec::with_capacity(MAX_BASE36);
    let mut rest = number;
    loop {
        digits.push(char::from_digit((rest % 36) as u32, 36).unwrap_or('0'));
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    digits.iter().rev().collect()
}

/// The number that digits of base 36 stand for, where it fits into 64 bits: `django.utils.http.base36_to_int`.
///
/// Only letters and digits are digits; Django's takes a sign, underscores and spaces too.
pub fn base36_to_int(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > MAX_BASE36 {
        return None;
    }
    text.chars().try_fold(0_u64, |number, digit| {
        number
            .checked_mul(36)?
            .checked_add(digit.to_digit(36)?.into())
    })
}

/// Bytes for a URL, such as a user's id: `django.utils.http.urlsafe_base64_encode`.
pub fn urlsafe_base64_encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes that [`urlsafe_base64_encode`] was given: `django.utils.http.urlsafe_base64_decode`.
///
/// Padding may follow. Unlike Django's, it ignores no characters that are not base64: a text means one thing or nothing.
pub fn urlsafe_base64_decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .ok()
}

#[cfg(test)]
mod tests;
