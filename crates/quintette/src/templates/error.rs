use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use quintette_core::session::SessionError;

use crate::http::DisallowedHost;

type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why there is no page, and what to do about it.
///
/// [`kind`](Self::kind) says what a program may do; the message says it to a person; the source is kept. With axum it is a
/// response: visitors read what they may, the log has the rest.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    kind: TemplateErrorKind,
    message: Cow<'static, str>,
    #[source]
    source: Option<BoxError>,
}

/// The kind and the message: this is what a `main` that returns the error prints.
impl fmt::Debug for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

/// The kinds of [`TemplateError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateErrorKind {
    /// There is no template of this name, or of a name that it includes, imports or extends. Django's `TemplateDoesNotExist`.
    Missing,
    /// The template cannot be read, or does something that its values do not allow. Django's `TemplateSyntaxError`, and others.
    Template,
    /// A value that the template asks for cannot be had.
    Value,
    /// A store that a value comes from is down: try again later. A web service answers 503.
    Unavailable,
    /// The request is at fault: it names a host that is not this site's, or its session was deleted while it went on. A web
    /// service answers 400.
    Request,
    /// The program is put together wrongly: it names a context processor that does not exist, say.
    Misconfigured,
}

impl TemplateError {
    /// An error of this kind with this message.
    ///
    /// ```
    /// use quintette::templates::{TemplateError, TemplateErrorKind};
    ///
    /// let error = TemplateError::new(TemplateErrorKind::Unavailable, "the catalogue is closed for the night");
    /// assert_eq!(error.status(), 503);
    /// ```
    pub fn new(kind: TemplateErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a program may do about it.
    pub fn kind(&self) -> TemplateErrorKind {
        self.kind
    }

    /// The HTTP status that answers it: 503 where trying again may help, 400 where the request is at fault, else 500.
    pub fn status(&self) -> u16 {
        match self.kind {
            TemplateErrorKind::Unavailable => 503,
            TemplateErrorKind::Request => 400,
            _ => 500,
        }
    }

    /// After how many seconds a client may try again, where that may help: the `Retry-After` header.
    pub fn retry_after(&self) -> Option<u16> {
        (self.kind == TemplateErrorKind::Unavailable).then_some(2)
    }

    /// What a visitor may read. The rest, which may name files and values, is for the log.
    pub fn public_message(&self) -> &str {
        match self.kind {
            TemplateErrorKind::Unavailable => "This page is unavailable. Try again in a moment.",
            TemplateErrorKind::Request => "This request cannot be answered.",
            _ => "This page could not be made. The server's log says why.",
        }
    }

    /// Writes the whole error to the log: as an error, or as information where the visitor caused it.
    pub fn log(&self) {
        if self.kind == TemplateErrorKind::Request {
            tracing::info!(target: "quintette::templates", "{self}");
        } else {
            tracing::error!(target: "quintette::templates", "{self}");
        }
    }

    /// The error of a status that another error wants to be answered with.
    fn from_status(status: u16, source: impl Error + Send + Sync + 'static) -> Self {
        let kind = match status {
            503 => TemplateErrorKind::Unavailable,
            400..500 => TemplateErrorKind::Request,
            _ => TemplateErrorKind::Value,
        };
        Self::new(kind, source.to_string()).with_source(source)
    }
}

impl From<SessionError> for TemplateError {
    fn from(error: SessionError) -> Self {
        Self::from_status(error.status(), error)
    }
}

#[cfg(feature = "auth")]
impl From<crate::auth::AuthError> for TemplateError {
    fn from(error: crate::auth::AuthError) -> Self {
        Self::from_status(error.status(), error)
    }
}

impl From<DisallowedHost> for TemplateError {
    fn from(error: DisallowedHost) -> Self {
        Self::from_status(400, error)
    }
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        // Each level tells what it was at; minijinja's `{:#}` would add the values of the page, which are not for a log.
        let first: &(dyn Error + 'static) = &error;
        let levels = std::iter::successors(Some(first), |level| (*level).source());
        let levels: Vec<_> = levels.collect();
        let is_missing = levels.iter().any(|level| {
            let level = level.downcast_ref::<minijinja::Error>();
            level.is_some_and(|level| level.kind() == minijinja::ErrorKind::TemplateNotFound)
        });
        let texts: Vec<_> = levels.iter().map(ToString::to_string).collect();
        let message = format!("a page cannot be made: {}", texts.join(": "));
        let kind = if is_missing {
            TemplateErrorKind::Missing
        } else {
            TemplateErrorKind::Template
        };
        Self::new(kind, message).with_source(error)
    }
}
