use std::fmt;
use std::sync::Arc;

use chrono::{SubsecRound as _, Utc};
use unicode_normalization::UnicodeNormalization as _;

use super::backends::ModelBackend;
use super::hashers::unusable_password;
use super::{AuthError, AuthErrorKind, Authentication, User, UserRecord};
use crate::db::{NewUser, UserKey, UserRow, UserTables};

/// As many characters as the column `username` has.
const LONGEST_USERNAME: usize = 150;

/// The users of Django's table, or of the one that `AUTH_USER_MODEL` names. Django's `User.objects`.
///
/// ```no_run
/// # use quintette::auth::{AuthError, Authentication};
/// # async fn example(authentication: Authentication) -> Result<(), AuthError> {
/// let users = authentication.users()?;
/// let mei = users.create_user("mei", "mei@example.com", Some("correct horse")).await?;
/// users.create_permission("shop", "order", "view_order", "Can view order").await?;
/// users.grant(&mei, "shop.view_order").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
///
/// What a caller that vanishes had asked for has happened or not.
#[derive(Clone)]
pub struct Users {
    authentication: Authentication,
    tables: Arc<dyn UserTables>,
}

impl Users {
    pub(super) fn new(authentication: Authentication, tables: Arc<dyn UserTables>) -> Self {
        Self {
            authentication,
            tables,
        }
    }

    /// Makes a user who may log in with this password; with none, not by a password. Django's `create_user`.
    ///
    /// The password is hashed as it is: [`validate_password`](super::password_validation) says whether it is a good one.
    ///
    /// # Errors
    ///
    /// [`Duplicate`](AuthErrorKind::Duplicate) where the name is taken, [`Value`](AuthErrorKind::Value) where it is empty or
    /// longer than 150 characters; otherwise where the database cannot answer.
    pub async fn create_user(
        &self,
        username: &str,
        email: &str,
        password: Option<&str>,
    ) -> Result<User, AuthError> {
        self.create(username, email, password, false).await
    }

    /// Makes a user who may do everything. Django's `create_superuser`.
    ///
    /// # Errors
    ///
    /// As [`create_user`](Self::create_user).
    pub async fn create_superuser(
        &self,
        username: &str,
        email: &str,
        password: Option<&str>,
    ) -> Result<User, AuthError> {
        self.create(username, email, password, true).await
    }

    async fn create(
        &self,
        username: &str,
        email: &str,
        password: Option<&str>,
        superuser: bool,
    ) -> Result<User, AuthError> {
        // One name has one spelling: `é` as a letter, and not as an e with an accent. Django's `normalize_username`.
        let username: String = username.nfkc().collect();
        check_username(&username)?;
        let new = NewUser {
            password: self.encode(password).await?,
            is_superuser: superuser,
            username,
            first_name: String::new(),
            last_name: String::new(),
            email: normalize_email(email),
            is_staff: superuser,
            is_active: true,
            date_joined: Utc::now().trunc_subsecs(6),
        };
        let id = self.tables.insert_user(&new).await?;
        Ok(self.user_of(UserRecord {
            id,
            password: new.password,
            last_login: None,
            is_superuser: new.is_superuser,
            username: new.username,
            first_name: new.first_name,
            last_name: new.last_name,
            email: new.email,
            is_staff: new.is_staff,
            is_active: new.is_active,
            date_joined: new.date_joined,
        }))
    }

    /// The user with this primary key, active or not.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer.
    pub async fn by_id(&self, id: &str) -> Result<Option<User>, AuthError> {
        let row = self.tables.user(UserKey::Id(id)).await?;
        Ok(row.map(|row| self.user_of(row.into())))
    }

    /// The user of this name, active or not. Django's `get_by_natural_key`.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer.
    pub async fn by_username(&self, username: &str) -> Result<Option<User>, AuthError> {
        let row = self.tables.user(UserKey::Username(username)).await?;
        Ok(row.map(|row| self.user_of(row.into())))
    }

    /// The active users of this e-mail address, however it is capitalised, who have a password: those whom Django's
    /// `PasswordResetForm` writes to.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer.
    pub async fn for_password_reset(&self, email: &str) -> Result<Vec<User>, AuthError> {
        let rows = self.tables.users_by_email(email).await?;
        let asked = email.to_lowercase();
        let users = rows
            .into_iter()
            // What only a database's collation takes for the same may be another's mailbox (CVE-2019-19844).
            .filter(|row| row.is_active && row.email.to_lowercase() == asked)
            .filter(|row| super::hashers::is_password_usable(&row.password))
            .map(|row| self.user_of(row.into()));
        Ok(users.collect())
    }

    /// Writes all fields of the record, the primary key apart.
    ///
    /// # Errors
    ///
    /// As [`create_user`](Self::create_user); [`Value`](AuthErrorKind::Value) where there is no such user any more.
    pub async fn save(&self, record: &UserRecord) -> Result<User, AuthError> {
        check_username(&record.username)?;
        let row = UserRow::from(record.clone());
        self.found(self.tables.update_user(&row).await?)?;
        Ok(self.user_of(record.clone()))
    }

    /// Gives the user another password, which ends all sessions of the user; see
    /// [`Auth::update_session_auth_hash`](super::Auth::update_session_auth_hash) for the present one. Without one, nobody can
    /// log in by a password. Django's `set_password` and `save`.
    ///
    /// Returns the user as it is then.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub async fn set_password(
        &self,
        user: &User,
        password: Option<&str>,
    ) -> Result<User, AuthError> {
        let mut record = record_of(user)?.clone();
        record.password = self.encode(password).await?;
        let written = self
            .tables
            .set_password(&record.id, &record.password)
            .await?;
        self.found(written)?;
        Ok(self.user_of(record))
    }

    /// Whether it is the user's password. Django's `check_password`.
    ///
    /// # Errors
    ///
    /// Where too many passwords are being checked, or the database cannot answer.
    pub async fn check_password(&self, user: &User, password: &str) -> Result<bool, AuthError> {
        let hashing = self.authentication.hashing().clone();
        let backend = ModelBackend::new(self.tables.clone(), hashing, false);
        let mut record = record_of(user)?.clone();
        backend.check_password(&mut record, password).await
    }

    /// Deletes the user, with what the user was given.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer, or rows of the application's own refer to the user.
    pub async fn delete(&self, user: &User) -> Result<(), AuthError> {
        self.tables.delete_user(&user.id()).await?;
        Ok(())
    }

    /// Makes a permission where it is missing. A Django site has those of its models; this is for what it does not know.
    ///
    /// ```no_run
    /// # use quintette::auth::{AuthError, Users};
    /// # async fn example(users: Users) -> Result<(), AuthError> {
    /// users.create_permission("shop", "order", "view_order", "Can view order").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where the database cannot answer.
    pub async fn create_permission(
        &self,
        app_label: &str,
        model: &str,
        codename: &str,
        name: &str,
    ) -> Result<(), AuthError> {
        let made = self
            .tables
            .create_permission(app_label, model, codename, name);
        Ok(made.await?)
    }

    /// Makes a group where it is missing.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer.
    pub async fn create_group(&self, name: &str) -> Result<(), AuthError> {
        Ok(self.tables.create_group(name).await?)
    }

    /// Lets the user do this: `app.codename`. What a [`User`] has loaded of its permissions stays as it was.
    ///
    /// # Errors
    ///
    /// [`Value`](AuthErrorKind::Value) where there is no such permission; otherwise where the database cannot answer.
    pub async fn grant(&self, user: &User, permission: &str) -> Result<(), AuthError> {
        let (app_label, codename) = parts(permission)?;
        let granted = self.tables.grant(&user.id(), app_label, codename).await?;
        granted
            .then_some(())
            .ok_or_else(|| unknown("user or permission", permission))
    }

    /// Puts the user into the group.
    ///
    /// # Errors
    ///
    /// [`Value`](AuthErrorKind::Value) where there is no such group; otherwise where the database cannot answer.
    pub async fn add_to_group(&self, user: &User, group: &str) -> Result<(), AuthError> {
        let added = self.tables.add_to_group(&user.id(), group).await?;
        added
            .then_some(())
            .ok_or_else(|| unknown("user or group", group))
    }

    /// Lets the members of the group do this: `app.codename`.
    ///
    /// # Errors
    ///
    /// [`Value`](AuthErrorKind::Value) where there is no such group or permission; otherwise where the database cannot answer.
    pub async fn grant_group(&self, group: &str, permission: &str) -> Result<(), AuthError> {
        let (app_label, codename) = parts(permission)?;
        let granted = self.tables.grant_group(group, app_label, codename).await?;
        granted
            .then_some(())
            .ok_or_else(|| unknown("group or permission", permission))
    }

    /// The names of the user's groups.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer.
    pub async fn groups(&self, user: &User) -> Result<Vec<String>, AuthError> {
        Ok(self.tables.groups(&user.id()).await?)
    }

    async fn encode(&self, password: Option<&str>) -> Result<String, AuthError> {
        match password {
            Some(password) => Ok(self
                .authentication
                .hashing()
                .make_password(password)
                .await?),
            None => Ok(unusable_password()?),
        }
    }

    fn user_of(&self, record: UserRecord) -> User {
        self.authentication.user_of(Box::new(record))
    }

    fn found(&self, found: bool) -> Result<(), AuthError> {
        let model = &self.authentication.settings().auth_user_model;
        found
            .then_some(())
            .ok_or_else(|| unknown("user", &model.to_string()))
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}

impl From<UserRow> for UserRecord {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            password: row.password,
            last_login: row.last_login,
            is_superuser: row.is_superuser,
            username: row.username,
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            is_staff: row.is_staff,
            is_active: row.is_active,
            date_joined: row.date_joined,
        }
    }
}

impl From<UserRecord> for UserRow {
    fn from(record: UserRecord) -> Self {
        Self {
            id: record.id,
            password: record.password,
            last_login: record.last_login,
            is_superuser: record.is_superuser,
            username: record.username,
            first_name: record.first_name,
            last_name: record.last_name,
            email: record.email,
            is_staff: record.is_staff,
            is_active: record.is_active,
            date_joined: record.date_joined,
        }
    }
}

fn record_of(user: &User) -> Result<&UserRecord, AuthError> {
    user.downcast_ref().ok_or_else(|| {
        AuthError::new(
            AuthErrorKind::Value,
            "this user is not one of the table of users, but of a backend of the application's own",
        )
    })
}

fn check_username(username: &str) -> Result<(), AuthError> {
    let characters = username.chars().count();
    if characters == 0 || characters > LONGEST_USERNAME || username.contains('\0') {
        let message =
            format!("a user name has from 1 to {LONGEST_USERNAME} characters, and no NUL");
        return Err(AuthError::new(AuthErrorKind::Value, message));
    }
    Ok(())
}

/// The domain in lower case, as Django's `normalize_email`.
fn normalize_email(email: &str) -> String {
    match email.trim().rsplit_once('@') {
        Some((name, domain)) => format!("{name}@{}", domain.to_lowercase()),
        None => email.to_owned(),
    }
}

fn parts(permission: &str) -> Result<(&str, &str), AuthError> {
    permission
        .split_once('.')
        .ok_or_else(|| unknown("permission (write it as app.codename)", permission))
}

fn unknown(what: &str, name: &str) -> AuthError {
    AuthError::new(
        AuthErrorKind::Value,
        format!("there is no such {what}: {name:?}"),
    )
}
