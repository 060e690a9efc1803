//! Django's tables of users, groups and permissions, and ours of the sessions that each user has.

mod dialect;
mod names;
pub(super) mod permissions;
mod rows;
mod tables;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::error::DatabaseError;

pub(super) use dialect::{Dialect, Statement, Value};
pub(super) use names::Names;
pub(crate) use rows::{NewUser, Permission, UserKey, UserRow, UserSessionRow};
pub(super) use tables::LOOK;

/// The tables, in the dialect of one database. A method is one round trip where it does not say otherwise.
///
/// A user's `id` is the text of a primary key. One that is no number is nobody's: nothing is found, and nothing changed.
///
/// # Cancellation
///
/// A statement whose caller vanishes may have been carried out or not.
#[async_trait]
pub(crate) trait UserTables: std::fmt::Debug + Send + Sync {
    /// The user, active or not.
    async fn user(&self, key: UserKey<'_>) -> Result<Option<UserRow>, DatabaseError>;

    /// All who have this address, in whatever case it is written.
    async fn users_by_email(&self, email: &str) -> Result<Vec<UserRow>, DatabaseError>;

    /// The id of the new row. Fails with the kind `Duplicate` where the name is taken.
    async fn insert_user(&self, user: &NewUser) -> Result<String, DatabaseError>;

    /// Writes every field; `false` where there is no such user. Fails with the kind `Duplicate` where the name is taken.
    async fn update_user(&self, user: &UserRow) -> Result<bool, DatabaseError>;

    /// `false` where there is no such user.
    async fn set_password(&self, id: &str, encoded: &str) -> Result<bool, DatabaseError>;

    /// Sets the password where the stored one is still `seen`; else `false`.
    async fn replace_password(
        &self,
        id: &str,
        seen: &str,
        encoded: &str,
    ) -> Result<bool, DatabaseError>;

    /// `false` where there is no such user.
    async fn set_last_login(&self, id: &str, time: DateTime<Utc>) -> Result<bool, DatabaseError>;

    /// Deletes the user, with the rows that give permissions and groups; `false` where there is none. One transaction.
    /// Fails with the kind `Refused` where other tables refer to the user.
    async fn delete_user(&self, id: &str) -> Result<bool, DatabaseError>;

    /// What the user was given, directly and by groups, each once; not what a superuser has by being one.
    async fn permissions(&self, user_id: &str) -> Result<Vec<Permission>, DatabaseError>;

    /// Every permission that there is, each once.
    async fn all_permissions(&self) -> Result<Vec<Permission>, DatabaseError>;

    /// The names of the user's groups, in their order.
    async fn groups(&self, user_id: &str) -> Result<Vec<String>, DatabaseError>;

    /// Makes the permission where it is missing, and its content type. Two statements.
    async fn create_permission(
        &self,
        app_label: &str,
        model: &str,
        codename: &str,
        name: &str,
    ) -> Result<(), DatabaseError>;

    /// Makes the group where it is missing.
    async fn create_group(&self, name: &str) -> Result<(), DatabaseError>;

    /// Gives the user the permission; `false` where there is no such user or permission.
    async fn grant(
        &self,
        user_id: &str,
        app_label: &str,
        codename: &str,
    ) -> Result<bool, DatabaseError>;

    /// Puts the user into the group; `false` where there is no such user or group.
    async fn add_to_group(&self, user_id: &str, group: &str) -> Result<bool, DatabaseError>;

    /// Gives the group the permission; `false` where there is no such group or permission.
    async fn grant_group(
        &self,
        group: &str,
        app_label: &str,
        codename: &str,
    ) -> Result<bool, DatabaseError>;

    /// Notes a session, or what has changed about it: when it was created stays.
    async fn record_session(&self, session: &UserSessionRow) -> Result<(), DatabaseError>;

    /// The session noted under this id.
    async fn session(&self, id: &str) -> Result<Option<UserSessionRow>, DatabaseError>;

    /// The sessions of this user, the most recently used first, 1,000 at the most: whoever means all forgets these, and asks
    /// again.
    async fn sessions_of(&self, user_id: &str) -> Result<Vec<UserSessionRow>, DatabaseError>;

    /// `false` where there is none.
    async fn forget_session(&self, id: &str) -> Result<bool, DatabaseError>;

    /// Forgets at most `limit` sessions that were last used before then, the earliest first; returns how many.
    async fn forget_sessions_before(
        &self,
        time: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, DatabaseError>;
}

#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod tests;
