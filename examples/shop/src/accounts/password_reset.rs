//! Another password for whoever has forgotten the present one, by a link in a mail.
//!
//! Neither the page, nor how long it takes, nor the log says whether anybody has the address.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use minijinja::{context, value::Serde, value::Value};
use quintette::auth::tokens::{urlsafe_base64_decode, urlsafe_base64_encode};
use quintette::auth::{Auth, AuthError, Authentication, User};
use quintette::messages::Messages;
use quintette::templates::TemplatePage;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::password_change::attributes;
use super::sign_up::check_passwords;
use crate::error::ShopError;
use crate::form::{Errors, check_email};
use crate::mail::{Mail, Mailer};
use crate::times::in_words;

/// The session's key of the token between the mail's link and the form. Django's, as the next one.
const TOKEN: &str = "_password_reset_token";
/// What stands in the place of the token in the form's address.
const SET_PASSWORD: &str = "set-password";

/// How many mails may be on their way at once.
const MAILS: usize = 64;

/// Writes the mails, beside the requests that ask for them. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct PasswordResets {
    authentication: Authentication,
    mailer: Mailer,
    places: Arc<Semaphore>,
}

impl PasswordResets {
    pub(crate) fn new(authentication: Authentication, mailer: Mailer) -> Self {
        Self {
            authentication,
            mailer,
            places: Arc::new(Semaphore::new(MAILS)),
        }
    }

    /// Looks for the address and writes to whoever has it, in a task of its own: the visitor's answer waits for nothing, and so
    /// tells nothing.
    fn ask(&self, email: String, site: String) -> Result<(), ShopError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| ShopError::Busy)?;
        let this = self.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = this.write(&email, &site).await {
                tracing::error!("a password cannot be reset: {error}");
            }
        });
        Ok(())
    }

    async fn write(&self, email: &str, site: &str) -> Result<(), AuthError> {
        let users = self
            .authentication
            .users()?
            .for_password_reset(email)
            .await?;
        let mails: Vec<Mail> = users.iter().map(|user| self.mail(user, site)).collect();
        let mailer = self.mailer.clone();
        // A runtime that shuts down writes no more.
        let _ = spawn_blocking(move || {
            for mail in mails {
                mailer.send(mail);
            }
        })
        .await;
        Ok(())
    }

    /// The link is Django's: whose password, and a token that holds until the password changes or its user logs in.
    fn mail(&self, user: &User, site: &str) -> Mail {
        let uid = urlsafe_base64_encode(user.id());
        let token = self.authentication.make_password_reset_token(user);
        Mail {
            to: user.email().to_owned(),
            subject: "Your password at Five Leaves".to_owned(),
            text: format!(
                "Somebody, you we hope, wants to choose another password for your account at Five Leaves.\n\n\
                 {site}/password-reset/{uid}/{token}\n\n\
                 Your user name, should that be forgotten too: {user}\n\
                 If it was not you, do nothing, and nothing changes.\n"
            ),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct EmailForm {
    email: String,
}

pub(super) async fn form(page: TemplatePage) -> Result<Html<String>, ShopError> {
    show_form(&page, "", &Errors::default()).await
}

pub(super) async fn ask(
    State(resets): State<PasswordResets>,
    page: TemplatePage,
    auth: Auth,
    Form(form): Form<EmailForm>,
) -> Result<Response, ShopError> {
    let email = form.email.trim();
    let mut errors = Errors::default();
    check_email(email, &mut errors);
    if !errors.is_empty() {
        let page = show_form(&page, email, &errors).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    // The link is to lead here, and not where a forged `Host` says: ALLOWED_HOSTS decides.
    let settings = auth.authentication().settings();
    let head = page.request().head();
    let host = head.host(settings)?;
    let scheme = if head.is_secure(settings) {
        "https"
    } else {
        "http"
    };
    resets.ask(email.to_owned(), format!("{scheme}://{host}"))?;
    Ok(Redirect::to("/password-reset/sent").into_response())
}

pub(super) async fn sent(page: TemplatePage, auth: Auth) -> Result<Html<String>, ShopError> {
    let timeout = auth.authentication().settings().password_reset_timeout;
    let values = context! { timeout => in_words(timeout) };
    Ok(page.render("password_reset_sent.html", values).await?)
}

#[derive(Deserialize)]
pub(super) struct Link {
    uid: String,
    token: String,
}

/// What the link leads to. The token goes into the session and the browser to an address without it, so that it stays in
/// no history and reaches nobody by `Referer`.
pub(super) async fn confirm(
    page: TemplatePage,
    auth: Auth,
    Path(link): Path<Link>,
) -> Result<Response, ShopError> {
    let is_form = link.token == SET_PASSWORD;
    let token = if is_form {
        auth.session().get(TOKEN).await?.unwrap_or_default()
    } else {
        link.token
    };
    let Some(user) = user_of(&auth, &link.uid, &token).await? else {
        let page = page.render("password_reset_confirm.html", context! { is_good => false });
        return Ok((StatusCode::NOT_FOUND, page.await?).into_response());
    };
    if is_form {
        let page = show_confirm(&page, &auth, &user, &Errors::default()).await?;
        return Ok(page.into_response());
    }
    auth.session().insert(TOKEN, token)?;
    let uid = urlsafe_base64_encode(user.id());
    Ok(Redirect::to(&format!("/password-reset/{uid}/{SET_PASSWORD}")).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NewPasswordForm {
    password1: String,
    password2: String,
}

pub(super) async fn reset(
    page: TemplatePage,
    auth: Auth,
    messages: Messages,
    Path(link): Path<Link>,
    Form(form): Form<NewPasswordForm>,
) -> Result<Response, ShopError> {
    let authentication = auth.authentication();
    let token: String = auth.session().get(TOKEN).await?.unwrap_or_default();
    let Some(user) = user_of(&auth, &link.uid, &token).await? else {
        let page = page.render("password_reset_confirm.html", context! { is_good => false });
        return Ok((StatusCode::NOT_FOUND, page.await?).into_response());
    };
    let mut errors = Errors::default();
    check_passwords(
        &form.password1,
        &form.password2,
        &attributes(&user),
        authentication.password_validators(),
        &mut errors,
    );
    if !errors.is_empty() {
        let page = show_confirm(&page, &auth, &user, &errors).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    // Whoever is logged in here proved the old password, or is somebody else.
    if auth.user().await?.is_some() {
        auth.logout().await?;
    }
    auth.session().remove(TOKEN);
    // With the old password end all sessions that it was proven in.
    authentication
        .users()?
        .set_password(&user, Some(&form.password1))
        .await?;
    messages.success("Your password is changed. Log in with the new one.");
    Ok(Redirect::to("/login").into_response())
}

/// Whose link it is, where it is a good one.
async fn user_of(auth: &Auth, uid: &str, token: &str) -> Result<Option<User>, ShopError> {
    let id = urlsafe_base64_decode(uid).and_then(|id| String::from_utf8(id).ok());
    let Some(id) = id else { return Ok(None) };
    let authentication = auth.authentication();
    let user = authentication.users()?.by_id(&id).await?;
    Ok(user.filter(|user| authentication.check_password_reset_token(user, token)))
}

async fn show_form(
    page: &TemplatePage,
    email: &str,
    errors: &Errors,
) -> Result<Html<String>, ShopError> {
    let values = context! { email, errors => Value::from(Serde(errors)) };
    Ok(page.render("password_reset.html", values).await?)
}

async fn show_confirm(
    page: &TemplatePage,
    auth: &Auth,
    user: &User,
    errors: &Errors,
) -> Result<Html<String>, ShopError> {
    let values = context! {
        is_good => true,
        username => user.username(),
        errors => Value::from(Serde(errors)),
        help => auth.authentication().password_validators().help_texts(),
    };
    Ok(page.render("password_reset_confirm.html", values).await?)
}
