//! Checks of new passwords: `django.contrib.auth.password_validation`.
//!
//! [`PasswordValidators`] are the setting `AUTH_PASSWORD_VALIDATORS`. They look at a password before it is hashed, when a
//! person chooses it (never at login), and tell everything that is wrong with it at once, in Django's words.
//!
//! ```
//! use quintette::auth::password_validation::{PasswordValidators, UserAttribute};
//!
//! let validators = PasswordValidators::recommended();
//! let jane = [UserAttribute::new("email", "email address", "jane@example.com")];
//!
//! let invalid = validators.validate_password("1234", &jane).unwrap_err();
//! let codes: Vec<_> = invalid.reasons().iter().map(|reason| reason.code()).collect();
//! assert_eq!(codes, ["password_too_short", "password_too_common", "password_entirely_numeric"]);
//!
//! let invalid = validators.validate_password("jane@example", &jane).unwrap_err();
//! assert_eq!(invalid.to_string(), "The password is too similar to the email address.");
//!
//! assert!(validators.validate_password("correct horse", &jane).is_ok());
//! ```
//!
//! # Differences from Django
//!
//! The list of common passwords is another one: see [`CommonPassword`]. The messages are Django's, in English.
//!
//! Source: `django/contrib/auth/password_validation.py` of Django 5.2.19.

mod characters;
mod common;
mod error;
mod length;
mod numeric;
mod setting;
mod similarity;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::sync::Arc;

pub use common::CommonPassword;
pub use error::{InvalidPassword, Reason, ValidatorConfigError};
pub use length::MinimumLength;
pub use numeric::NumericPassword;
pub use similarity::UserAttributeSimilarity;

/// One check. An application may have its own.
///
/// ```
/// use quintette::auth::password_validation::{PasswordValidator, PasswordValidators, Reason, UserAttribute};
///
/// #[derive(Debug)]
/// struct NotTheShopsName;
///
/// impl PasswordValidator for NotTheShopsName {
///     fn validate(&self, password: &str, _user: &[UserAttribute<'_>]) -> Result<(), Reason> {
///         if password.to_lowercase().contains("quintette") {
///             return Err(Reason::new("password_is_shop", "The password names this shop."));
///         }
///         Ok(())
///     }
///
///     fn help_text(&self) -> String {
///         "Your password can’t name this shop.".to_owned()
///     }
/// }
///
/// let validators = PasswordValidators::recommended().with(NotTheShopsName);
/// assert!(validators.validate_password("quintette-4-ever", &[]).is_err());
/// ```
pub trait PasswordValidator: fmt::Debug + Send + Sync + 'static {
    /// Looks at a new password of a user, of whom nothing may be known.
    ///
    /// It must be quick: requests are served on this thread. What has to be read is read when the validator is made.
    ///
    /// # Errors
    ///
    /// Why the password will not do.
    fn validate(&self, password: &str, user: &[UserAttribute<'_>]) -> Result<(), Reason>;

    /// What it asks of a password, in a sentence to be shown where one is chosen: `get_help_text`.
    fn help_text(&self) -> String;

    /// Called once a password has been stored, by a validator that remembers them, say. By default nothing.
    fn password_changed(&self, password: &str, user: &[UserAttribute<'_>]) {
        let _ = (password, user);
    }
}

/// Something that is known of the user who chooses a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserAttribute<'a> {
    /// The field's name in Django's model, such as `first_name`.
    pub name: &'a str,
    /// What people call it, such as `first name`. Of Django's own user, `email` is the `email address`.
    pub verbose_name: &'a str,
    /// Its value, which may be empty.
    pub value: &'a str,
}

impl<'a> UserAttribute<'a> {
    /// A field with what people call it, and its value.
    pub fn new(name: &'a str, verbose_name: &'a str, value: &'a str) -> Self {
        Self {
            name,
            verbose_name,
            value,
        }
    }
}

/// The checks of new passwords, in order: `AUTH_PASSWORD_VALIDATORS`.
///
/// By default there are none, as in Django; a new Django project has the [`recommended`](Self::recommended) ones in its
/// settings. A cheap handle; clones share them.
#[derive(Clone, Debug, Default)]
pub struct PasswordValidators(Vec<Arc<dyn PasswordValidator>>);

impl PasswordValidators {
    /// No checks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// All four of Django's, as `startproject` puts them into new settings.
    pub fn recommended() -> Self {
        Self::new()
            .with(UserAttributeSimilarity::new())
            .with(MinimumLength::new())
            .with(CommonPassword::new())
            .with(NumericPassword::new())
    }

    /// The validators that the setting names, each with its `NAME` and its `OPTIONS`.
    ///
    /// ```
    /// use quintette::auth::password_validation::PasswordValidators;
    /// use serde_json::json;
    ///
    /// let options = json!({ "min_length": 12 });
    /// let validators = PasswordValidators::from_setting([(
    ///     "django.contrib.auth.password_validation.MinimumLengthValidator",
    ///     options.as_object().unwrap(),
    /// )])?;
    /// assert_eq!(validators.help_texts(), ["Your password must contain at least 12 characters."]);
    /// # Ok::<(), quintette::auth::password_validation::ValidatorConfigError>(())
    /// ```
    ///
    /// Reads the file that `password_list_path` names, so call it before requests are served.
    ///
    /// # Errors
    ///
    /// If a name is none of Django's, if there is no such option or its value will not do, and if the file cannot be read.
    pub fn from_setting<'a>(
        setting: impl IntoIterator<Item = (&'a str, &'a serde_json::Map<String, serde_json::Value>)>,
    ) -> Result<Self, ValidatorConfigError> {
        let validators = setting
            .into_iter()
            .map(|(name, options)| setting::validator(name, options));
        validators.collect::<Result<_, _>>().map(Self)
    }

    /// One more, after the others.
    #[must_use]
    pub fn with(mut self, validator: impl PasswordValidator) -> Self {
        self.0.push(Arc::new(validator));
        self
    }

    /// Asks every validator about a new password: `validate_password`.
    ///
    /// # Errors
    ///
    /// With everything that is wrong with the password.
    pub fn validate_password(
        &self,
        password: &str,
        user: &[UserAttribute<'_>],
    ) -> Result<(), InvalidPassword> {
        let reasons = self
            .0
            .iter()
            .filter_map(|validator| validator.validate(password, user).err());
        InvalidPassword::unless_empty(reasons.collect())
    }

    /// Tells every validator that a password has been stored: `password_changed`.
    pub fn password_changed(&self, password: &str, user: &[UserAttribute<'_>]) {
        for validator in &self.0 {
            validator.password_changed(password, user);
        }
    }

    /// What is asked of a password, a sentence a validator: `password_validators_help_texts`.
    pub fn help_texts(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|validator| validator.help_text())
            .collect()
    }

    /// The same as a list in HTML, escaped; nothing where there are no validators: `password_validators_help_text_html`.
    pub fn help_text_html(&self) -> String {
        let mut items = String::new();
        for text in self.help_texts() {
            // Writing to a string does not fail.
            let _ = write!(items, "<li>{}</li>", escaped(&text));
        }
        if items.is_empty() {
            items
        } else {
            format!("<ul>{items}</ul>")
        }
    }
}

/// As `django.utils.html.escape` does it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
}
