//! Whether users can log in: the settings that name classes of Django's, and the tables.

use quintette::auth::hashers::PasswordHashers;
use quintette::auth::password_validation::PasswordValidators;
use quintette::auth::{ALLOW_ALL_USERS_MODEL_BACKEND, MODEL_BACKEND};
use quintette::settings::Settings;

use super::report::{Finding, Report};
use crate::error::Error;
use crate::output::print_note;
use crate::users::Site;

/// What the settings name, before anything is connected to.
pub(super) fn check_names(settings: &Settings, report: &mut Report) {
    for path in &settings.password_hashers {
        if let Err(error) = PasswordHashers::from_paths(&[path]) {
            tell("PASSWORD_HASHERS", path, &error.to_string(), report);
        }
    }
    for path in &settings.authentication_backends {
        if ![MODEL_BACKEND, ALLOW_ALL_USERS_MODEL_BACKEND].contains(&path.as_str()) {
            let problem = format!(
                "AUTHENTICATION_BACKENDS names {path:?}, which is not here: write {MODEL_BACKEND:?} or \
                 {ALLOW_ALL_USERS_MODEL_BACKEND:?}, or a backend of your own"
            );
            tell("AUTHENTICATION_BACKENDS", path, &problem, report);
        }
    }
    for validator in &settings.auth_password_validators {
        let known =
            PasswordValidators::from_setting([(validator.name.as_str(), &validator.options)]);
        if let Err(error) = known {
            report.add(Finding::error(format!("{error}.")));
        }
    }
}

/// Of what is not Django's, the application has to hand over its own, which no command can see.
fn tell(setting: &str, path: &str, problem: &str, report: &mut Report) {
    if path.starts_with("django.") {
        report.add(Finding::error(format!("{problem}.")));
    } else {
        print_note(&format!(
            "{setting} names {path:?}, which the application has to hand over: no command can check it"
        ));
    }
}

/// Whether the tables are there, where a database is.
pub(super) async fn check_tables(settings: Settings, report: &mut Report) -> Result<(), Error> {
    let Some(url) = &settings.database_url else {
        return Ok(());
    };
    let place = format!("{} in {url}", settings.auth_user_model);
    match Site::connect(settings).await {
        Ok(_) => report.ok("Users", &place)?,
        Err(error) if error.is_misconfigured() => report.add(
            Finding::warning(format!("Nobody can log in: {error}."))
                .with_id("quintette.W026")
                .with_hint("A service without users needs no such tables."),
        ),
        Err(error) => {
            report.failed("Users", &place)?;
            report.add(Finding::error(format!("{error}.")));
        }
    }
    Ok(())
}
