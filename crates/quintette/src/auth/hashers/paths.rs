use std::sync::Arc;

use super::{Argon2, BCrypt, HashingError, Md5, PasswordHasher, Pbkdf2, Scrypt};

const MODULE: &str = "django.contrib.auth.hashers.";

/// The hasher that Django's dotted path names.
pub(super) fn hasher(path: &str) -> Result<Arc<dyn PasswordHasher>, HashingError> {
    let class = path.strip_prefix(MODULE);
    Ok(match class {
        Some("PBKDF2PasswordHasher") => Arc::new(Pbkdf2::sha256()),
        Some("PBKDF2SHA1PasswordHasher") => Arc::new(Pbkdf2::sha1()),
        Some("Argon2PasswordHasher") => Arc::new(Argon2::new()),
        Some("BCryptSHA256PasswordHasher") => Arc::new(BCrypt::sha256()),
        Some("BCryptPasswordHasher") => Arc::new(BCrypt::plain()),
        Some("ScryptPasswordHasher") => Arc::new(Scrypt::new()),
        Some("MD5PasswordHasher") => Arc::new(Md5::new()),
        _ => return Err(unknown(path)),
    })
}

fn unknown(path: &str) -> HashingError {
    let shown: String = path.chars().take(120).collect();
    HashingError::misconfigured(format!(
        "PASSWORD_HASHERS names {shown:?}, which is not here: write one of PBKDF2PasswordHasher, \
         PBKDF2SHA1PasswordHasher, Argon2PasswordHasher, BCryptSHA256PasswordHasher, BCryptPasswordHasher, \
         ScryptPasswordHasher and MD5PasswordHasher after \"{MODULE}\". A hasher of your own, or one of these with other \
         parameters, is given in code: PasswordHashers::with"
    ))
}
