use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use quintette_core::signing::Keys;
use subtle::ConstantTimeEq as _;
use tokio::sync::OnceCell;

use super::tokens::{session_auth_fallback_hashes, session_auth_hash};
use super::{AuthError, Authentication};

/// What a user is, wherever users are kept: Django's `AbstractBaseUser`, as far as a login needs it.
///
/// [`UserRecord`], a row of Django's table, is one. An application that keeps users of its own implements this for them, and
/// [`AuthenticationBackend`](super::AuthenticationBackend) for where they are kept.
///
/// ```
/// use quintette::auth::AbstractUser;
///
/// struct Customer {
///     number: u32,
///     name: String,
///     password: String,
/// }
///
/// impl AbstractUser for Customer {
///     fn id(&self) -> String {
///         self.number.to_string()
///     }
///     fn username(&self) -> &str {
///         &self.name
///     }
///     fn password(&self) -> &str {
///         &self.password
///     }
/// }
/// ```
#[expect(
    clippy::unnecessary_literal_bound,
    reason = "the default alone is a literal"
)]
pub trait AbstractUser: Any + Send + Sync {
    /// The primary key as text, as the session keeps it. Django's `pk`.
    ///
    /// Where several backends keep users, let no two of them have the same: [`UserSessions`](super::UserSessions) goes by
    /// the id alone.
    fn id(&self) -> String;

    /// The name that a person logs in with. Django's `get_username()`.
    fn username(&self) -> &str;

    /// The encoded hash of the password, or whatever is to end the user's sessions when it changes.
    fn password(&self) -> &str;

    /// Whether the user may log in at all. `true` by default.
    fn is_active(&self) -> bool {
        true
    }

    /// Whether the user may see Django's admin. `false` by default.
    fn is_staff(&self) -> bool {
        false
    }

    /// Whether the user may do everything. `false` by default.
    fn is_superuser(&self) -> bool {
        false
    }

    /// The e-mail address; empty by default.
    fn email(&self) -> &str {
        ""
    }

    /// The first name; empty by default.
    fn first_name(&self) -> &str {
        ""
    }

    /// The last name; empty by default.
    fn last_name(&self) -> &str {
        ""
    }

    /// When the user last logged in, where that is kept.
    fn last_login(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// When the user was made, where that is kept.
    fn date_joined(&self) -> Option<DateTime<Utc>> {
        None
    }
}

/// A row of `auth_user`, or of the table that `AUTH_USER_MODEL` names. Django's `AbstractUser`.
///
/// `Debug` shows whose it is, and nothing else.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserRecord {
    /// The primary key, a number, as text.
    pub id: String,
    /// The encoded hash of the password.
    pub password: String,
    /// When the user last logged in.
    pub last_login: Option<DateTime<Utc>>,
    /// Whether the user may do everything.
    pub is_superuser: bool,
    /// The name that the user logs in with; at most 150 characters.
    pub username: String,
    /// The first name; at most 150 characters.
    pub first_name: String,
    /// The last name; at most 150 characters.
    pub last_name: String,
    /// The e-mail address; at most 254 characters.
    pub email: String,
    /// Whether the user may see Django's admin.
    pub is_staff: bool,
    /// Whether the user may log in.
    pub is_active: bool,
    /// When the user was made.
    pub date_joined: DateTime<Utc>,
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserRecord({}, {:?})", self.id, self.username)
    }
}

impl AbstractUser for UserRecord {
    fn id(&self) -> String {
        self.id.clone()
    }

    fn username(&self) -> &str {
        &self.username
    }

    fn password(&self) -> &str {
        &self.password
    }

    fn is_active(&self) -> bool {
        self.is_active
    }

    fn is_staff(&self) -> bool {
        self.is_staff
    }

    fn is_superuser(&self) -> bool {
        self.is_superuser
    }

    fn email(&self) -> &str {
        &self.email
    }

    fn first_name(&self) -> &str {
        &self.first_name
    }

    fn last_name(&self) -> &str {
        &self.last_name
    }

    fn last_login(&self) -> Option<DateTime<Utc>> {
        self.last_login
    }

    fn date_joined(&self) -> Option<DateTime<Utc>> {
        Some(self.date_joined)
    }
}

/// A user, of whatever kind, and where it comes from. Django's `request.user`, of somebody who has logged in.
///
/// A cheap handle: clones share it, and what it may do is loaded once.
///
/// ```no_run
/// # use quintette::auth::{AuthError, User};
/// # async fn example(user: User) -> Result<(), AuthError> {
/// if user.has_perm("shop.view_order").await? {
///     println!("{} ({}) may see orders", user.username(), user.email());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct User {
    inner: Arc<Inner>,
}

struct Inner {
    record: Box<dyn AbstractUser>,
    /// The path of the backend that knows the user.
    backend: Arc<str>,
    authentication: Authentication,
    permissions: OnceCell<Arc<BTreeSet<String>>>,
}

impl User {
    pub(super) fn new(
        record: Box<dyn AbstractUser>,
        backend: Arc<str>,
        authentication: Authentication,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                record,
                backend,
                authentication,
                permissions: OnceCell::new(),
            }),
        }
    }

    /// The user as its backend gave it.
    pub fn record(&self) -> &dyn AbstractUser {
        &*self.inner.record
    }

    /// The user as the application's own type; `None` where it is of another.
    ///
    /// ```no_run
    /// # fn example(user: quintette::auth::User) {
    /// use quintette::auth::UserRecord;
    ///
    /// let joined = user.downcast_ref::<UserRecord>().map(|record| record.date_joined);
    /// # }
    /// ```
    pub fn downcast_ref<T: AbstractUser>(&self) -> Option<&T> {
        (self.record() as &dyn Any).downcast_ref()
    }

    /// The dotted path of the backend that knows the user, as the session keeps it.
    pub fn backend(&self) -> &str {
        &self.inner.backend
    }

    /// The primary key as text. Django's `user.pk`.
    pub fn id(&self) -> String {
        self.record().id()
    }

    /// The name that the user logs in with. Django's `user.get_username()`.
    pub fn username(&self) -> &str {
        self.record().username()
    }

    /// The e-mail address.
    pub fn email(&self) -> &str {
        self.record().email()
    }

    /// The first name.
    pub fn first_name(&self) -> &str {
        self.record().first_name()
    }

    /// The last name.
    pub fn last_name(&self) -> &str {
        self.record().last_name()
    }

    /// First and last name with a space between. Django's `user.get_full_name()`.
    pub fn full_name(&self) -> String {
        let name = format!("{} {}", self.first_name(), self.last_name());
        name.trim().to_owned()
    }

    /// Whether the user may log in.
    pub fn is_active(&self) -> bool {
        self.record().is_active()
    }

    /// Whether the user may see Django's admin.
    pub fn is_staff(&self) -> bool {
        self.record().is_staff()
    }

    /// Whether the user may do everything.
    pub fn is_superuser(&self) -> bool {
        self.record().is_superuser()
    }

    /// When the user last logged in, where that is kept.
    pub fn last_login(&self) -> Option<DateTime<Utc>> {
        self.record().last_login()
    }

    /// What the user may do, as `app.codename`, from all backends: loaded once. Django's `get_all_permissions()`.
    ///
    /// # Errors
    ///
    /// Where a backend cannot answer.
    ///
    /// # Cancellation
    ///
    /// The next call loads.
    pub async fn permissions(&self) -> Result<Arc<BTreeSet<String>>, AuthError> {
        let load = || self.inner.authentication.permissions_of(self.record());
        let permissions = self
            .inner
            .permissions
            .get_or_try_init(|| async { Ok::<_, AuthError>(Arc::new(load().await?)) });
        permissions.await.cloned()
    }

    /// Whether the user may do this: `app.codename`. An active superuser may, without a question to anyone. Django's
    /// `has_perm`.
    ///
    /// # Errors
    ///
    /// As [`permissions`](Self::permissions).
    ///
    /// # Cancellation
    ///
    /// As [`permissions`](Self::permissions).
    pub async fn has_perm(&self, permission: &str) -> Result<bool, AuthError> {
        self.has_perms([permission]).await
    }

    /// Whether the user may do all of these. Django's `has_perms`.
    ///
    /// # Errors
    ///
    /// As [`permissions`](Self::permissions).
    ///
    /// # Cancellation
    ///
    /// As [`permissions`](Self::permissions).
    pub async fn has_perms<P: AsRef<str>>(
        &self,
        permissions: impl IntoIterator<Item = P> + Send,
    ) -> Result<bool, AuthError> {
        if !self.is_active() || self.is_superuser() {
            return Ok(self.is_active());
        }
        let owned = self.permissions().await?;
        let mut asked = permissions.into_iter();
        Ok(asked.all(|permission| owned.contains(permission.as_ref())))
    }

    /// Whether the user may do anything in this application. Django's `has_module_perms`.
    ///
    /// # Errors
    ///
    /// As [`permissions`](Self::permissions).
    ///
    /// # Cancellation
    ///
    /// As [`permissions`](Self::permissions).
    pub async fn has_module_perms(&self, app_label: &str) -> Result<bool, AuthError> {
        if !self.is_active() || self.is_superuser() {
            return Ok(self.is_active());
        }
        let owned = self.permissions().await?;
        let mut apps = owned
            .iter()
            .filter_map(|permission| permission.split('.').next());
        Ok(apps.any(|app| app == app_label))
    }

    /// Whether both are rows of the same table, or whatever type an application's users are of.
    pub(super) fn is_of_the_kind_of(&self, other: &Self) -> bool {
        (self.record() as &dyn Any).type_id() == (other.record() as &dyn Any).type_id()
    }

    /// What a session of this user holds as proof that the password has not changed since. Django's
    /// `get_session_auth_hash()`.
    pub(super) fn session_auth_hash(&self, keys: &Keys) -> String {
        session_auth_hash(self.record().password(), keys)
    }

    /// Whether a session's proof is this user's.
    pub(super) fn proves(&self, proof: &str, keys: &Keys) -> Proof {
        let password = self.record().password();
        let is = |hash: String| bool::from(hash.as_bytes().ct_eq(proof.as_bytes()));
        if is(session_auth_hash(password, keys)) {
            Proof::Current
        } else if session_auth_fallback_hashes(password, keys).any(is) {
            Proof::OfOldKey
        } else {
            Proof::None
        }
    }
}

/// What a session's proof is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Made with `SECRET_KEY`.
    Current,
    /// Made with one of `SECRET_KEY_FALLBACKS`: to be made anew.
    OfOldKey,
    None,
}

/// The same user, whoever has loaded it.
impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.inner.backend == other.inner.backend && self.id() == other.id()
    }
}

impl Eq for User {}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({}, {:?})", self.id(), self.username())
    }
}

/// The name to log in with. Django's `str(user)`.
impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.username())
    }
}
