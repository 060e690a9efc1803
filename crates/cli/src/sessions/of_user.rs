//! The sessions of one user, which `quintette_user_session` lists beside Django's tables.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use quintette::auth::{UserSession, UserSessions};
use quintette::sessions::{self, Sessions};
use quintette::settings::{SessionEngineName, Settings};
use serde::Serialize;

use super::SHOWN;
use super::device::device;
use super::find::{OUT_OF_REACH, is_out_of_reach};
use crate::arguments::ListArguments;
use crate::error::Error;
use crate::output::{self, FAINT, HEADING, count, harmless, print_note, styled};
use crate::progress::spinner;
use crate::users::Site;

/// What a note says where an engine cannot list.
pub(super) const ONLY_SEEN: &str = "the engine cache cannot list its sessions: only those that this service has seen are \
                                    known, and none that a Django site has made and nobody has brought here yet";

/// A site's store of sessions, and its list of whose they are, which is complete as far as the engine can list.
pub(super) struct Index {
    site: Site,
    sessions: Sessions,
}

impl Index {
    pub(super) async fn open(settings: Settings) -> Result<Self, Error> {
        if is_out_of_reach(&settings) {
            // What is not found is forgotten, and here that would be all that the service knows.
            return Err(Error::Other(format!(
                "the cache of SESSION_CACHE_ALIAS {OUT_OF_REACH}"
            )));
        }
        let site = Site::connect(settings).await?;
        let sessions = sessions::connect_with(&site.database, site.settings.clone()).await?;
        let index = Self { site, sessions };
        if index.can_list() {
            index.fill().await?;
        }
        Ok(index)
    }

    /// Whether it has the sessions that only Django has seen.
    pub(super) fn can_list(&self) -> bool {
        self.sessions.settings().session_engine != SessionEngineName::Cache
    }

    pub(super) async fn of(&self, name_or_id: &str) -> Result<UserSessions, Error> {
        let id = self.site.user_id(name_or_id).await?;
        Ok(UserSessions::of(
            &self.site.authentication,
            &self.sessions,
            id,
        )?)
    }

    async fn fill(&self) -> Result<(), Error> {
        let bar = spinner(
            "Looking through the sessions:",
            "{spinner} {msg} {human_pos}",
        );
        let filled = UserSessions::fill(&self.site.authentication, &self.sessions, |seen| {
            bar.set_position(seen);
        });
        let filled = filled.await;
        bar.finish_and_clear();
        filled?;
        Ok(())
    }
}

/// Prints where a user is logged in.
pub(super) async fn list(
    settings: Settings,
    user: &str,
    arguments: &ListArguments,
) -> Result<(), Error> {
    let index = Index::open(settings).await?;
    let sessions = index.of(user).await?.list().await?;
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let shown = &sessions[..sessions.len().min(limit)];
    let mut out = anstream::stdout();
    if arguments.json {
        print_json(&mut out, shown)?;
    } else {
        print_table(&mut out, user, shown, Utc::now())?;
    }
    if shown.len() < sessions.len() {
        print_note("there are more sessions than these; --limit shows more");
    } else if !arguments.json && !shown.is_empty() {
        writeln!(out, "\n{}.", count(shown.len() as u64, "session"))?;
    }
    if !index.can_list() {
        print_note(ONLY_SEEN);
    }
    Ok(())
}

/// A row of `--json`.
#[derive(Serialize)]
struct Row<'a> {
    session: &'a str,
    last_activity: Option<String>,
    first_seen: Option<String>,
    address: Option<&'a str>,
    user_agent: Option<&'a str>,
}

fn print_json(out: &mut impl Write, sessions: &[UserSession]) -> Result<(), Error> {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let rows: Vec<_> = sessions
        .iter()
        .map(|session| Row {
            session: &session.id,
            last_activity: seen(session, session.last_activity).map(time),
            first_seen: seen(session, session.created).map(time),
            address: Some(&*session.address).filter(|address| !address.is_empty()),
            user_agent: Some(&*session.user_agent).filter(|agent| !agent.is_empty()),
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &rows).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

fn print_table(
    out: &mut impl Write,
    user: &str,
    sessions: &[UserSession],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if sessions.is_empty() {
        writeln!(out, "{} is logged in nowhere.", harmless(user))?;
        return Ok(());
    }
    let rows: Vec<_> = sessions.iter().map(|session| cells(session, now)).collect();
    let heading = ["SESSION", "LAST USED", "FIRST SEEN", "ADDRESS", "DEVICE"].map(str::to_owned);
    let mut widths = heading.each_ref().map(String::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    writeln!(out, "{}", styled(HEADING, line(&heading, widths)))?;
    for row in &rows {
        writeln!(out, "{}", line(row, widths))?;
    }
    if sessions.iter().any(is_unseen) {
        let explanation =
            "Where a session has only an id, no request has brought it to this service yet.";
        writeln!(out, "\n{}", styled(FAINT, explanation))?;
    }
    Ok(())
}

fn cells(session: &UserSession, now: DateTime<Utc>) -> [String; 5] {
    let told = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let ago = |time| told(seen(session, time).map(|time| output::relative(time, now)));
    [
        shortened(&session.id).to_owned(),
        ago(session.last_activity),
        ago(session.created),
        told(Some(harmless(&session.address)).filter(|address| !address.is_empty())),
        told(device(&session.user_agent)),
    ]
}

/// Found in the store and never in a request, so that its times are those of the search.
fn is_unseen(session: &UserSession) -> bool {
    session.address.is_empty()
        && session.user_agent.is_empty()
        && session.created == session.last_activity
}

/// One of the session's times, where a request made it.
fn seen(session: &UserSession, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (!is_unseen(session)).then_some(time)
}

/// The beginning of an id, which is no secret.
fn shortened(id: &str) -> &str {
    id.get(..SHOWN).unwrap_or(id)
}

fn line(cells: &[String; 5], widths: [usize; 5]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
    }
    line.truncate(line.trim_end().len());
    line
}
