//! `AUTH_USER_MODEL` and `AUTH_PASSWORD_VALIDATORS`: which table holds the users, and what a password must be like.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::error::{Problem, SettingsError};
use super::value;

/// Django's default for `PASSWORD_HASHERS`. The first one hashes, the others verify.
pub(super) const PASSWORD_HASHERS: [&str; 5] = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
];

/// Django's default for `AUTHENTICATION_BACKENDS`.
pub(super) const MODEL_BACKEND: &str = "django.contrib.auth.backends.ModelBackend";

/// The longest name that PostgreSQL takes has 63 bytes, and names of constraints are made from the model's.
const LONGEST_MODEL: usize = 48;

/// The model of the site's users: `AUTH_USER_MODEL`.
///
/// ```
/// use quintette_core::settings::UserModel;
///
/// let model: UserModel = "accounts.Customer".parse()?;
/// assert_eq!((model.app_label(), &*model.model_name()), ("accounts", "customer"));
/// assert_eq!(model.table(), "accounts_customer");
/// # Ok::<(), quintette_core::settings::SettingsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserModel {
    app_label: String,
    model: String,
}

impl Default for UserModel {
    /// Django's own: `auth.User`.
    fn default() -> Self {
        Self {
            app_label: "auth".to_owned(),
            model: "User".to_owned(),
        }
    }
}

impl UserModel {
    /// The application that has the model: `auth`.
    pub fn app_label(&self) -> &str {
        &self.app_label
    }

    /// The model's name as tables and permissions have it, in lower case: `user`.
    pub fn model_name(&self) -> String {
        self.model.to_lowercase()
    }

    /// The table, as Django names it where a model does not say otherwise: `auth_user`.
    pub fn table(&self) -> String {
        format!("{}_{}", self.app_label, self.model_name())
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        text.split_once('.')
            .filter(|(app, model)| is_name(app) && is_name(model))
            .filter(|_| text.len() <= LONGEST_MODEL)
            .map(|(app, model)| Self {
                app_label: app.to_owned(),
                model: model.to_owned(),
            })
            .ok_or_else(|| {
                format!(
                    "write an application and a model, such as \"auth.User\" or \"accounts.Customer\", of ASCII letters, \
                     digits and underscores, with at most {LONGEST_MODEL} characters"
                )
            })
    }
}

impl FromStr for UserModel {
    type Err = SettingsError;

    /// # Errors
    ///
    /// Where the text is not an application and a model with a point between them.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        Self::parse(text)
            .map_err(|advice| Problem::wrong("AUTH_USER_MODEL", &Value::from(text), advice).into())
    }
}

impl fmt::Display for UserModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.app_label, self.model)
    }
}

/// One of `AUTH_PASSWORD_VALIDATORS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordValidatorSettings {
    /// `NAME`: Django's dotted path of the validator.
    pub name: String,
    /// `OPTIONS`: the arguments it is made with.
    pub options: Map<String, Value>,
}

pub(super) fn validators(value: &Value) -> Result<Vec<PasswordValidatorSettings>, String> {
    const WANTED: &str = "write a list of {\"NAME\": \"django.contrib.auth.password_validation.MinimumLengthValidator\", \
                          \"OPTIONS\": {\"min_length\": 8}} and the like";
    if value::is_unset(value) {
        return Ok(Vec::new());
    }
    let items = value.as_array().ok_or(WANTED)?;
    let validator = |item: &Value| {
        let name = item.get("NAME")?.as_str()?.to_owned();
        let options = match item.get("OPTIONS") {
            None => Map::new(),
            Some(options) => options.as_object()?.clone(),
        };
        Some(PasswordValidatorSettings { name, options })
    };
    items
        .iter()
        .map(|item| validator(item).ok_or_else(|| WANTED.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_model_is_an_application_and_a_model() {
        let model = UserModel::parse("auth.User").unwrap();
        assert_eq!(model, UserModel::default());
        assert_eq!(
            (model.table(), model.to_string()),
            ("auth_user".into(), "auth.User".into())
        );
        for wrong in [
            "",
            "User",
            "auth.",
            ".User",
            "a.b.c",
            "auth.Us er",
            "auth.1",
            "a\"b.User",
            &"a.".repeat(40),
        ] {
            assert!(UserModel::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn validators_have_a_name_and_options() {
        let given =
            serde_json::json!([{"NAME": "a.B"}, {"NAME": "c.D", "OPTIONS": {"min_length": 9}}]);
        let read = validators(&given).unwrap();
        assert_eq!(read[0].options.len(), 0);
        assert_eq!(read[1].options["min_length"], 9);
        for wrong in [
            serde_json::json!("a.B"),
            serde_json::json!([{"OPTIONS": {}}]),
            serde_json::json!([{"NAME": "a", "OPTIONS": 1}]),
        ] {
            assert!(validators(&wrong).is_err(), "{wrong}");
        }
    }
}
