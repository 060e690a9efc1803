//! The site's users, for the commands that need them.

pub(crate) mod changepassword;
pub(crate) mod createsuperuser;
mod fields;
mod passwords;
pub(crate) mod prompt;

use std::sync::Arc;

use quintette::auth::hashers::PasswordHashers;
use quintette::auth::{AuthError, Authentication, MODEL_BACKEND, User};
use quintette::db::Database;
use quintette::settings::Settings;

use crate::error::Error;

/// For commands that hash no password.
const ANY_HASHER: &str = "django.contrib.auth.hashers.PBKDF2PasswordHasher";

/// A database and its users. What the application adds to them in code, no command knows.
pub(crate) struct Site {
    pub(crate) settings: Arc<Settings>,
    pub(crate) database: Database,
    pub(crate) authentication: Authentication,
    /// Whether backends of the application's own have users, too.
    has_other_users: bool,
}

impl Site {
    pub(crate) async fn connect(settings: Settings) -> Result<Self, Error> {
        // On the heap: what opens every kind of database, and every cache, is large.
        let database = Box::pin(Database::connect(&settings)).await?;
        Ok(Box::pin(Self::with(database, Arc::new(settings))).await?)
    }

    /// Fails with the kind `Misconfigured` where tables of users are missing.
    pub(crate) async fn with(
        database: Database,
        settings: Arc<Settings>,
    ) -> Result<Self, AuthError> {
        let named = &settings.authentication_backends;
        let authentication = Authentication::connect(&database, of_the_tables(&settings)).await?;
        Ok(Self {
            has_other_users: named
                .iter()
                .any(|path| !path.starts_with("django.contrib.auth.")),
            settings,
            database,
            authentication,
        })
    }

    /// The user of this name, or else of this primary key.
    pub(crate) async fn user(&self, name_or_id: &str) -> Result<Option<User>, Error> {
        let users = self.authentication.users()?;
        match users.by_username(name_or_id).await? {
            Some(user) => Ok(Some(user)),
            None => Ok(users.by_id(name_or_id).await?),
        }
    }

    /// The primary key of whom the text names. A user of a backend of the application's own is named by that alone.
    pub(crate) async fn user_id(&self, name_or_id: &str) -> Result<String, Error> {
        match self.user(name_or_id).await? {
            Some(user) => Ok(user.id()),
            None if self.has_other_users => Ok(name_or_id.to_owned()),
            None => Err(Error::Other(format!(
                "there is no user of the name or id {name_or_id:?}"
            ))),
        }
    }
}

/// The settings without what the application hands over in code, and without what no command needs.
fn of_the_tables(settings: &Settings) -> Settings {
    let is_known = |path: &&String| PasswordHashers::from_paths(&[path]).is_ok();
    let hashers: Vec<_> = settings
        .password_hashers
        .iter()
        .filter(is_known)
        .cloned()
        .collect();
    let mut settings = settings.clone();
    settings.authentication_backends = vec![MODEL_BACKEND.to_owned()];
    // Failed logins are counted in a cache, which need not be there.
    settings.login_failure_limit = None;
    // Asked by those who choose a password.
    settings.auth_password_validators = Vec::new();
    settings.password_hashers = if hashers.is_empty() {
        vec![ANY_HASHER.to_owned()]
    } else {
        hashers
    };
    settings
}
