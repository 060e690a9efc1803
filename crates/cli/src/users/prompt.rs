//! What a person types at a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::error::Error;

/// A terminal with somebody before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal(());

impl Terminal {
    /// `None` where standard input is something else: a pipe, a file, nothing.
    pub(crate) fn open() -> Option<Self> {
        io::stdin().is_terminal().then_some(Self(()))
    }

    /// A line, without its end.
    pub(crate) async fn line(self, prompt: &str) -> Result<String, Error> {
        let mut asked = Asked::openly(prompt)?;
        let line = read_line().await?;
        asked.is_answered = true;
        Ok(line)
    }

    /// A line that is not shown.
    pub(crate) async fn secret(self, prompt: &str) -> Result<String, Error> {
        // Ends the line of the prompt, and shows again what is typed, also where this is dropped.
        let _asked = Asked::hidden(prompt)?;
        read_line().await
    }

    /// Whether the answer is yes; the mere Enter is no.
    pub(crate) async fn confirms(self, question: &str) -> Result<bool, Error> {
        let answer = self.line(&format!("{question} [y/N] ")).await?;
        let answer = answer.trim();
        Ok(["y", "yes"]
            .iter()
            .any(|yes| answer.eq_ignore_ascii_case(yes)))
    }
}

/// A question that stands on the terminal.
struct Asked {
    shown_again: Option<Termios>,
    /// Whether the terminal has ended the line.
    is_answered: bool,
}

impl Asked {
    fn openly(prompt: &str) -> Result<Self, Error> {
        Self {
            shown_again: None,
            is_answered: false,
        }
        .ask(prompt)
    }

    fn hidden(prompt: &str) -> Result<Self, Error> {
        let before = tcgetattr(io::stdin()).map_err(unreadable)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // What was typed too early was shown, and is no password.
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden).map_err(unreadable)?;
        Self {
            shown_again: Some(before),
            is_answered: false,
        }
        .ask(prompt)
    }

    fn ask(self, prompt: &str) -> Result<Self, Error> {
        let mut stderr = io::stderr();
        stderr.write_all(prompt.as_bytes())?;
        stderr.flush()?;
        Ok(self)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(before) = &self.shown_again {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
        if !self.is_answered {
            let _ = writeln!(io::stderr());
        }
    }
}

/// On a thread of its own, which a program that is interrupted meanwhile leaves behind.
async fn read_line() -> Result<String, Error> {
    let (send, receive) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map(|_| line);
        let _ = send.send(read);
    });
    let line = receive
        .await
        .map_err(|_| unreadable(io::ErrorKind::UnexpectedEof))?
        .map_err(unreadable)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
        // Ctrl-D.
        None => Err(Error::Other("cancelled".to_owned())),
    }
}

fn unreadable(error: impl Into<io::Error>) -> Error {
    Error::Other(format!("cannot read from the terminal: {}", error.into()))
}
