//! Mails. This shop sends none: it prints them, as Django's console backend does.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;

/// A mail to one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// What it is about, on one line.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Where the shop's mails go. A cheap handle.
#[derive(Clone)]
pub struct Mailer {
    send: Arc<dyn Fn(Mail) + Send + Sync>,
}

impl Mailer {
    /// Gives mails to this function, on a thread where it may block.
    pub fn new(send: impl Fn(Mail) + Send + Sync + 'static) -> Self {
        Self {
            send: Arc::new(send),
        }
    }

    /// Prints mails to the standard output.
    pub fn console() -> Self {
        Self::new(|mail| {
            // Whoever closed the output does not read it.
            let _ = write!(io::stdout().lock(), "{mail}");
        })
    }

    /// Sends the mail.
    pub(crate) fn send(&self, mail: Mail) {
        (self.send)(mail);
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer")
    }
}

/// As it would travel, and a line below it.
impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, subject, text } = self;
        writeln!(f, "Subject: {subject}")?;
        writeln!(f, "From: Five Leaves <shop@localhost>\nTo: {to}\n")?;
        writeln!(f, "{text}\n{}", "-".repeat(79))
    }
}
