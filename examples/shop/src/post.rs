//! Where confirmations go: into a folder, or to a mail server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::{AsyncSmtpTransport, Error as SmtpError};
use lettre::{AsyncTransport as _, Message, Tokio1Executor};

use crate::mail::Mail;

/// How long the mail server may take for each answer.
const PATIENCE: Duration = Duration::from_secs(20);

const SENDER: &str = "Five Leaves <shop@localhost>";

/// Sends mails. A cheap handle.
#[derive(Clone)]
pub(crate) enum PostOffice {
    /// A file each.
    Folder(PathBuf),
    /// A mail server.
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

/// A mail that was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the mail cannot be addressed: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("the mail cannot be written: {0}")]
    Message(#[from] lettre::error::Error),
    #[error("{} cannot be written: {source}", path.display())]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the mail server of SHOP_SMTP_URL does not take the mail: {0}")]
    Smtp(#[from] SmtpError),
}

impl PostOffice {
    /// The server of an `smtp://host:port`; `None` for what is none. It is spoken to without encryption and without a login: one on this
    /// machine or network, which sends mails on.
    pub(crate) fn smtp(url: &str) -> Option<Self> {
        let server = url.strip_prefix("smtp://")?.trim_end_matches('/');
        let (host, port) = server.rsplit_once(':').unwrap_or((server, "25"));
        if host.is_empty() || host.contains(['@', '/', '?', ':']) {
            return None;
        }
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port.parse().ok()?)
            .timeout(Some(PATIENCE));
        Some(Self::Smtp(transport.build()))
    }

    /// Sends a mail. Of two with one name, a folder keeps the later.
    pub(crate) async fn send(&self, name: &str, mail: &Mail) -> Result<(), PostError> {
        let message = Message::builder()
            .from(SENDER.parse()?)
            .to(mail.to.parse()?)
            .subject(mail.subject.as_str())
            .message_id(Some(format!("<{name}@shop.localhost>")))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())?;
        match self {
            Self::Folder(folder) => write(folder, name, &message).await,
            Self::Smtp(transport) => {
                transport.send(message).await?;
                Ok(())
            }
        }
    }
}

async fn write(folder: &Path, name: &str, message: &Message) -> Result<(), PostError> {
    let path = folder.join(format!("{name}.eml"));
    let written = async {
        tokio::fs::create_dir_all(folder).await?;
        // Renamed into its place: nobody reads half of one.
        let new = folder.join(format!(".{name}.{}.new", std::process::id()));
        tokio::fs::write(&new, message.formatted()).await?;
        tokio::fs::rename(&new, &path).await
    };
    written
        .await
        .map_err(|source| PostError::Folder { path, source })
}

impl fmt::Debug for PostOffice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            Self::Smtp(_) => f.write_str("Smtp"),
        }
    }
}
