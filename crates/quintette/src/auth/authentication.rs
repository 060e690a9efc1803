use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use quintette_core::settings::{SessionEngineName, Settings};

use super::backends::{ALLOW_ALL_USERS_MODEL_BACKEND, MODEL_BACKEND, ModelBackend};
use super::hashers::PasswordHashers;
use super::password_validation::PasswordValidators;
use super::passwords::PasswordHashing;
use super::sessions::Index;
use super::throttle::Throttle;
use super::tokens::{PasswordResetTokenGenerator, TokenUser};
use super::{
    AbstractUser, AuthError, AuthErrorKind, AuthObserver, AuthenticationBackend, Credentials, User,
    Users,
};
use crate::cache::NamedCache;
use crate::db::{Database, DatabaseError, DatabaseErrorKind, UserTables};

/// Who the users of an application are, and how they prove it: its backends, passwords and observers.
///
/// A cheap handle: clones share everything. [`AuthLayer`](super::AuthLayer) gives it to each request.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use axum::{Router, routing::get};
/// use quintette::auth::{AuthLayer, Authentication, User};
/// use quintette::db::Database;
/// use quintette::sessions::{self, SessionLayer};
/// use quintette::settings::Settings;
///
/// let settings = Arc::new(Settings::load()?);
/// let database = Database::connect(&settings).await?;
/// let sessions = sessions::connect_with(&database, settings.clone()).await?;
/// let authentication = Authentication::connect(&database, settings).await?;
///
/// let app: Router = Router::new()
///     .route("/", get(async |user: User| format!("Hello, {user}")))
///     .layer(AuthLayer::new(authentication))
///     .layer(SessionLayer::new(sessions));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Authentication {
    inner: Arc<Inner>,
}

/// Backends, each with its path.
type NamedBackends = Vec<(Arc<str>, Arc<dyn AuthenticationBackend>)>;

struct Inner {
    settings: Arc<Settings>,
    /// In the order of `AUTHENTICATION_BACKENDS`.
    backends: NamedBackends,
    observers: Vec<Arc<dyn AuthObserver>>,
    hashing: PasswordHashing,
    validators: PasswordValidators,
    tables: Option<Arc<dyn UserTables>>,
    throttle: Option<Throttle>,
    sessions: Option<Index>,
}

impl Authentication {
    /// The users of this database, as the settings say.
    ///
    /// # Errors
    ///
    /// Where a table is missing, the database cannot answer, or a setting names what is not there: the message says what to
    /// do.
    ///
    /// # Cancellation
    ///
    /// A caller that vanishes leaves nothing behind.
    pub async fn connect(
        database: &Database,
        settings: impl Into<Arc<Settings>>,
    ) -> Result<Self, AuthError> {
        Self::builder(settings).database(database).build().await
    }

    /// For backends and observers of the application's own.
    ///
    /// ```no_run
    /// # use quintette::auth::{AuthError, Authentication, AuthenticationBackend};
    /// # async fn example(
    /// #     settings: quintette::settings::Settings,
    /// #     backend: impl AuthenticationBackend,
    /// # ) -> Result<(), AuthError> {
    /// // AUTHENTICATION_BACKENDS names the path of the backend.
    /// let authentication = Authentication::builder(settings).backend(backend).build().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(settings: impl Into<Arc<Settings>>) -> Builder {
        Builder {
            settings: settings.into(),
            database: None,
            backends: Vec::new(),
            observers: Vec::new(),
            hashing: None,
        }
    }

    /// What it follows.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The users of Django's table. Django's `User.objects`.
    ///
    /// # Errors
    ///
    /// Where the application keeps its users elsewhere: there was no database to connect to.
    pub fn users(&self) -> Result<Users, AuthError> {
        let tables = self.inner.tables.clone().ok_or_else(|| {
            AuthError::new(
                AuthErrorKind::Misconfigured,
                "there is no table of users: hand over the database with Authentication::connect or .database(…)",
            )
        })?;
        Ok(Users::new(self.clone(), tables))
    }

    /// How passwords are hashed.
    pub fn hashing(&self) -> &PasswordHashing {
        &self.inner.hashing
    }

    /// What a new password must be like: `AUTH_PASSWORD_VALIDATORS`.
    ///
    /// ```no_run
    /// # fn example(authentication: quintette::auth::Authentication) {
    /// use quintette::auth::password_validation::UserAttribute;
    ///
    /// let user = [UserAttribute::new("username", "username", "mei")];
    /// if let Err(invalid) = authentication.password_validators().validate_password("mei1", &user) {
    ///     for message in invalid.messages() {
    ///         println!("{message}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn password_validators(&self) -> &PasswordValidators {
        &self.inner.validators
    }

    /// The token of a link by which the user can choose another password, until the user logs in, has done so, or
    /// `PASSWORD_RESET_TIMEOUT` has passed. Django's `default_token_generator.make_token`.
    ///
    /// The link also says whose it is: [`urlsafe_base64_encode`](super::tokens::urlsafe_base64_encode) of
    /// [`User::id`], as in Django's.
    pub fn make_password_reset_token(&self, user: &User) -> String {
        self.with_token_user(user, PasswordResetTokenGenerator::make_token)
    }

    /// Whether the token was made for this user and still holds. Django's `default_token_generator.check_token`.
    pub fn check_password_reset_token(&self, user: &User, token: &str) -> bool {
        self.with_token_user(user, |tokens, user| tokens.check_token(user, token))
    }

    fn with_token_user<T>(
        &self,
        user: &User,
        work: impl FnOnce(&PasswordResetTokenGenerator, &TokenUser<'_>) -> T,
    ) -> T {
        let settings = self.settings();
        let tokens = PasswordResetTokenGenerator::new(&settings.secret_key, settings.into())
            .with_timeout(settings.password_reset_timeout);
        let id = user.id();
        work(
            &tokens,
            &TokenUser {
                id: &id,
                password: user.record().password(),
                last_login: user.last_login(),
                email: Some(user.email()),
            },
        )
    }

    pub(super) fn index(&self) -> Option<&Index> {
        self.inner.sessions.as_ref()
    }

    pub(super) fn throttle(&self) -> Option<&Throttle> {
        self.inner.throttle.as_ref()
    }

    pub(super) fn observers(&self) -> &[Arc<dyn AuthObserver>] {
        &self.inner.observers
    }

    /// The user whom the first backend that can proves. Asks no throttle and tells no observer.
    pub(super) async fn prove(&self, credentials: &Credentials) -> Result<Option<User>, Unproven> {
        let mut was_refused = false;
        for (path, backend) in &self.inner.backends {
            match backend.authenticate(credentials).await {
                Ok(None) => was_refused = true,
                Ok(Some(record)) => {
                    return Ok(Some(User::new(record, path.clone(), self.clone())));
                }
                Err(error) if error.kind() == AuthErrorKind::PermissionDenied => return Ok(None),
                Err(error) => return Err(Unproven { error, was_refused }),
            }
        }
        Ok(None)
    }

    /// The user whom a session names. A backend that is not among the settings' any more is not asked.
    pub(super) async fn user(&self, backend: &str, id: &str) -> Result<Option<User>, AuthError> {
        let mut backends = self.inner.backends.iter();
        let Some((path, backend)) = backends.find(|(path, _)| **path == *backend) else {
            return Ok(None);
        };
        let record = backend.user(id).await?;
        Ok(record.map(|record| User::new(record, path.clone(), self.clone())))
    }

    /// Tells the user's backend that it logs in, and gives the user as it is from then on.
    pub(super) async fn logging_in(&self, user: &User) -> Result<User, AuthError> {
        let mut backends = self.inner.backends.iter();
        let backend = backends.find(|(path, _)| **path == *user.backend());
        let Some((path, backend)) = backend else {
            return Ok(user.clone());
        };
        let record = backend.logging_in(user.record()).await?;
        Ok(record.map_or_else(
            || user.clone(),
            |record| User::new(record, path.clone(), self.clone()),
        ))
    }

    /// A user of Django's table, as the first model backend knows it.
    pub(super) fn user_of(&self, record: Box<dyn AbstractUser>) -> User {
        let mut paths = self.inner.backends.iter().map(|(path, _)| path);
        let is_model =
            |path: &&Arc<str>| [MODEL_BACKEND, ALLOW_ALL_USERS_MODEL_BACKEND].contains(&&***path);
        let path = paths.find(is_model).cloned();
        User::new(
            record,
            path.unwrap_or_else(|| MODEL_BACKEND.into()),
            self.clone(),
        )
    }

    /// What all backends together let the user do.
    pub(super) async fn permissions_of(
        &self,
        user: &dyn AbstractUser,
    ) -> Result<BTreeSet<String>, AuthError> {
        let mut permissions = BTreeSet::new();
        for (_, backend) in &self.inner.backends {
            permissions.append(&mut backend.permissions(user).await?);
        }
        Ok(permissions)
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.inner.backends.iter().map(|(path, _)| path);
        f.debug_struct("Authentication")
            .field("backends", &paths.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Why nobody can say whether credentials prove a user.
pub(super) struct Unproven {
    pub(super) error: AuthError,
    /// A backend has said no before: then it was an attempt all the same.
    pub(super) was_refused: bool,
}

/// Puts an [`Authentication`] together.
#[must_use = "nothing is made until `build`"]
pub struct Builder {
    settings: Arc<Settings>,
    database: Option<Database>,
    backends: Vec<Arc<dyn AuthenticationBackend>>,
    observers: Vec<Arc<dyn AuthObserver>>,
    hashing: Option<PasswordHashing>,
}

impl Builder {
    /// The database that has Django's table of users.
    pub fn database(mut self, database: &Database) -> Self {
        self.database = Some(database.clone());
        self
    }

    /// A backend of the application's own, for `AUTHENTICATION_BACKENDS` to name by its path.
    pub fn backend(mut self, backend: impl AuthenticationBackend) -> Self {
        self.backends.push(Arc::new(backend));
        self
    }

    /// Who is told of logins and logouts.
    pub fn observer(mut self, observer: impl AuthObserver) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// How passwords are hashed, in the place of what `PASSWORD_HASHERS` says: with other parameters, or on more threads.
    ///
    /// ```no_run
    /// # use quintette::auth::{AuthError, Authentication};
    /// # async fn example(settings: quintette::settings::Settings) -> Result<(), AuthError> {
    /// use quintette::auth::hashers::{PasswordHashers, Pbkdf2};
    /// use quintette::auth::passwords::PasswordHashing;
    ///
    /// // As Django 4.2 does, which shares the users.
    /// let hashers = PasswordHashers::default().with(Pbkdf2::sha256().with_iterations(600_000));
    /// let builder = Authentication::builder(settings).hashing(PasswordHashing::new(hashers));
    /// # Ok(())
    /// # }
    /// ```
    pub fn hashing(mut self, hashing: PasswordHashing) -> Self {
        self.hashing = Some(hashing);
        self
    }

    /// Makes it.
    ///
    /// Reads the list of passwords that `AUTH_PASSWORD_VALIDATORS` may name, which blocks for a moment: call it before
    /// requests are served.
    ///
    /// # Errors
    ///
    /// As [`Authentication::connect`].
    ///
    /// # Cancellation
    ///
    /// A caller that vanishes leaves nothing behind.
    pub async fn build(self) -> Result<Authentication, AuthError> {
        let settings = &self.settings;
        let hashing = if let Some(hashing) = &self.hashing {
            hashing.clone()
        } else {
            let hashers = PasswordHashers::from_paths(&settings.password_hashers)
                .map_err(|error| misconfigured(error.to_string()))?;
            PasswordHashing::new(hashers)
        };
        let validators = settings
            .auth_password_validators
            .iter()
            .map(|validator| (validator.name.as_str(), &validator.options));
        let validators = PasswordValidators::from_setting(validators)
            .map_err(|error| misconfigured(error.to_string()))?;
        let (tables, sessions) = match &self.database {
            Some(database) => {
                let tables = database.user_tables(&settings.auth_user_model).await;
                let tables = tables.map_err(missing_at_start)?;
                // A session that is a cookie has another key with each response: they would fill the table.
                let index = match settings.session_engine {
                    SessionEngineName::SignedCookies => None,
                    _ => Index::open(&tables, &settings.secret_key).await?,
                };
                (Some(tables), index)
            }
            None => (None, None),
        };
        let backends = self.named_backends(tables.as_ref(), &hashing)?;
        let throttle = match settings.login_failure_limit {
            Some(limit) => {
                let cache = NamedCache::connect(settings, "default").await?;
                Some(Throttle::new(cache, limit, settings))
            }
            None => None,
        };
        Ok(Authentication {
            inner: Arc::new(Inner {
                backends,
                observers: self.observers,
                hashing,
                validators,
                tables,
                throttle,
                sessions,
                settings: self.settings,
            }),
        })
    }

    /// Those that `AUTHENTICATION_BACKENDS` names, in its order.
    fn named_backends(
        &self,
        tables: Option<&Arc<dyn UserTables>>,
        hashing: &PasswordHashing,
    ) -> Result<NamedBackends, AuthError> {
        let named = self.settings.authentication_backends.iter().map(|path| {
            let mut own = self.backends.iter();
            if let Some(backend) = own.find(|backend| backend.path() == path) {
                return Ok((Arc::from(path.as_str()), backend.clone()));
            }
            let allow_all = match path.as_str() {
                MODEL_BACKEND => false,
                ALLOW_ALL_USERS_MODEL_BACKEND => true,
                _ => {
                    return Err(misconfigured(format!(
                        "AUTHENTICATION_BACKENDS names {path:?}, which nobody has handed over: call .backend(…) of \
                         Authentication::builder with one whose path it is, or name {MODEL_BACKEND:?}"
                    )));
                }
            };
            let tables = tables.ok_or_else(|| {
                misconfigured(format!(
                    "AUTHENTICATION_BACKENDS names {path:?}, whose users are in a database: hand it over with \
                     .database(…), or name the backends of your own there"
                ))
            })?;
            let backend = ModelBackend::new(tables.clone(), hashing.clone(), allow_all);
            Ok((Arc::from(path.as_str()), Arc::new(backend) as _))
        });
        let named = named.collect::<Result<_, _>>()?;
        self.check_that_all_are_asked()?;
        Ok(named)
    }

    /// A backend that was handed over is meant to be asked.
    fn check_that_all_are_asked(&self) -> Result<(), AuthError> {
        let mut paths: Vec<_> = self.backends.iter().map(|own| own.path()).collect();
        paths.sort_unstable();
        if let Some([twice, ..]) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(misconfigured(format!(
                "two backends were handed over whose path is {twice:?}, of which one would never be asked: give each a path \
                 of its own"
            )));
        }
        let named = &self.settings.authentication_backends;
        let is_unnamed = |path: &&&str| named.iter().all(|named| named != **path);
        if let Some(unnamed) = paths.iter().find(is_unnamed) {
            return Err(misconfigured(format!(
                "AUTHENTICATION_BACKENDS does not name {unnamed:?}, so that it would never be asked: add it there"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

/// A table that is missing from the start is nothing that passes by itself.
fn missing_at_start(error: DatabaseError) -> AuthError {
    match error.kind() {
        DatabaseErrorKind::MissingTable => misconfigured(error.to_string()).with_source(error),
        _ => error.into(),
    }
}

fn misconfigured(message: String) -> AuthError {
    AuthError::new(AuthErrorKind::Misconfigured, message)
}
