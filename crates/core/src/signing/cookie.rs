use chrono::TimeDelta;

use super::{Keys, SignatureError, TimestampSigner};

/// The salt of Django's `get_cookie_signer` where none is given.
pub const COOKIE_SIGNER_SALT: &str = "django.core.signing.get_cookie_signer";

/// Signs cookies, with keys that sign nothing else: `django.core.signing.get_cookie_signer`.
///
/// Django's own cookies have salts of their own; for those that `set_signed_cookie` writes, see [`sign_cookie`].
pub fn cookie_signer(keys: &Keys, salt: &str) -> TimestampSigner {
    TimestampSigner::with_key_prefix(keys, b"django.http.cookies", salt)
}

/// The salt for a cookie of `set_signed_cookie`, in Django 5.2.19 and those released since.
pub fn cookie_salt(name: &str, salt: &str) -> String {
    // Python counts characters. The count keeps ("a", "bc") apart from ("ab", "c").
    let length = salt.chars().count();
    format!("django.http.cookies.v2:{length}:{salt}{name}")
}

/// The salt for the same cookie in earlier Django, 4.2 among it.
pub fn legacy_cookie_salt(name: &str, salt: &str) -> String {
    format!("{name}{salt}")
}

/// The value that `HttpResponse.set_signed_cookie(name, value, salt)` gives a cookie.
///
/// Django 4.2 cannot read it; for that, sign with `cookie_signer(keys, &legacy_cookie_salt(name, salt))`.
///
/// ```
/// use quintette_core::signing::{Keys, sign_cookie, unsign_cookie};
///
/// let keys = Keys::new("secret");
/// let value = sign_cookie(&keys, "theme", "", "dark");
/// assert_eq!(unsign_cookie(&keys, "theme", "", &value, None, true)?, "dark");
/// # Ok::<(), quintette_core::signing::SignatureError>(())
/// ```
pub fn sign_cookie(keys: &Keys, name: &str, salt: &str, value: &str) -> String {
    cookie_signer(keys, &cookie_salt(name, salt)).sign(value)
}

/// The value that `HttpRequest.get_signed_cookie(name, salt=salt, max_age=max_age)` finds in a cookie.
///
/// `legacy_salt_fallback` is Django's setting `SIGNED_COOKIE_LEGACY_SALT_FALLBACK`, on by default there: whether the
/// cookies of earlier versions are accepted too.
///
/// # Errors
///
/// If the signature is missing, wrong or older than `max_age`.
pub fn unsign_cookie<'a>(
    keys: &Keys,
    name: &str,
    salt: &str,
    signed: &'a str,
    max_age: Option<TimeDelta>,
    legacy_salt_fallback: bool,
) -> Result<&'a str, SignatureError> {
    match cookie_signer(keys, &cookie_salt(name, salt)).unsign(signed, max_age) {
        Err(SignatureError::Unsigned | SignatureError::Mismatch) if legacy_salt_fallback => {
            cookie_signer(keys, &legacy_cookie_salt(name, salt)).unsign(signed, max_age)
        }
        result => result,
    }
}
