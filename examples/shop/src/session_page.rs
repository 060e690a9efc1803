//! "Your session": what the shop knows of a visitor, and what can be done about it.

use axum::Form;
use axum::extract::State;
use axum::response::{Html, Redirect};
use chrono::{SecondsFormat, TimeDelta};
use minijinja::value::Serde;
use quintette::messages::Messages;
use quintette::sessions::{Expiry, Session, SessionData, SessionError, Sessions};
use quintette::settings::{SameSite, SessionEngineName, Settings};
use quintette::templates::TemplatePage;
use serde::{Deserialize, Serialize};

use crate::error::ShopError;
use crate::indented::indented;
use crate::times::{in_full, in_words};

/// What proves something to whoever has it. The page is the visitor's own, but screens are looked at.
const SECRETS: [&str; 3] = ["_auth_user_hash", "_csrftoken", "_password_reset_token"];

#[derive(Serialize)]
struct SessionPage {
    engine: Engine,
    key: Option<Key>,
    expiry: ExpiryText,
    cookie: Vec<Attribute>,
    contents: Vec<Entry>,
}

#[derive(Serialize)]
struct Engine {
    name: &'static str,
    note: &'static str,
}

#[derive(Serialize)]
struct Key {
    short: String,
    full: String,
}

#[derive(Serialize)]
struct ExpiryText {
    words: String,
    date_label: &'static str,
    date: String,
    date_iso: String,
}

/// An attribute of the session's cookie, and the setting that decides it.
#[derive(Serialize)]
struct Attribute {
    name: &'static str,
    value: String,
    setting: &'static str,
}

#[derive(Serialize)]
struct Entry {
    key: String,
    json: String,
}

pub(crate) async fn show(
    State(sessions): State<Sessions>,
    page: TemplatePage,
    session: Session,
) -> Result<Html<String>, ShopError> {
    let settings = sessions.settings();
    let values = SessionPage {
        engine: Engine::of(settings),
        contents: entries(&*session.data().await?),
        // After the data was read, a key that the store does not know is gone.
        key: session.key().map(|key| Key::of(key.as_str())),
        expiry: ExpiryText::of(&session).await?,
        cookie: attributes(settings),
    };
    Ok(page.render("session.html", Serde(values)).await?)
}

#[derive(Deserialize)]
pub(crate) struct ExpiryForm {
    expiry: ExpiryChoice,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExpiryChoice {
    BrowserClose,
    OneMinute,
    TwoWeeks,
    Settings,
}

impl ExpiryChoice {
    fn expiry(self) -> Option<Expiry> {
        match self {
            Self::BrowserClose => Some(Expiry::BrowserClose),
            // A time, not a time after the last change: nothing that the visitor does moves it.
            Self::OneMinute => Some(TimeDelta::minutes(1).into()),
            Self::TwoWeeks => Some(Expiry::AfterIdle(TimeDelta::weeks(2))),
            Self::Settings => None,
        }
    }
}

pub(crate) async fn set_expiry(
    session: Session,
    messages: Messages,
    Form(form): Form<ExpiryForm>,
) -> Result<Redirect, ShopError> {
    if exists(&session).await? {
        session.set_expiry(form.expiry.expiry());
        messages.success("The end of your session is set.");
    }
    Ok(Redirect::to("/session"))
}

pub(crate) async fn cycle_key(session: Session, messages: Messages) -> Result<Redirect, ShopError> {
    if exists(&session).await? {
        session.cycle_key().await?;
        messages.success("Your session has another key.");
    }
    Ok(Redirect::to("/session"))
}

pub(crate) async fn flush(session: Session, messages: Messages) -> Result<Redirect, ShopError> {
    if exists(&session).await? {
        session.flush().await?;
        messages.success("Your session is gone, with all that was in it.");
    }
    Ok(Redirect::to("/session"))
}

/// Whether the visitor has a session that the store knows. Without one there is nothing to change, and none is made.
async fn exists(session: &Session) -> Result<bool, SessionError> {
    session.data().await?;
    Ok(session.key().is_some())
}

impl Engine {
    fn of(settings: &Settings) -> Self {
        let engine = settings.session_engine;
        Self {
            name: engine.name(),
            note: match engine {
                SessionEngineName::Db => "A row of the table django_session.",
                SessionEngineName::CachedDb => {
                    "A row of the table django_session, with a cache in front of it."
                }
                SessionEngineName::Cache => "An entry in a cache, which may forget it.",
                SessionEngineName::File => "A file of its own on the server.",
                SessionEngineName::SignedCookies => {
                    "The cookie itself, signed; nothing is kept on the server."
                }
            },
        }
    }
}

impl Key {
    fn of(key: &str) -> Self {
        let mut short: String = key.chars().take(6).collect();
        short.push('…');
        Self {
            short,
            full: key.to_owned(),
        }
    }
}

impl ExpiryText {
    async fn of(session: &Session) -> Result<Self, SessionError> {
        let age = in_words(session.expiry_age().await?);
        let date = session.expiry_date().await?;
        let (words, date_label) = if session.expires_at_browser_close().await? {
            (
                format!(
                    "When the browser closes; the store keeps it for {age} after its last change."
                ),
                "Changed now, the store would keep it until",
            )
        } else if has_fixed_end(&*session.data().await?) {
            (format!("In {age}, whatever happens until then."), "That is")
        } else {
            (
                format!("{age} after its last change."),
                "Changed now, it would end on",
            )
        };
        Ok(Self {
            words,
            date_label,
            date: in_full(date),
            date_iso: date.to_rfc3339_opts(SecondsFormat::Secs, true),
        })
    }
}

/// Django stores a fixed end as a string, a time after the last change as a number.
fn has_fixed_end(data: &SessionData) -> bool {
    data.json("_session_expiry")
        .is_some_and(|raw| raw.as_str().starts_with('"'))
}

fn attributes(settings: &Settings) -> Vec<Attribute> {
    let attribute = |name, value: String, setting| Attribute {
        name,
        value,
        setting,
    };
    let yes_no = |flag| if flag { "yes" } else { "no" }.to_owned();
    let age = settings.session_cookie_age;
    let max_age = if settings.session_expire_at_browser_close {
        "none: the cookie ends with the browser".to_owned()
    } else {
        format!("{} seconds ({})", age.num_seconds(), in_words(age))
    };
    let same_site = match settings.session_cookie_samesite {
        SameSite::Strict => "Strict: not sent when another site leads here",
        SameSite::Lax => "Lax: not sent with forms of other sites",
        SameSite::None => "None: sent with requests of other sites too",
        SameSite::Unset => "not set: the browser decides",
    };
    let domain = settings.session_cookie_domain.clone();
    vec![
        attribute(
            "Name",
            settings.session_cookie_name.as_str().to_owned(),
            "SESSION_COOKIE_NAME",
        ),
        attribute("Max-Age", max_age, "SESSION_COOKIE_AGE"),
        attribute(
            "HttpOnly",
            yes_no(settings.session_cookie_httponly),
            "SESSION_COOKIE_HTTPONLY",
        ),
        attribute("SameSite", same_site.to_owned(), "SESSION_COOKIE_SAMESITE"),
        attribute(
            "Secure",
            yes_no(settings.session_cookie_secure),
            "SESSION_COOKIE_SECURE",
        ),
        attribute(
            "Path",
            settings.session_cookie_path.clone(),
            "SESSION_COOKIE_PATH",
        ),
        attribute(
            "Domain",
            domain.unwrap_or_else(|| "this host only".to_owned()),
            "SESSION_COOKIE_DOMAIN",
        ),
    ]
}

fn entries(data: &SessionData) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (key, raw) in data.iter() {
        let json = match raw {
            None => "a Python object that JSON cannot carry".to_owned(),
            Some(_) if SECRETS.contains(&&*key) => "\"…\"".to_owned(),
            Some(raw) => indented(raw.as_str()),
        };
        let key = key.into_owned();
        entries.push(Entry { key, json });
    }
    entries
}
