use std::fmt;

use chrono::{DateTime, Utc};

/// How a user is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserKey<'a> {
    /// The text of the primary key, as a session or a link holds it. One that is no number is no user's.
    Id(&'a str),
    /// The whole name, compared as the database compares.
    Username(&'a str),
}

/// A row of the user table.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserRow {
    /// The primary key, a number, as text.
    pub(crate) id: String,
    /// The encoded hash.
    pub(crate) password: String,
    pub(crate) last_login: Option<DateTime<Utc>>,
    pub(crate) is_superuser: bool,
    pub(crate) username: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: String,
    pub(crate) is_staff: bool,
    pub(crate) is_active: bool,
    pub(crate) date_joined: DateTime<Utc>,
}

/// Whose row it is, and nothing else of it.
impl fmt::Debug for UserRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserRow({}, {:?})", self.id, self.username)
    }
}

/// A user who is not in the table yet.
#[derive(Clone)]
pub(crate) struct NewUser {
    /// The encoded hash.
    pub(crate) password: String,
    pub(crate) is_superuser: bool,
    pub(crate) username: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: String,
    pub(crate) is_staff: bool,
    pub(crate) is_active: bool,
    pub(crate) date_joined: DateTime<Utc>,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewUser({:?})", self.username)
    }
}

/// What a user may do: `auth.add_user`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Permission {
    /// `auth`
    pub(crate) app_label: String,
    /// `add_user`
    pub(crate) codename: String,
}

/// A session of a user: a row of `quintette_user_session`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserSessionRow {
    /// An HMAC of the session's key, in hexadecimal: 64 characters at most.
    pub(crate) id: String,
    /// The session's key, encrypted.
    pub(crate) sealed_key: String,
    /// As [`UserRow::id`].
    pub(crate) user_id: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) last_activity: DateTime<Utc>,
    /// Cut to 255 characters.
    pub(crate) user_agent: String,
    /// Cut to 45 characters, which is the longest address of IPv6.
    pub(crate) address: String,
}

impl fmt::Debug for UserSessionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserSessionRow(user {})", self.user_id)
    }
}
