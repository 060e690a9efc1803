//! Whether the store can really be used: a throw-away session goes through its whole life.

use chrono::TimeDelta;
use quintette::sessions::{self, Expiry, SessionError, SessionErrorKind, SessionKey, Sessions};
use quintette::settings::{SessionEngineName, Settings};

use super::report::{Finding, Report};
use crate::error::Error;
use crate::log::Log;

/// What the throw-away session holds. Should this program be killed, it is gone after a minute all the same.
const KEY: &str = "_quintette_check";
const LIFETIME: TimeDelta = TimeDelta::minutes(1);
/// How many of the stored sessions are looked at.
const LOOKED_AT: usize = 200;

/// Returns whether the store can be connected to.
pub(super) async fn check(
    settings: Settings,
    report: &mut Report,
    log: &Log,
) -> Result<bool, Error> {
    let place = place(&settings);
    let sessions = match sessions::connect(settings).await {
        Ok(sessions) => sessions,
        Err(error) => {
            report.failed("Store", &place)?;
            report.add(Finding::error(sentence(&error)));
            return Ok(false);
        }
    };
    report.ok("Store", &place)?;
    match round_trip(&sessions).await {
        Ok(None) => report.ok(
            "Round trip",
            "a session was made, read, changed and deleted",
        )?,
        Ok(Some(problem)) => {
            report.failed("Round trip", "")?;
            report.add(Finding::error(problem));
        }
        Err(error) => {
            report.failed("Round trip", "")?;
            report.add(Finding::error(sentence(&error)));
        }
    }
    check_stored(&sessions, report, log).await?;
    Ok(true)
}

/// Whether the sessions that are there can be read: another `SECRET_KEY` makes every visitor anonymous, without an error.
async fn check_stored(sessions: &Sessions, report: &mut Report, log: &Log) -> Result<(), Error> {
    let listed = match sessions.engine().list(None, LOOKED_AT).await {
        Ok(listed) => listed.len(),
        Err(error) if error.kind() == SessionErrorKind::Unsupported => return Ok(()),
        Err(error) => {
            report.add(Finding::error(sentence(&error)));
            return Ok(());
        }
    };
    for (line, unreadable) in log.take() {
        let finding = Finding::warning(format!(
            "Of {listed} stored sessions looked at, {unreadable} cannot be read: {line}."
        ));
        report.add(finding.with_id("quintette.W020").with_hint(
            "Were they signed with another SECRET_KEY? Take that of the Django site, or add the former one to \
             SECRET_KEY_FALLBACKS. Until then their visitors are anonymous here.",
        ));
    }
    Ok(())
}

/// `None` where all went well, else what did not.
async fn round_trip(sessions: &Sessions) -> Result<Option<&'static str>, SessionError> {
    let made = sessions.session(None);
    made.insert(KEY, 1)?;
    made.set_expiry(Expiry::AfterIdle(LIFETIME));
    made.save().await?;

    let changed = sessions.session(made.key().as_ref().map(SessionKey::as_str));
    if changed.get::<u8>(KEY).await? != Some(1) {
        return Ok(Some(
            "The store took a session and has forgotten it at once: no visitor stays known.",
        ));
    }
    changed.insert(KEY, 2)?;
    changed.save().await?;

    let cookie = changed.key();
    let deleted = sessions.session(cookie.as_ref().map(SessionKey::as_str));
    let read = deleted.get::<u8>(KEY).await?;
    deleted.flush().await?;
    if read != Some(2) {
        return Ok(Some(
            "The store took a change to a session and has kept the old one: changes are lost.",
        ));
    }

    // The engine signed_cookies has no store to delete from: a copy of the cookie stays good, as in Django.
    if sessions.settings().session_engine != SessionEngineName::SignedCookies {
        let gone = sessions.session(cookie.as_ref().map(SessionKey::as_str));
        if gone.contains(KEY).await? {
            return Ok(Some(
                "The store has kept a session that was deleted: nobody can log out.",
            ));
        }
    }
    Ok(None)
}

/// The engine, and where it keeps sessions; passwords are not in it.
fn place(settings: &Settings) -> String {
    let engine = settings.session_engine;
    let place = match engine {
        SessionEngineName::Db => database(settings),
        SessionEngineName::CachedDb => format!("{}, cache {}", database(settings), cache(settings)),
        SessionEngineName::Cache => cache(settings),
        SessionEngineName::File => settings
            .session_file_path
            .clone()
            .unwrap_or_else(std::env::temp_dir)
            .display()
            .to_string(),
        SessionEngineName::SignedCookies => "the visitors' browsers".to_owned(),
    };
    format!("{engine}: {place}")
}

fn database(settings: &Settings) -> String {
    settings
        .database_url
        .as_ref()
        .map_or_else(|| "no DATABASE_URL".to_owned(), ToString::to_string)
}

fn cache(settings: &Settings) -> String {
    let alias = &settings.session_cache_alias;
    let location = settings
        .caches
        .get(alias)
        .and_then(|cache| cache.location.first());
    location.map_or_else(
        || format!("{alias:?}"),
        |location| format!("{alias:?} ({location})"),
    )
}

/// The library's messages begin in lower case where they are meant to follow something.
fn sentence(error: &SessionError) -> String {
    let message = error.to_string();
    let mut characters = message.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => message,
    }
}
