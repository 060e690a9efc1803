//! New passwords: what is asked of them, and how they are asked for.

use quintette::auth::User;
use quintette::auth::hashers::PasswordHashers;
use quintette::auth::password_validation::{InvalidPassword, PasswordValidators, UserAttribute};
use quintette::settings::Settings;

use super::prompt::Terminal;
use crate::error::Error;
use crate::output::{print_error, print_note};

const DJANGOS: &str = "django.contrib.auth.password_validation.";

/// What a person has chosen.
pub(super) enum Chosen {
    Password(String),
    /// Two that are not the same, or none at all; the person was told.
    Nothing,
}

/// Asks for a password, twice.
pub(super) async fn choose(terminal: Terminal) -> Result<Chosen, Error> {
    let password = terminal.secret("Password: ").await?;
    let again = terminal.secret("Password (again): ").await?;
    if password != again {
        print_error(&"these passwords are not the same");
        return Ok(Chosen::Nothing);
    }
    if password.trim().is_empty() {
        print_error(&"a password cannot be blank");
        return Ok(Chosen::Nothing);
    }
    Ok(Chosen::Password(password))
}

/// What `AUTH_PASSWORD_VALIDATORS` asks of a password.
pub(super) struct Validators(PasswordValidators);

impl Validators {
    /// Those of the application's own are in its code alone, which a note tells.
    pub(super) fn of(settings: &Settings) -> Result<Self, Error> {
        let (known, own): (Vec<_>, Vec<_>) = settings
            .auth_password_validators
            .iter()
            .partition(|validator| validator.name.starts_with(DJANGOS));
        for validator in own {
            print_note(&format!(
                "AUTH_PASSWORD_VALIDATORS names {}, which is the application's own: it is not asked here",
                validator.name
            ));
        }
        let known = known
            .into_iter()
            .map(|validator| (validator.name.as_str(), &validator.options));
        let validators = PasswordValidators::from_setting(known);
        validators
            .map(Self)
            .map_err(|error| Error::Other(error.to_string()))
    }

    pub(super) fn check(
        &self,
        password: &str,
        user: &[UserAttribute<'_>],
    ) -> Result<(), InvalidPassword> {
        self.0.validate_password(password, user)
    }
}

/// What Django's validators may compare a password with.
pub(super) fn attributes(user: &User) -> [UserAttribute<'_>; 4] {
    let record = user.record();
    [
        UserAttribute::new("username", "username", record.username()),
        UserAttribute::new("first_name", "first name", record.first_name()),
        UserAttribute::new("last_name", "last name", record.last_name()),
        UserAttribute::new("email", "email address", record.email()),
    ]
}

/// The first of `PASSWORD_HASHERS` makes new hashes, so that one has to be known here.
pub(super) fn check_preferred_hasher(settings: &Settings) -> Result<(), Error> {
    let first = settings.password_hashers.get(..1).unwrap_or_default();
    let known = PasswordHashers::from_paths(first);
    known
        .map(|_| ())
        .map_err(|error| Error::Other(error.to_string()))
}
