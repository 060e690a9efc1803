mod cipher;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use quintette_core::session::{
    Cleared, Created, Deleted, Listed, Receipt, Record, Replaced, Revision, Serializer,
    SessionData, SessionEngine, SessionError, SessionErrorKind, SessionKey, Stored,
};
use quintette_core::settings::Settings;
use quintette_core::signing::TimestampSigner;
use tracing::{debug, info};

use cipher::{Cipher, CipherError};

/// The salt of Django's cookies (`django/contrib/sessions/backends/signed_cookies.py`).
const SALT: &str = "django.contrib.sessions.backends.signed_cookies";

/// How much browsers keep: a name and a value of 4,096 bytes (RFC 6265bis, section 5.6).
const MAX_COOKIE: usize = 4_096;

/// What is read at the most. Clients that are no browsers keep larger cookies of Django's; this is past all of them.
const MAX_READ: usize = 16 * MAX_COOKIE;

/// Sessions in the visitors' cookies, and nowhere else. Django's `django.contrib.sessions.backends.signed_cookies`.
///
/// The key of such a session *is* its data, signed, so that each save changes the key. There is no store that could be
/// down, and none that could decide:
///
/// - The visitor can **read** the session. See below for what to do about that.
/// - The **last response wins**: of two requests at once, the changes of one are lost.
/// - A logout cannot take back a **copy** of the cookie. It is good for `SESSION_COOKIE_AGE` after it was signed, and a
///   session's own expiry does not shorten that, as in Django.
/// - A cookie of more than 4,096 bytes (`name=value`) is an error of kind
///   [`TooLarge`](SessionErrorKind::TooLarge), since browsers drop it without a word.
///
/// A cookie that was forged, is too old, or was signed with a key that is gone is read as an empty session that is to
/// be written anew.
///
/// # Encryption
///
/// With `SESSION_COOKIE_ENCRYPTED`, which Django lacks, the cookie is encrypted and authenticated
/// (XChaCha20-Poly1305), so that the visitor cannot read it. **Django cannot read it either**, and a signed cookie is
/// not accepted then: to switch is to log everyone out. The rest of the list above holds as before.
///
/// The data is compressed before it is encrypted, and the length of the cookie shows how well that went. Do not keep a
/// secret in such a session (a token, say) beside text that somebody else chooses and can have changed again and again
/// while he watches the length (the attack known as CRIME).
///
/// ```
/// use std::sync::Arc;
/// use quintette::sessions::{Sessions, engines::SignedCookiesEngine};
/// use quintette::settings::Settings;
///
/// let settings = Settings::new("a long and random text");
/// let sessions = Sessions::new(Arc::new(SignedCookiesEngine::new(&settings)), settings);
/// ```
#[derive(Clone)]
pub struct SignedCookiesEngine {
    seal: Seal,
    serializer: Arc<dyn Serializer>,
    cookie_name: String,
    max_age: TimeDelta,
}

/// What keeps a cookie from being changed: the signature of Django's, or encryption.
#[derive(Clone)]
enum Seal {
    Signed(TimestampSigner),
    Encrypted(Cipher),
}

impl SignedCookiesEngine {
    /// With the keys, the serializer and the cookie of the settings.
    pub fn new(settings: &Settings) -> Self {
        let cookie_name = settings.session_cookie_name.as_str().to_owned();
        let seal = if settings.session_cookie_encrypted {
            Seal::Encrypted(Cipher::new(&settings.secret_key, &cookie_name))
        } else {
            Seal::Signed(TimestampSigner::new(&settings.secret_key, SALT))
        };
        Self {
            seal,
            serializer: <dyn Serializer>::named(settings.session_serializer),
            cookie_name,
            max_age: settings.session_cookie_age,
        }
    }

    /// The same with the application's own serializer.
    #[must_use]
    pub fn with_serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Arc::new(serializer);
        self
    }
}

#[async_trait]
impl SessionEngine for SignedCookiesEngine {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        Ok(Some(match self.read(key.as_str()) {
            Ok(data) => Stored::new(data, nothing_to_compare()),
            Err(rejection) => {
                rejection.log();
                let mut stored = Stored::new(SessionData::default(), nothing_to_compare());
                stored.rewrite = true;
                stored
            }
        }))
    }

    async fn create(
        &self,
        _key: &SessionKey,
        record: &Record<'_>,
    ) -> Result<Created, SessionError> {
        Ok(Created::Stored(self.write(record)?))
    }

    async fn replace(
        &self,
        _key: &SessionKey,
        _seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        Ok(Replaced::Stored(self.write(record)?))
    }

    /// Signs the same data anew, since its age counts from then.
    async fn touch(
        &self,
        _key: &SessionKey,
        _seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        Ok(Replaced::Stored(self.write(record)?))
    }

    /// All there is to delete is the cookie, which the response does.
    async fn delete(
        &self,
        _key: &SessionKey,
        _seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        Ok(Deleted::Deleted)
    }

    /// What has expired is no longer accepted.
    async fn clear_expired(
        &self,
        _progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        Ok(Cleared::default())
    }

    async fn list(
        &self,
        _after: Option<&SessionKey>,
        _limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        Err(SessionError::new(
            SessionErrorKind::Unsupported,
            "SESSION_ENGINE \"signed_cookies\" cannot list its sessions: the visitors' browsers hold them. \
             With \"db\", \"cached_db\" or \"file\" they can be listed",
        ))
    }
}

impl SignedCookiesEngine {
    fn write(&self, record: &Record<'_>) -> Result<Receipt, SessionError> {
        let payload = self.serializer.encode(record.data)?;
        let cookie = match &self.seal {
            Seal::Signed(signer) => signer.sign_bytes(&payload, true),
            Seal::Encrypted(cipher) => cipher.encrypt(&payload)?,
        };
        let size = self.cookie_name.len() + "=".len() + cookie.len();
        if size > MAX_COOKIE {
            return Err(too_large(size));
        }
        let key = SessionKey::parse(cookie).expect("a seal alone is longer than the shortest key");
        Ok(Receipt {
            revision: Some(nothing_to_compare()),
            key: Some(key),
        })
    }

    fn read(&self, cookie: &str) -> Result<SessionData, Rejection> {
        if cookie.len() > MAX_READ {
            return Err(Rejection("it is too long".into()));
        }
        let payload = match &self.seal {
            Seal::Signed(signer) => signer.unsign_bytes(cookie, Some(self.max_age))?,
            Seal::Encrypted(cipher) => cipher.decrypt(cookie, self.max_age)?,
        };
        self.serializer.decode(&payload).map_err(Rejection)
    }
}

/// Why a cookie is not taken. No error of the program's: the visitor sent it.
struct Rejection(Box<dyn std::error::Error + Send + Sync>);

impl Rejection {
    fn log(&self) {
        let expired = matches!(self.0.downcast_ref(), Some(CipherError::Expired))
            || matches!(
                self.0.downcast_ref(),
                Some(quintette_core::signing::SignatureError::Expired { .. })
            );
        if expired {
            debug!(target: "quintette::session", "session cookie expired");
        } else {
            info!(target: "quintette::session", error = %self.0, "session cookie rejected");
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Rejection {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// There is one copy of the data, with the visitor, and nothing to compare it with.
fn nothing_to_compare() -> Revision {
    Revision::from(Vec::new())
}

fn too_large(size: usize) -> SessionError {
    SessionError::new(
        SessionErrorKind::TooLarge,
        format!(
            "The session does not fit in its cookie: name and value are {size} bytes, and browsers drop a cookie of \
             more than {MAX_COOKIE}. Keep less in the session, or set SESSION_ENGINE to one that stores sessions on \
             the server, such as \"db\""
        ),
    )
}

impl fmt::Debug for SignedCookiesEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedCookiesEngine")
            .field("encrypted", &matches!(self.seal, Seal::Encrypted(_)))
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}
