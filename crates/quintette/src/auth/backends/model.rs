use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{SubsecRound as _, Utc};

use super::{AuthenticationBackend, Credentials};
use crate::auth::hashers::Verification;
use crate::auth::passwords::PasswordHashing;
use crate::auth::{AbstractUser, AuthError, UserRecord, usernames};
use crate::db::{UserKey, UserRow, UserTables};

/// The path of Django's `ModelBackend`.
pub const MODEL_BACKEND: &str = "django.contrib.auth.backends.ModelBackend";
/// The path of Django's `AllowAllUsersModelBackend`.
pub const ALLOW_ALL_USERS_MODEL_BACKEND: &str =
    "django.contrib.auth.backends.AllowAllUsersModelBackend";

/// The users of Django's table, with their passwords and permissions: `ModelBackend`, and `AllowAllUsersModelBackend`,
/// which also knows those who are not active.
///
/// [`Authentication`](crate::auth::Authentication) makes the ones that `AUTHENTICATION_BACKENDS` names.
#[derive(Clone, Debug)]
pub struct ModelBackend {
    tables: Arc<dyn UserTables>,
    hashing: PasswordHashing,
    allow_all: bool,
}

impl ModelBackend {
    pub(in crate::auth) fn new(
        tables: Arc<dyn UserTables>,
        hashing: PasswordHashing,
        allow_all: bool,
    ) -> Self {
        Self {
            tables,
            hashing,
            allow_all,
        }
    }

    fn may_log_in(&self, user: &UserRecord) -> bool {
        self.allow_all || user.is_active
    }

    /// Whether it is the user's password; one that is hashed otherwise than new ones are is hashed anew.
    pub(in crate::auth) async fn check_password(
        &self,
        user: &mut UserRecord,
        password: &str,
    ) -> Result<bool, AuthError> {
        match self
            .hashing
            .check_password(password, &user.password)
            .await?
        {
            Verification::Wrong => Ok(false),
            Verification::Correct => Ok(true),
            Verification::CorrectAndOutdated => {
                self.upgrade_password(user, password).await;
                Ok(true)
            }
        }
    }

    /// Best effort: the password is right, whatever becomes of this.
    async fn upgrade_password(&self, user: &mut UserRecord, password: &str) {
        let upgrade = async {
            let encoded = self.hashing.make_password(password).await?;
            // Not over a password that was changed meanwhile.
            let replaced = self
                .tables
                .replace_password(&user.id, &user.password, &encoded)
                .await?;
            if replaced {
                return Ok(Some(encoded));
            }
            self.renewed_elsewhere(user, password).await
        };
        match upgrade.await {
            Ok(Some(encoded)) => user.password = encoded,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(target: "quintette::auth", "the hash of a password was not renewed: {error}");
            }
        }
    }

    /// The hash that another login has written meanwhile, if it is one of this password: a session with the proof of the
    /// former one would be nobody's.
    async fn renewed_elsewhere(
        &self,
        user: &UserRecord,
        password: &str,
    ) -> Result<Option<String>, AuthError> {
        let Some(row) = self.tables.user(UserKey::Id(&user.id)).await? else {
            return Ok(None);
        };
        let verification = self.hashing.check_password(password, &row.password).await?;
        Ok(verification.is_correct().then_some(row.password))
    }
}

#[async_trait]
impl AuthenticationBackend for ModelBackend {
    fn path(&self) -> &str {
        if self.allow_all {
            ALLOW_ALL_USERS_MODEL_BACKEND
        } else {
            MODEL_BACKEND
        }
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        let (Some(username), Some(password)) = (credentials.username(), credentials.password())
        else {
            return Ok(None);
        };
        let username = usernames::normalized(username);
        let row = self.tables.user(UserKey::Username(&username)).await?;
        // What only a database's collation takes for the same would be another name to whoever counts the attempts.
        let is_named =
            |row: &UserRow| usernames::folded(&row.username) == usernames::folded(&username);
        let Some(mut user) = row.filter(is_named).map(UserRecord::from) else {
            // As long as a wrong password takes, so that nobody learns who is a user.
            let _ = self.hashing.check_nobody(password).await?;
            return Ok(None);
        };
        let proven = self.check_password(&mut user, password).await? && self.may_log_in(&user);
        Ok(proven.then(|| Box::new(user) as _))
    }

    async fn user(&self, id: &str) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        let row = self.tables.user(UserKey::Id(id)).await?;
        let user = row.map(UserRecord::from);
        Ok(user
            .filter(|user| self.may_log_in(user))
            .map(|user| Box::new(user) as _))
    }

    async fn permissions(&self, user: &dyn AbstractUser) -> Result<BTreeSet<String>, AuthError> {
        // A user of another backend may have the id of one of this table.
        let Some(user) = record(user).filter(|user| user.is_active) else {
            return Ok(BTreeSet::new());
        };
        let permissions = if user.is_superuser {
            self.tables.all_permissions().await?
        } else {
            self.tables.permissions(&user.id).await?
        };
        let named = permissions
            .into_iter()
            .map(|permission| format!("{}.{}", permission.app_label, permission.codename));
        Ok(named.collect())
    }

    async fn logging_in(
        &self,
        user: &dyn AbstractUser,
    ) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        let Some(user) = record(user) else {
            return Ok(None);
        };
        // What every database keeps of it.
        let now = Utc::now().trunc_subsecs(6);
        self.tables.set_last_login(&user.id, now).await?;
        Ok(Some(Box::new(UserRecord {
            last_login: Some(now),
            ..user.clone()
        })))
    }
}

/// The row of the table; `None` for a user who is in none.
fn record(user: &dyn AbstractUser) -> Option<&UserRecord> {
    (user as &dyn Any).downcast_ref()
}
