//! Another password, chosen by whoever knows the present one.

use axum::Form;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use minijinja::{context, value::Serde, value::Value};
use quintette::auth::password_validation::UserAttribute;
use quintette::auth::{Auth, Credentials, User};
use quintette::messages::Messages;
use quintette::templates::TemplatePage;
use serde::Deserialize;

use super::sign_up::check_passwords;
use crate::error::ShopError;
use crate::form::Errors;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PasswordForm {
    old_password: String,
    password1: String,
    password2: String,
}

pub(super) async fn form(page: TemplatePage, auth: Auth) -> Result<Html<String>, ShopError> {
    show(&page, &auth, &Errors::default()).await
}

pub(super) async fn change(
    page: TemplatePage,
    auth: Auth,
    user: User,
    messages: Messages,
    Form(form): Form<PasswordForm>,
) -> Result<Response, ShopError> {
    let authentication = auth.authentication();
    let mut errors = Errors::default();
    let validators = authentication.password_validators();
    check_passwords(
        &form.password1,
        &form.password2,
        &attributes(&user),
        validators,
        &mut errors,
    );
    // By a login and not by a look at the hash: it counts as an attempt, and at a browser left alone nobody can guess on.
    let credentials = Credentials::new(user.username(), &form.old_password);
    if auth.authenticate(&credentials).await? != Some(user.clone()) {
        errors.add("old_password", "This is not your present password.");
    }
    if !errors.is_empty() {
        let page = show(&page, &auth, &errors).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let users = authentication.users()?;
    let user = users.set_password(&user, Some(&form.password1)).await?;
    // This session goes on, under another key. The others proved the old password, and so prove nothing any more.
    auth.update_session_auth_hash(&user).await?;
    messages.success(
        "Your password is changed. Wherever else you were logged in, you are not any more.",
    );
    Ok(Redirect::to("/account/password").into_response())
}

/// What a new password must not resemble.
pub(super) fn attributes(user: &User) -> [UserAttribute<'_>; 4] {
    [
        UserAttribute::new("username", "username", user.username()),
        UserAttribute::new("first_name", "first name", user.first_name()),
        UserAttribute::new("last_name", "last name", user.last_name()),
        UserAttribute::new("email", "email address", user.email()),
    ]
}

async fn show(
    page: &TemplatePage,
    auth: &Auth,
    errors: &Errors,
) -> Result<Html<String>, ShopError> {
    let validators = auth.authentication().password_validators();
    let values = context! {
        errors => Value::from(Serde(errors)),
        help => validators.help_texts(),
    };
    Ok(page.render("password_change.html", values).await?)
}
