//! `quintette sessions list`.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use quintette::sessions::{self, Listed};
use quintette::settings::Settings;
use serde::Serialize;

use super::{SHOWN, of_user, shortened, user};
use crate::arguments::ListArguments;
use crate::error::Error;
use crate::output::{self, FAINT, HEADING, count, harmless, styled};

/// How many sessions are asked for at once.
const PAGE: u64 = 500;

/// Prints the sessions page by page, so that a million of them need no more memory than five hundred.
pub(crate) async fn run(settings: Settings, arguments: &ListArguments) -> Result<(), Error> {
    if let Some(user) = &arguments.user {
        return of_user::list(settings, user, arguments).await;
    }
    let sessions = sessions::connect(settings).await?;
    let engine = sessions.engine();
    let mut printer = Printer::new(arguments);
    let mut after = None;
    loop {
        // One more than is printed, to know whether there are more.
        let wanted = (arguments.limit - printer.printed)
            .saturating_add(1)
            .min(PAGE);
        let page = engine
            .list(
                after.as_ref(),
                usize::try_from(wanted).unwrap_or(usize::MAX),
            )
            .await?;
        let is_last = (page.len() as u64) < wanted;
        for listed in &page {
            if printer.printed == arguments.limit {
                return printer.finish(true);
            }
            printer.print(listed, Utc::now())?;
        }
        match page.into_iter().last() {
            Some(last) if !is_last => after = Some(last.key),
            _ => return printer.finish(false),
        }
    }
}

struct Printer<'a> {
    arguments: &'a ListArguments,
    out: anstream::AutoStream<io::Stdout>,
    printed: u64,
}

/// A row of `--json`.
#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    expires: String,
    size: usize,
    keys: usize,
    user: Option<String>,
}

impl<'a> Printer<'a> {
    fn new(arguments: &'a ListArguments) -> Self {
        Self {
            arguments,
            out: anstream::stdout(),
            printed: 0,
        }
    }

    fn print(&mut self, listed: &Listed, now: DateTime<Utc>) -> Result<(), Error> {
        let key = if self.arguments.keys {
            listed.key.as_str().to_owned()
        } else {
            shortened(listed.key.as_str())
        };
        if self.arguments.json {
            self.print_json(listed, &key)?;
        } else {
            self.print_line(listed, &key, now)?;
        }
        self.printed += 1;
        Ok(())
    }

    fn print_json(&mut self, listed: &Listed, key: &str) -> Result<(), Error> {
        let row = Row {
            key,
            expires: listed.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            size: listed.size,
            keys: listed.data.len(),
            user: user(&listed.data),
        };
        self.out.write_all(if self.printed == 0 {
            b"[\n  "
        } else {
            b",\n  "
        })?;
        let row = serde_json::to_string(&row).map_err(io::Error::from)?;
        self.out.write_all(row.as_bytes())?;
        Ok(())
    }

    fn print_line(&mut self, listed: &Listed, key: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let width = self.key_width();
        if self.printed == 0 {
            let heading = format!(
                "{:width$}  {:<20}  {:<14}  {:>8}  {:>4}  USER",
                "KEY", "EXPIRES", "", "SIZE", "KEYS"
            );
            writeln!(self.out, "{}", styled(HEADING, heading))?;
        }
        let ellipsis = if self.arguments.keys { "" } else { "…" };
        writeln!(
            self.out,
            "{:width$}  {:<20}  {:<14}  {:>8}  {:>4}  {}",
            harmless(key) + ellipsis,
            output::time(listed.expires_at),
            output::relative(listed.expires_at, now),
            output::size(listed.size),
            listed.data.len(),
            user(&listed.data).map_or_else(|| styled(FAINT, "-"), |user| harmless(&user)),
        )?;
        Ok(())
    }

    fn key_width(&self) -> usize {
        if self.arguments.keys { 32 } else { SHOWN + 1 }
    }

    fn finish(mut self, more: bool) -> Result<(), Error> {
        if self.arguments.json {
            self.out
                .write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?;
        } else if self.printed == 0 {
            writeln!(self.out, "No sessions.")?;
        } else if !more {
            writeln!(self.out, "\n{}.", count(self.printed, "session"))?;
        }
        if more {
            output::print_note("there are more sessions than these; --limit shows more");
        }
        Ok(())
    }
}
