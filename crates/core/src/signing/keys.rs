use std::fmt;
use std::sync::Arc;

/// A `SECRET_KEY`. Its `Debug` output shows nothing of it.
#[derive(Clone)]
pub struct SecretKey(Arc<[u8]>);

impl SecretKey {
    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for SecretKey {
    fn from(secret: &str) -> Self {
        Self(secret.as_bytes().into())
    }
}

impl From<String> for SecretKey {
    fn from(secret: String) -> Self {
        Self(secret.into_bytes().into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// The key to sign with, and those that are still accepted: `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
#[derive(Clone, Debug)]
pub struct Keys {
    secret: SecretKey,
    fallbacks: Arc<[SecretKey]>,
}

impl Keys {
    /// Signs and checks with one key.
    pub fn new(secret: impl Into<SecretKey>) -> Self {
        Self {
            secret: secret.into(),
            fallbacks: Arc::default(),
        }
    }

    /// Also accepts what these keys have signed; they are tried in order, after the secret.
    ///
    /// ```
    /// use quintette_core::signing::{Keys, Signer};
    ///
    /// let signed = Signer::new(&Keys::new("last year's"), "greeting").sign("hello");
    ///
    /// let keys = Keys::new("this year's").with_fallbacks(["last year's"]);
    /// assert_eq!(Signer::new(&keys, "greeting").unsign(&signed)?, "hello");
    /// # Ok::<(), quintette_core::signing::SignatureError>(())
    /// ```
    #[must_use]
    pub fn with_fallbacks<K: Into<SecretKey>>(
        mut self,
        fallbacks: impl IntoIterator<Item = K>,
    ) -> Self {
        self.fallbacks = fallbacks.into_iter().map(Into::into).collect();
        self
    }

    /// The key to sign with.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The keys that are accepted besides.
    pub fn fallbacks(&self) -> &[SecretKey] {
        &self.fallbacks
    }

    /// The secret, then the fallbacks: the order of trying them.
    pub fn iter(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.secret).chain(self.fallbacks.iter())
    }
}
