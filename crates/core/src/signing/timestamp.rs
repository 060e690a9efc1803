use chrono::{DateTime, TimeDelta, Utc};

use super::{Keys, PayloadError, SignatureError, Signer, UnsafeSeparator, payload};

/// Signs text together with the time, in whole seconds: `django.core.signing.TimestampSigner`.
///
/// ```
/// use chrono::TimeDelta;
/// use quintette_core::signing::{Keys, TimestampSigner};
///
/// let signer = TimestampSigner::new(&Keys::new("secret"), "invitation");
/// let signed = signer.sign("jane");
/// assert_eq!(signer.unsign(&signed, Some(TimeDelta::hours(1)))?, "jane");
/// # Ok::<(), quintette_core::signing::SignatureError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimestampSigner(Signer);

impl TimestampSigner {
    /// Signs for the purpose that `salt` names. Without one, the salt is the name of Django's class, as it is there.
    pub fn new(keys: &Keys, salt: &str) -> Self {
        Self::with_key_prefix(keys, b"", salt)
    }

    pub(super) fn with_key_prefix(keys: &Keys, key_prefix: &[u8], salt: &str) -> Self {
        let class = "django.core.signing.TimestampSigner";
        Self(Signer::with_class_salt(keys, key_prefix, salt, class))
    }

    /// Puts another character than `:` before the time and the signature.
    ///
    /// # Errors
    ///
    /// If the character is one that Django does not allow here, since it may be part of a signature.
    pub fn with_separator(self, separator: char) -> Result<Self, UnsafeSeparator> {
        self.0.with_separator(separator).map(Self)
    }

    /// The text, the time now and the signature.
    pub fn sign(&self, text: &str) -> String {
        self.sign_at(text, Utc::now())
    }

    /// The same, as if it were signed at `time`.
    pub fn sign_at(&self, text: &str, time: DateTime<Utc>) -> String {
        let separator = self.0.separator();
        // Python's int() cuts off the fraction towards zero, also before 1970.
        let seconds = time.timestamp_micros() / 1_000_000;
        self.0
            .sign(&format!("{text}{separator}{}", base62(seconds)))
    }

    /// The text that was signed, if that was no longer than `max_age` ago.
    ///
    /// A time in the future is accepted, as by Django: the clock of the machine that signed may be ahead.
    ///
    /// # Errors
    ///
    /// If the signature is missing, wrong or older than `max_age`, or if there is no time before it.
    pub fn unsign<'a>(
        &self,
        signed: &'a str,
        max_age: Option<TimeDelta>,
    ) -> Result<&'a str, SignatureError> {
        let (text, seconds) = self.split(signed)?;
        if let Some(max_age) = max_age {
            let age = age(seconds, Utc::now());
            if age > max_age {
                return Err(SignatureError::Expired { age, max_age });
            }
        }
        Ok(text)
    }

    /// When the text was signed.
    ///
    /// # Errors
    ///
    /// If the signature is missing or wrong, or if there is no time before it.
    pub fn timestamp(&self, signed: &str) -> Result<DateTime<Utc>, SignatureError> {
        let (_, seconds) = self.split(signed)?;
        DateTime::from_timestamp(seconds, 0).ok_or(SignatureError::BadTimestamp)
    }

    /// Signs bytes: `sign_object`, where the bytes are what the serializer returned.
    ///
    /// With `compress`, they are compressed where that makes them shorter; a leading `.` says so.
    pub fn sign_bytes(&self, payload: &[u8], compress: bool) -> String {
        self.sign(&payload::encode(payload, compress))
    }

    /// The bytes that were signed: `unsign_object`, before the serializer.
    ///
    /// # Errors
    ///
    /// As [`unsign`](Self::unsign), and where the bytes cannot be decoded or exceed
    /// [`MAX_DECOMPRESSED`](super::MAX_DECOMPRESSED).
    pub fn unsign_bytes(
        &self,
        signed: &str,
        max_age: Option<TimeDelta>,
    ) -> Result<Vec<u8>, SignatureError> {
        let encoded = self.unsign(signed, max_age)?;
        payload::decode(encoded).map_err(PayloadError::into)
    }

    fn split<'a>(&self, signed: &'a str) -> Result<(&'a str, i64), SignatureError> {
        let (text, timestamp) = self
            .0
            .unsign(signed)?
            .rsplit_once(self.0.separator())
            .ok_or(SignatureError::BadTimestamp)?;
        let seconds = parse_base62(timestamp).ok_or(SignatureError::BadTimestamp)?;
        Ok((text, seconds))
    }
}

/// How long ago a time in Unix seconds was; as much as can be said where that is more.
fn age(seconds: i64, now: DateTime<Utc>) -> TimeDelta {
    let whole =
        TimeDelta::try_seconds(now.timestamp().saturating_sub(seconds)).unwrap_or(if seconds < 0 {
            TimeDelta::MAX
        } else {
            TimeDelta::MIN
        });
    let fraction = TimeDelta::nanoseconds(now.timestamp_subsec_nanos().into());
    whole.checked_add(&fraction).unwrap_or(whole)
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A number in Django's base 62.
fn base62(number: i64) -> String {
    let mut digits = Vec::with_capacity(12);
    let mut rest = number.unsigned_abs();
    loop {
        digits.push(char::from(ALPHABET[(rest % 62) as usize]));
        rest /= 62;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

/// Leading zeros and a lone minus are numbers to Django too. Its integers have no end; ours are 64 bits wide.
fn parse_base62(text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    digits.bytes().try_fold(0_i64, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        let digit = if negative {
            -i64::from(digit)
        } else {
            i64::from(digit)
        };
        number.checked_mul(62)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base_62_counts_digits_then_capitals_then_small_letters() {
        let known = [
            (0, "0"),
            (9, "9"),
            (10, "A"),
            (36, "a"),
            (61, "z"),
            (62, "10"),
            (1_760_000_000, "1v6mOm"),
            (-62, "-10"),
        ];
        for (number, text) in known {
            assert_eq!(base62(number), text);
            assert_eq!(parse_base62(text), Some(number));
        }
    }

    #[test]
    fn what_django_takes_for_a_number_is_one() {
        assert_eq!(parse_base62("-"), Some(0));
        assert_eq!(parse_base62("-0"), Some(0));
        assert_eq!(parse_base62("000z"), Some(61));
    }

    #[test]
    fn what_django_takes_for_no_number_is_none() {
        for text in ["", "--1", "+1", " 1", "1 ", "1_0", "é", "１"] {
            assert_eq!(parse_base62(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_refused() {
        assert_eq!(parse_base62(&base62(i64::MAX)), Some(i64::MAX));
        assert_eq!(parse_base62(&"z".repeat(11)), None);
    }

    proptest! {
        #[test]
        fn any_number_survives_base_62(number: i64) {
            prop_assert_eq!(parse_base62(&base62(number)), Some(number));
        }

        #[test]
        fn the_age_of_any_time_can_be_told(seconds: i64) {
            let now = DateTime::from_timestamp(1_760_000_000, 500).expect("a time");
            let age = age(seconds, now);
            prop_assert_eq!(age > TimeDelta::zero(), seconds <= now.timestamp());
        }
    }
}
