use std::borrow::Cow;
use std::error::Error;
use std::fmt;

type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What kept a password from being hashed or checked. A wrong password is none.
///
/// [`kind`](Self::kind) says what a program may do; the message says it to a person. With the feature `axum` it is a
/// response: 503 with `Retry-After` where there were too many at once, else 500.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct HashingError {
    kind: HashingErrorKind,
    message: Cow<'static, str>,
    #[source]
    source: Option<BoxError>,
}

/// The kind and the message: this is what a `main` that returns the error prints.
impl fmt::Debug for HashingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

/// The kinds of [`HashingError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashingErrorKind {
    /// More passwords wait to be hashed than may: try again in a moment. A web service answers 503.
    Busy,
    /// `PASSWORD_HASHERS` or an algorithm names a hasher that there is not.
    Misconfigured,
    /// A salt is not one for its algorithm.
    Salt,
    /// The system has no randomness, or the hasher panicked, or the runtime is shutting down.
    Failed,
}

impl HashingError {
    /// A salt that [`encode`](super::PasswordHasher::encode) cannot take, for `reason`.
    pub fn salt(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(HashingErrorKind::Salt, reason)
    }

    pub(crate) fn misconfigured(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(HashingErrorKind::Misconfigured, message)
    }

    pub(crate) fn busy(waiting: usize) -> Self {
        Self::new(
            HashingErrorKind::Busy,
            format!(
                "{waiting} passwords wait to be hashed already, and no more may. If these are not an attack, allow more \
                 with PasswordHashing::with_waiting, or add cores"
            ),
        )
    }

    pub(crate) fn failed(message: &'static str, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self {
            message: format!("{message}: {source}").into(),
            source: Some(source),
            ..Self::new(HashingErrorKind::Failed, "")
        }
    }

    fn new(kind: HashingErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// What a program may do about it.
    pub fn kind(&self) -> HashingErrorKind {
        self.kind
    }

    /// The HTTP status that answers it: 503 where trying again may help, else 500.
    pub fn status(&self) -> u16 {
        if self.kind == HashingErrorKind::Busy {
            503
        } else {
            500
        }
    }

    /// After how many seconds a client may try again, where that may help: the `Retry-After` header.
    pub fn retry_after(&self) -> Option<u16> {
        (self.kind == HashingErrorKind::Busy).then_some(5)
    }

    /// What a visitor may read. The rest is for the log.
    pub fn public_message(&self) -> &'static str {
        match self.kind {
            HashingErrorKind::Busy => {
                "Too many people are logging in just now. Try again in a moment."
            }
            _ => "The password could not be checked. The server's log says why.",
        }
    }

    /// Writes the whole error to the log: as a warning where there were too many at once, else as an error.
    pub fn log(&self) {
        if self.kind == HashingErrorKind::Busy {
            tracing::warn!(target: "quintette::auth", "{self}");
        } else {
            tracing::error!(target: "quintette::auth", "{self}");
        }
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for HashingError {
    fn into_response(self) -> axum_core::response::Response {
        use http::{HeaderValue, StatusCode, header};

        self.log();
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.public_message()).into_response();
        if let Some(seconds) = self.retry_after() {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
