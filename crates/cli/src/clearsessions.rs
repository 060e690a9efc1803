//! `quintette clearsessions`.

use std::io::{IsTerminal as _, Write};

use indicatif::{HumanCount, ProgressBar};
use quintette::auth::UserSessions;
use quintette::sessions::{self, Cleared, SessionEngine};
use quintette::settings::{SessionEngineName, Settings};

use crate::error::Error;
use crate::output::{count, print_note};
use crate::progress::{spinner, style};
use crate::users::Site;

/// Removes expired sessions in batches, and tells how far it is; then the list of where users are logged in forgets what
/// no browser can have any more.
pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let mut out = anstream::stdout();
    match settings.session_engine {
        SessionEngineName::Cache => writeln!(
            out,
            "Nothing to clear: a cache removes expired sessions by itself."
        )?,
        SessionEngineName::SignedCookies => writeln!(
            out,
            "Nothing to clear: the engine signed_cookies keeps sessions in the visitors' browsers, and none here."
        )?,
        _ => remove_expired(settings.clone(), &mut out).await?,
    }
    crate::unless_interrupted(forget_old(settings, &mut out)).await
}

async fn remove_expired(settings: Settings, out: &mut impl Write) -> Result<(), Error> {
    let engine = settings.session_engine;
    let sessions = sessions::connect(settings).await?;
    let cleared = clear(sessions.engine()).await?;
    match cleared.removed {
        0 => writeln!(out, "No session has expired; there is nothing to clear.")?,
        removed => writeln!(out, "Removed {}.", count(removed, "expired session"))?,
    }
    if engine == SessionEngineName::CachedDb {
        writeln!(out, "Their copies in the cache expire by themselves.")?;
    }
    Ok(())
}

async fn forget_old(settings: Settings, out: &mut impl Write) -> Result<(), Error> {
    if settings.database_url.is_none() {
        return Ok(());
    }
    let forgotten = match Site::connect(settings).await {
        Ok(site) => UserSessions::forget_old(&site.authentication).await?,
        // There are no users, and no list of where they are logged in.
        Err(error) if error.is_misconfigured() => 0,
        Err(error) => return Err(error),
    };
    if forgotten > 0 {
        let sessions = count(forgotten, "session");
        writeln!(out, "Forgot {sessions} of users, not used for 400 days.")?;
    }
    Ok(())
}

/// To the end, or until somebody types Ctrl-C or the store fails: then it tells what is removed all the same.
async fn clear(engine: &dyn SessionEngine) -> Result<Cleared, Error> {
    let mut progress = Progress::new();
    let mut so_far = Cleared::default();
    let mut show = |cleared| {
        so_far = cleared;
        progress.show(cleared);
    };
    let ended = tokio::select! {
        ended = engine.clear_expired(&mut show) => ended.map_err(Error::from),
        // Where the signal cannot be waited for, it ends the program as ever.
        Ok(()) = tokio::signal::ctrl_c() => Err(Error::Other("interrupted".to_owned())),
    };
    progress.end();
    if ended.is_err() && so_far.removed > 0 {
        let expired = so_far.expired.unwrap_or_default().max(so_far.removed);
        // What became of the batch that was under way, only the store knows.
        print_note(&format!(
            "at least {} of {} removed; run it again to remove the others",
            HumanCount(so_far.removed),
            count(expired, "expired session"),
        ));
    }
    ended
}

enum Progress {
    Bar(Bar),
    Lines(Lines),
}

impl Progress {
    fn new() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bar(Bar::new())
        } else {
            Self::Lines(Lines::default())
        }
    }

    fn show(&mut self, cleared: Cleared) {
        match self {
            Self::Bar(bar) => bar.show(cleared),
            Self::Lines(lines) => lines.show(cleared),
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.0.finish_and_clear();
        }
    }
}

/// On a terminal, and as wide as that.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        Self(spinner("Looking for expired sessions", "{spinner} {msg}"))
    }

    fn show(&self, cleared: Cleared) {
        let Some(expired) = cleared.expired else {
            self.0.set_message("Removed expired sessions:");
            self.0.set_style(style("{spinner} {msg} {human_pos}"));
            self.0.set_position(cleared.removed);
            return;
        };
        if self.0.length().is_none() && expired > 0 {
            self.0.set_message("Removing expired sessions");
            let with_bar = style("{msg} [{wide_bar}] {human_pos} of {human_len}, {eta} left");
            self.0.set_style(with_bar.progress_chars("=> "));
            self.0.set_length(expired);
            self.0.reset_eta();
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
