//! The library's warnings, for a person: each once, with how often it came.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::output;

/// What the library has logged while a command ran.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<(String, usize)>>>,
}

/// Collects from here on. A program has one log, so a second call in one process collects nothing.
pub(crate) fn collect() -> Log {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    // Fails where the program that embeds this library has a log of its own, which then gets the lines.
    let _ = tracing::subscriber::set_global_default(subscriber);
    log
}

impl Log {
    /// What was logged so far, each line with how often it came; it is not printed any more.
    pub(crate) fn take(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.lines())
    }

    /// Prints to the standard error stream.
    pub(crate) fn print(&self) {
        for (line, count) in self.lines().iter() {
            match count {
                1 => output::print_warning(line),
                _ => output::print_warning(&format!("{line} ({count} times)")),
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<(String, usize)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // The database driver also warns, of slow statements; that is for a service's log. What is to be said of the
        // settings, `check` says.
        if *event.metadata().level() > tracing::Level::WARN
            || event.metadata().target() != "quintette::session"
        {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let line = text.message + &text.fields;
        let mut lines = self.lines();
        match lines.iter().position(|(known, _)| *known == line) {
            Some(index) => lines[index].1 += 1,
            // A thousand different lines are no more use than ten.
            None if lines.len() < 10 => lines.push((line, 1)),
            None => {}
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "error" => write!(self.fields, ": {value:?}"),
            name => write!(self.fields, ", {name} {value:?}"),
        };
    }
}
