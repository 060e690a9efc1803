use std::fmt;

use quintette_core::settings::Settings;

/// The model whose table holds the users: Django's `AUTH_USER_MODEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserModel {
    /// `auth`
    pub(crate) app_label: String,
    /// `User`
    pub(crate) model_name: String,
}

impl UserModel {
    pub(crate) fn of(_settings: &Settings) -> Self {
        Self::default()
    }

    /// Whether it is `auth.User`.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for UserModel {
    fn default() -> Self {
        Self {
            app_label: "auth".to_owned(),
            model_name: "User".to_owned(),
        }
    }
}

impl fmt::Display for UserModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.app_label, self.model_name)
    }
}
