//! A new account.

use axum::Form;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use minijinja::{context, value::Serde, value::Value};
use quintette::auth::password_validation::{PasswordValidators, UserAttribute};
use quintette::auth::{Auth, AuthErrorKind};
use quintette::messages::Messages;
use quintette::templates::TemplatePage;
use serde::{Deserialize, Serialize};

use super::Next;
use crate::error::ShopError;
use crate::form::{Errors, check_email};

/// As many characters as Django's table has room for.
const LONGEST_USERNAME: usize = 150;

/// The form as it was filled in.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SignUpForm {
    username: String,
    email: String,
    #[serde(skip_serializing)]
    password1: String,
    #[serde(skip_serializing)]
    password2: String,
    next: String,
}

pub(super) async fn form(
    page: TemplatePage,
    auth: Auth,
    Query(next): Query<Next>,
) -> Result<Response, ShopError> {
    let settings = auth.authentication().settings();
    let next = next.checked(page.request(), settings);
    if auth.user().await?.is_some() {
        return Ok(next.redirect(settings));
    }
    let form = SignUpForm {
        next: next.next,
        ..SignUpForm::default()
    };
    let page = show(&page, &auth, &form, &Errors::default()).await?;
    Ok(page.into_response())
}

pub(super) async fn sign_up(
    page: TemplatePage,
    auth: Auth,
    messages: Messages,
    Form(mut form): Form<SignUpForm>,
) -> Result<Response, ShopError> {
    let authentication = auth.authentication();
    let settings = authentication.settings();
    let next = Next { next: form.next }.checked(page.request(), settings);
    form.next = next.next.clone();
    form.username = form.username.trim().to_owned();
    form.email = form.email.trim().to_owned();
    let mut errors = check(&form, authentication.password_validators());
    if errors.is_empty() {
        let users = authentication.users()?;
        let made = users.create_user(&form.username, &form.email, Some(&form.password1));
        match made.await {
            Ok(user) => {
                auth.login(&user).await?;
                messages.success(format!("Welcome to Five Leaves, {user}."));
                return Ok(next.redirect(settings));
            }
            Err(error) if error.kind() == AuthErrorKind::Duplicate => {
                errors.add(
                    "username",
                    "Somebody has this user name already. Choose another.",
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    let page = show(&page, &auth, &form, &errors).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

fn check(form: &SignUpForm, validators: &PasswordValidators) -> Errors {
    let mut errors = Errors::default();
    // Django's own rule for names.
    let is_fit = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
    if form.username.is_empty() {
        errors.add("username", "Choose a name to log in with.");
    } else if !form.username.chars().all(is_fit) || form.username.chars().count() > LONGEST_USERNAME
    {
        errors.add(
            "username",
            "Use letters, digits and @ . + - _ only, 150 of them at most.",
        );
    }
    check_email(&form.email, &mut errors);
    let user = [
        UserAttribute::new("username", "username", &form.username),
        UserAttribute::new("email", "email address", &form.email),
    ];
    check_passwords(
        &form.password1,
        &form.password2,
        &user,
        validators,
        &mut errors,
    );
    errors
}

/// Puts what is wrong with a new password beside its fields `password1` and `password2`: `AUTH_PASSWORD_VALIDATORS`.
pub(super) fn check_passwords(
    password: &str,
    again: &str,
    user: &[UserAttribute<'_>],
    validators: &PasswordValidators,
    errors: &mut Errors,
) {
    if password.is_empty() {
        errors.add("password1", "Choose a password.");
        return;
    }
    if let Err(invalid) = validators.validate_password(password, user) {
        for message in invalid.messages() {
            errors.add("password1", message);
        }
    }
    if password != again {
        errors.add("password2", "This is not the same password.");
    }
}

async fn show(
    page: &TemplatePage,
    auth: &Auth,
    form: &SignUpForm,
    errors: &Errors,
) -> Result<Html<String>, ShopError> {
    let validators = auth.authentication().password_validators();
    let values = context! {
        form => Value::from(Serde(form)),
        errors => Value::from(Serde(errors)),
        help => validators.help_texts(),
    };
    Ok(page.render("sign_up.html", values).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_field_of_a_new_account_is_told() {
        let form = SignUpForm {
            username: "mei li".into(),
            email: "mei".into(),
            password1: "12345".into(),
            password2: "1234".into(),
            ..SignUpForm::default()
        };
        let errors = check(&form, &PasswordValidators::recommended());
        let all = ["email", "password1", "password2", "username"];
        assert_eq!(errors.fields(), all);
        assert_eq!(
            check(&SignUpForm::default(), &PasswordValidators::recommended()).fields(),
            ["email", "password1", "username"]
        );
    }

    #[test]
    fn a_good_form_is_taken_in_any_script() {
        let form = SignUpForm {
            username: "김미나".into(),
            email: "mina@example.com".into(),
            password1: "correct horse".into(),
            password2: "correct horse".into(),
            ..SignUpForm::default()
        };
        assert!(check(&form, &PasswordValidators::recommended()).is_empty());
    }
}
