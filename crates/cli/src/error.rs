use std::io;

use quintette::auth::{AuthError, AuthErrorKind};
use quintette::sessions::{SessionError, SessionErrorKind};
use quintette::settings::SettingsError;
use quintette_tasks::brokers::BrokerError;
use quintette_tasks::results::ResultError;
use quintette_tasks::{AppError, SendError};

/// Why a command could not do what it was asked. Its text is for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Result(#[from] ResultError),
    #[error(transparent)]
    Tasks(#[from] AppError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Whether something is missing that would not be there at another time either: a setting, a file, a table.
    pub(crate) fn is_misconfigured(&self) -> bool {
        match self {
            Self::Session(error) => error.kind() == SessionErrorKind::Misconfigured,
            Self::Auth(error) => error.kind() == AuthErrorKind::Misconfigured,
            _ => false,
        }
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
