use std::fmt;

/// A new password that one or more validators refuse: Django's `ValidationError`.
///
/// Its text is a line for each reason, to be shown to whoever chose the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPassword {
    // Never empty.
    reasons: Vec<Reason>,
}

impl InvalidPassword {
    pub(super) fn unless_empty(reasons: Vec<Reason>) -> Result<(), Self> {
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(Self { reasons })
        }
    }

    /// Every reason, in the order of the validators: `error_list`.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// What is shown to a person, one text a reason: `messages`.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.reasons.iter().map(Reason::message)
    }
}

impl fmt::Display for InvalidPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.messages().collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for InvalidPassword {}

/// Why one validator refuses a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    code: &'static str,
    message: String,
}

impl Reason {
    /// With a code for programs, such as `password_too_short`, and a message for people.
    ///
    /// The message must hold nothing of the password: it is shown, and may be logged.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// What a program knows it by: `code`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is shown to a person.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `AUTH_PASSWORD_VALIDATORS` is wrong. The text names what it holds and what would do: `ImproperlyConfigured`.
#[derive(Debug, thiserror::Error)]
#[error("AUTH_PASSWORD_VALIDATORS: {message}")]
pub struct ValidatorConfigError {
    message: String,
    #[source]
    source: Option<std::io::Error>,
}

impl ValidatorConfigError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn unreadable(path: &std::path::Path, source: std::io::Error) -> Self {
        Self {
            message: format!(
                "password_list_path names {}, which cannot be read: {source}. It must be a text in UTF-8, plain or \
                 compressed with gzip, with a password on each line",
                path.display()
            ),
            source: Some(source),
        }
    }
}
