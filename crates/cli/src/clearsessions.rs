//! `quintette clearsessions`.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use quintette::sessions::{self, Cleared};
use quintette::settings::{SessionEngineName, Settings};

use crate::error::Error;
use crate::output::count;

/// Removes expired sessions in batches, and tells how far it is.
pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let mut out = anstream::stdout();
    let engine = settings.session_engine;
    match engine {
        SessionEngineName::Cache => {
            writeln!(
                out,
                "Nothing to clear: a cache removes expired sessions by itself."
            )?;
            return Ok(());
        }
        SessionEngineName::SignedCookies => {
            writeln!(
                out,
                "Nothing to clear: the engine signed_cookies keeps sessions in the visitors' browsers, and none here."
            )?;
            return Ok(());
        }
        _ => {}
    }
    let sessions = sessions::connect(settings).await?;
    let cleared = if std::io::stderr().is_terminal() {
        let bar = Bar::new();
        let cleared = sessions
            .engine()
            .clear_expired(&mut |cleared| bar.show(cleared))
            .await;
        bar.0.finish_and_clear();
        cleared?
    } else {
        let mut lines = Lines::default();
        sessions
            .engine()
            .clear_expired(&mut |cleared| lines.show(cleared))
            .await?
    };
    match cleared.removed {
        0 => writeln!(out, "No session has expired; there is nothing to clear.")?,
        removed => writeln!(out, "Removed {}.", count(removed, "expired session"))?,
    }
    if engine == SessionEngineName::CachedDb {
        writeln!(out, "Their copies in the cache expire by themselves.")?;
    }
    Ok(())
}

/// On a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::no_length().with_message("Looking for expired sessions");
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} {human_pos}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    fn show(&self, cleared: Cleared) {
        if self.0.length().is_none() {
            self.0.set_message("Removing expired sessions");
        }
        if let Some(expired) = cleared.expired.filter(|expired| *expired > 0) {
            if self.0.length().is_none() {
                let style = ProgressStyle::with_template(
                    "{msg} [{bar:30}] {human_pos} of {human_len}, {eta} left",
                );
                self.0.set_style(
                    style
                        .unwrap_or_else(|_| ProgressStyle::default_bar())
                        .progress_chars("=> "),
                );
            }
            self.0.set_length(expired.max(cleared.removed));
        }
        self.0.set_position(cleared.removed);
    }
}

/// In a log or a mail from cron: a line for each tenth, or for each ten thousand where nobody knows how many there are.
#[derive(Default)]
struct Lines {
    told: u64,
}

impl Lines {
    fn show(&mut self, cleared: Cleared) {
        let step = cleared
            .expired
            .map_or(10_000, |expired| expired.div_ceil(10))
            .max(1);
        if cleared.removed < self.told + step {
            return;
        }
        self.told = cleared.removed;
        let removed = HumanCount(cleared.removed);
        // A closed error stream is no reason to stop.
        let _ = match cleared.expired {
            Some(expired) => writeln!(
                std::io::stderr(),
                "{removed} of {} removed",
                HumanCount(expired)
            ),
            None => writeln!(std::io::stderr(), "{removed} removed"),
        };
    }
}
