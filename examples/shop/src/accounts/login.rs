//! In and out.

use axum::Form;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use chrono::TimeDelta;
use minijinja::context;
use quintette::auth::{Auth, Credentials};
use quintette::messages::Messages;
use quintette::sessions::Expiry;
use quintette::templates::TemplatePage;
use serde::Deserialize;

use super::Next;
use crate::error::ShopError;

/// For how long a browser is remembered that does not come back.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LoginForm {
    username: String,
    password: String,
    /// A box that is not ticked is not sent.
    remember: Option<String>,
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
    let form = LoginForm {
        next: next.next,
        ..LoginForm::default()
    };
    Ok(show(&page, &form, false).await?.into_response())
}

pub(super) async fn log_in(
    page: TemplatePage,
    auth: Auth,
    messages: Messages,
    Form(mut form): Form<LoginForm>,
) -> Result<Response, ShopError> {
    let settings = auth.authentication().settings();
    let next = Next { next: form.next }.checked(page.request(), settings);
    form.next = next.next.clone();
    let credentials = Credentials::new(form.username.trim(), &form.password);
    let Some(user) = auth.authenticate(&credentials).await? else {
        let page = show(&page, &form, true).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    // The cart comes along: a login gives the stranger's session another key, and keeps what is in it.
    auth.login(&user).await?;
    auth.session().set_expiry(match form.remember {
        Some(_) => Expiry::AfterIdle(REMEMBERED),
        None => Expiry::BrowserClose,
    });
    messages.success(format!("Welcome back, {user}."));
    Ok(next.redirect(settings))
}

pub(super) async fn log_out(auth: Auth, messages: Messages) -> Result<Redirect, ShopError> {
    // The session ends with all that is in it: the next person at this browser sees neither cart nor orders.
    if auth.user().await?.is_some() {
        auth.logout().await?;
        messages.success("You are logged out.");
    }
    let settings = auth.authentication().settings();
    let page = settings.logout_redirect_url.as_deref().unwrap_or("/");
    Ok(Redirect::to(page))
}

async fn show(
    page: &TemplatePage,
    form: &LoginForm,
    is_wrong: bool,
) -> Result<Html<String>, ShopError> {
    let LoginForm { username, next, .. } = form;
    let remember = form.remember.is_some();
    let values = context! { username, next, remember, is_wrong };
    Ok(page.render("login.html", values).await?)
}
