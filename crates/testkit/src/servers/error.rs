use std::fmt;
use std::io;

/// Why there is no server, or why it did not do what it was asked.
///
/// Its `Debug` is its text, so that `unwrap` in a test shows the server's log as the server wrote it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A program is not on this machine.
    #[error("`{program}` is not installed. This installs it: {install}")]
    Missing {
        /// The program's name.
        program: String,
        /// The command line that installs it, on Debian and its kin.
        install: String,
    },

    /// A server was started and did not come up, or did not end.
    #[error("{server} {problem}; its log ends:\n{log}")]
    Failed {
        /// Which server.
        server: &'static str,
        /// What it did instead.
        problem: String,
        /// The last lines of its log.
        log: String,
    },

    /// A server answered with an error.
    #[error("{server} refused `{request}`: {answer}")]
    Refused {
        /// Which server.
        server: &'static str,
        /// What it was asked.
        request: String,
        /// What it answered.
        answer: String,
    },

    /// The operating system refused something.
    #[error("cannot {attempt}: {source}")]
    Io {
        /// What was to be done.
        attempt: String,
        /// What the system said.
        source: io::Error,
    },
}

impl ServerError {
    /// For `map_err`: what was to be done when the system refused.
    pub(super) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Io { attempt, source }
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
