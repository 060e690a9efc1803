//! Where an account is logged in, and the end of it there.

use axum::Form;
use axum::response::{Html, Redirect};
use chrono::{SecondsFormat, Utc};
use minijinja::value::Serde;
use quintette::auth::{Auth, UserSession};
use quintette::messages::Messages;
use quintette::settings::{SessionEngineName, Settings};
use quintette::templates::TemplatePage;
use serde::{Deserialize, Serialize};

use super::user_agent::device;
use crate::error::ShopError;
use crate::times::{ago, in_full};

#[derive(Serialize)]
struct DevicesPage {
    /// `None` where the engine keeps no sessions here.
    devices: Option<Vec<Device>>,
    has_others: bool,
}

#[derive(Serialize)]
struct Device {
    id: String,
    is_current: bool,
    name: String,
    user_agent: String,
    address: String,
    last_activity: String,
    last_activity_iso: String,
    last_activity_in_full: String,
    since: String,
}

impl From<UserSession> for Device {
    fn from(session: UserSession) -> Self {
        let last = session.last_activity;
        Self {
            id: session.id,
            is_current: session.is_current,
            name: device(&session.user_agent),
            user_agent: session.user_agent,
            address: session.address,
            last_activity: ago(Utc::now() - last),
            last_activity_iso: last.to_rfc3339_opts(SecondsFormat::Secs, true),
            last_activity_in_full: in_full(last),
            since: session.created.format("%-d %B %Y").to_string(),
        }
    }
}

/// With signed cookies the sessions are in the visitors' browsers, where nobody can list or end them.
fn can_be_listed(settings: &Settings) -> bool {
    settings.session_engine != SessionEngineName::SignedCookies
}

pub(super) async fn list(page: TemplatePage, auth: Auth) -> Result<Html<String>, ShopError> {
    let devices = if can_be_listed(auth.authentication().settings()) {
        let sessions = auth.sessions().await?.list().await?;
        Some(sessions.into_iter().map(Device::from).collect())
    } else {
        None
    };
    let others = devices
        .iter()
        .flatten()
        .filter(|device: &&Device| !device.is_current);
    let values = DevicesPage {
        has_others: others.count() > 0,
        devices,
    };
    Ok(page.render("devices.html", Serde(values)).await?)
}

#[derive(Deserialize)]
pub(super) struct EndForm {
    /// The id of a session, or `others`.
    end: String,
}

pub(super) async fn end(
    auth: Auth,
    messages: Messages,
    Form(form): Form<EndForm>,
) -> Result<Redirect, ShopError> {
    let settings = auth.authentication().settings();
    if !can_be_listed(settings) {
        return Err(ShopError::NotFound);
    }
    let sessions = auth.sessions().await?;
    if form.end == "others" {
        match sessions.end_others().await? {
            0 => messages.info("You are logged in nowhere else."),
            1 => messages.success("You are logged out on one other device."),
            ended => messages.success(format!("You are logged out on {ended} other devices.")),
        }
    } else if sessions.end(&form.end).await? {
        messages.success("You are logged out there.");
    } else {
        messages.info("That session has ended already.");
    }
    Ok(Redirect::to("/account/devices"))
}
