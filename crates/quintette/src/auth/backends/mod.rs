//! What knows users: `django.contrib.auth.backends`, and an application's own.

mod credentials;
mod model;

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{AbstractUser, AuthError};

pub use credentials::Credentials;
pub use model::{ALLOW_ALL_USERS_MODEL_BACKEND, MODEL_BACKEND, ModelBackend};

/// Knows users, and who may log in as one. Django's authentication backend.
///
/// Several are asked in the order of `AUTHENTICATION_BACKENDS`. The trait is object-safe.
///
/// # What a backend must keep
///
/// - `credentials` and `id` are the attacker's to choose.
/// - An unknown user takes as long as a wrong password, or a stranger finds out who is a user.
/// - [`user`](Self::user) gives only who may still log in: it is asked with every request.
///
/// ```
/// use async_trait::async_trait;
/// use quintette::auth::{AbstractUser, AuthError, AuthenticationBackend, Credentials};
///
/// # struct Customer;
/// # impl AbstractUser for Customer {
/// #     fn id(&self) -> String { "1".into() }
/// #     fn username(&self) -> &str { "mei" }
/// #     fn password(&self) -> &str { "" }
/// # }
/// # struct Tokens;
/// # impl Tokens {
/// #     async fn customer_of(&self, _token: &str) -> Option<Customer> { None }
/// #     async fn customer(&self, _id: &str) -> Option<Customer> { None }
/// # }
/// struct TokenBackend {
///     tokens: Tokens,
/// }
///
/// #[async_trait]
/// impl AuthenticationBackend for TokenBackend {
///     fn path(&self) -> &str {
///         "shop.auth.TokenBackend"
///     }
///
///     async fn authenticate(
///         &self,
///         credentials: &Credentials,
///     ) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
///         let Some(token) = credentials.get("token") else {
///             return Ok(None); // not for this backend: the next one is asked
///         };
///         let customer = self.tokens.customer_of(token).await;
///         Ok(customer.map(|customer| Box::new(customer) as _))
///     }
///
///     async fn user(&self, id: &str) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
///         Ok(self.tokens.customer(id).await.map(|customer| Box::new(customer) as _))
///     }
/// }
/// ```
#[async_trait]
pub trait AuthenticationBackend: Send + Sync + 'static {
    /// The dotted path by which sessions name the backend. Where a Django site shares them, it is the path there.
    fn path(&self) -> &str;

    /// The user whom the credentials prove; `None` where they prove none, or are not for this backend.
    ///
    /// # Errors
    ///
    /// Where the users' store cannot answer. [`PermissionDenied`](super::AuthErrorKind::PermissionDenied) ends the login: no
    /// other backend is asked.
    ///
    /// # Cancellation
    ///
    /// The caller may vanish at any `await`.
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Box<dyn AbstractUser>>, AuthError>;

    /// The user with this primary key, where it is one who may log in. Django's `get_user`.
    ///
    /// # Errors
    ///
    /// Where the users' store cannot answer.
    ///
    /// # Cancellation
    ///
    /// The caller may vanish at any `await`.
    async fn user(&self, id: &str) -> Result<Option<Box<dyn AbstractUser>>, AuthError>;

    /// What the user may do, as `app.codename`; nothing by default. Asked of every backend, whichever knows the user: look at
    /// its type before its id, which may be another user's here. Django's `get_all_permissions`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    ///
    /// # Cancellation
    ///
    /// The caller may vanish at any `await`.
    async fn permissions(&self, user: &dyn AbstractUser) -> Result<BTreeSet<String>, AuthError> {
        let _ = user;
        Ok(BTreeSet::new())
    }

    /// Told before a user of this backend is logged in; what it returns is taken in the user's place. By default nothing.
    /// Django's `update_last_login`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer. The user is not logged in then.
    ///
    /// # Cancellation
    ///
    /// The caller may vanish at any `await`.
    async fn logging_in(
        &self,
        user: &dyn AbstractUser,
    ) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        let _ = user;
        Ok(None)
    }
}
