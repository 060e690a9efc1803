//! `quintette sessions show`.

use std::borrow::Cow;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use indexmap::IndexMap;
use quintette::json::RawJson;
use quintette::sessions::{self, SessionData};
use quintette::settings::Settings;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::find::{Found, find};
use super::{json_text, shortened, user};
use crate::arguments::ShowArguments;
use crate::error::Error;
use crate::log::Log;
use crate::output::{self, BAD, FAINT, HEADING, harmless, styled};

/// Prints what a session holds, and when it ends.
pub(crate) async fn run(
    settings: Settings,
    arguments: &ShowArguments,
    log: &Log,
) -> Result<(), Error> {
    let sessions = sessions::connect(settings).await?;
    let found = find(&sessions, &arguments.key).await?;
    let session = sessions.session(Some(found.key.as_str()));
    let shown = Shown {
        ends_with_browser: session.expires_at_browser_close().await?,
        unreadable: unreadable(&found.data, log),
        found,
    };
    let mut out = anstream::stdout();
    if arguments.json {
        shown.print_json(&mut out)
    } else {
        shown.print(&mut out, Utc::now())
    }
}

/// Why the session counts as an empty one, where it should not be: the library logs that, and goes on as Django does.
fn unreadable(data: &SessionData, log: &Log) -> Option<String> {
    if !data.is_empty() {
        return None;
    }
    log.take().into_iter().next().map(|(reason, _)| reason)
}

struct Shown {
    found: Found,
    ends_with_browser: bool,
    unreadable: Option<String>,
}

impl Shown {
    fn print(&self, out: &mut impl Write, now: DateTime<Utc>) -> Result<(), Error> {
        let found = &self.found;
        let mut line = |name, value: String| {
            writeln!(
                out,
                "{}  {value}",
                styled(HEADING, format_args!("{name:<7}"))
            )
        };
        line("Session", harmless(&shortened(found.key.as_str())) + "…")?;
        line("Expires", expires(found, now))?;
        if self.unreadable.is_none() {
            let user = user(&found.data).map(|user| harmless(&user));
            line(
                "User",
                user.unwrap_or_else(|| "nobody is logged in".to_owned()),
            )?;
            line("Cookie", cookie(self.ends_with_browser).to_owned())?;
            line("Keys", found.data.len().to_string())?;
        }
        if let Some(size) = found.size {
            line("Size", output::size(size))?;
        }
        writeln!(out)?;
        if let Some(reason) = &self.unreadable {
            let message = format!(
                "What is stored counts as empty: {reason}. It is damaged, or was signed with another SECRET_KEY."
            );
            writeln!(out, "{}", styled(BAD, output::paragraph(&message, 0)))?;
            return Ok(());
        }
        self.print_data(out)
    }

    fn print_data(&self, out: &mut impl Write) -> Result<(), Error> {
        if self.found.data.is_empty() {
            writeln!(out, "{{}}")?;
            return Ok(());
        }
        writeln!(out, "{{")?;
        let last = self.found.data.len() - 1;
        for (index, (key, raw)) in self.found.data.iter().enumerate() {
            let name = RawJson::from_value(&key).map_err(io::Error::from)?;
            let value = match raw {
                Some(raw) => json_text::pretty(raw, 1),
                None => styled(
                    FAINT,
                    format!("<Python {}>", harmless(self.python_type(&key))),
                ),
            };
            let comma = if index == last { "" } else { "," };
            writeln!(out, "  {}: {value}{comma}", json_text::pretty(&name, 0))?;
        }
        writeln!(out, "}}")?;
        Ok(())
    }

    fn print_json(&self, out: &mut impl Write) -> Result<(), Error> {
        let found = &self.found;
        let object = Object {
            key: shortened(found.key.as_str()),
            user: user(&found.data),
            expires: found
                .expires_at
                .map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)),
            ends_with_browser: self.ends_with_browser,
            size: found.size,
            unreadable: self.unreadable.is_some(),
            data: found
                .data
                .iter()
                .filter_map(|(key, raw)| Some((key, raw?)))
                .filter(|(_, raw)| is_json(raw))
                .collect(),
            not_json: found
                .data
                .iter()
                .filter_map(|(key, raw)| Some((key.clone(), self.not_json(&key, raw)?)))
                .collect(),
        };
        serde_json::to_writer_pretty(&mut *out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
        Ok(())
    }

    fn not_json(&self, key: &str, raw: Option<&RawJson>) -> Option<String> {
        match raw {
            None => Some(format!("Python {}", self.python_type(key))),
            Some(raw) if !is_json(raw) => Some(raw.to_string()),
            Some(_) => None,
        }
    }

    fn python_type(&self, key: &str) -> &str {
        self.found.data.foreign(key).unwrap_or("object")
    }
}

fn expires(found: &Found, now: DateTime<Utc>) -> String {
    match found.expires_at {
        Some(time) => format!("{}, {}", output::time(time), output::relative(time, now)),
        None => "unknown, since this engine does not tell".to_owned(),
    }
}

fn cookie(ends_with_browser: bool) -> &'static str {
    if ends_with_browser {
        "ends with the browser"
    } else {
        "stays when the browser is closed"
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Object<'a> {
    key: String,
    user: Option<String>,
    expires: Option<String>,
    ends_with_browser: bool,
    size: Option<usize>,
    unreadable: bool,
    data: IndexMap<Cow<'a, str>, &'a RawJson>,
    /// What JSON cannot carry: Python objects by their type, and values with NaN as Python writes them.
    not_json: IndexMap<Cow<'a, str>, String>,
}

/// Whether others than Python read it as JSON: NaN is none.
fn is_json(raw: &RawJson) -> bool {
    raw.deserialize::<IgnoredAny>().is_ok()
}
