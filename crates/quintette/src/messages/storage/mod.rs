//! Where messages wait: `django.contrib.messages.storage`.

mod cookie;
mod fallback;
mod format;
mod session;

use std::fmt;

use http::HeaderValue;
use quintette_core::session::{Session, SessionError, SessionErrorKind};
use quintette_core::settings::{MessageStorageName, Settings};

use super::Message;

use cookie::{CookieStorage, Keep};
use fallback::FallbackStorage;
use session::{NO_SESSION, SessionStorage};

/// What a request brings to read messages from.
pub(super) struct Source {
    /// Its `Cookie` headers.
    pub(super) cookies: Vec<HeaderValue>,
    /// Its session, where the storage uses that.
    pub(super) session: Option<Session>,
}

impl Source {
    fn session(&self) -> Result<&Session, SessionError> {
        // The layer refuses such a request itself.
        let missing = || SessionError::new(SessionErrorKind::Misconfigured, NO_SESSION);
        self.session.as_ref().ok_or_else(missing)
    }
}

/// The storage that `MESSAGE_STORAGE` names, with the settings that it follows.
pub(super) struct Storage {
    settings: Settings,
    kind: Kind,
}

enum Kind {
    Cookie(CookieStorage),
    Session(SessionStorage),
    Fallback(FallbackStorage),
}

/// What was read. Django's `_get`.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) messages: Vec<Message>,
    pub(super) held: Held,
    /// What was there could not be read: it is to go with this response.
    pub(super) damaged: bool,
}

/// Which storages have to do with what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// The cookie held messages.
    cookie: bool,
    /// The session held messages.
    session: bool,
    /// The session was asked for messages.
    session_read: bool,
}

/// What is to be stored: what was there before, and what this request has added.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) old: Vec<Message>,
    pub(super) new: Vec<Message>,
}

/// What became of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// The `Set-Cookie` header to send.
    pub(super) cookie: Option<String>,
    /// How many messages had no room.
    pub(super) lost: usize,
}

impl Storage {
    pub(super) fn new(settings: &Settings) -> Self {
        let cookie = || CookieStorage::new(&settings.secret_key);
        let kind = match settings.message_storage {
            MessageStorageName::Cookie => Kind::Cookie(cookie()),
            MessageStorageName::Session => Kind::Session(SessionStorage),
            MessageStorageName::Fallback => Kind::Fallback(FallbackStorage::new(cookie())),
        };
        Self {
            settings: settings.clone(),
            kind,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is wrong where a request has no session, if it needs one.
    pub(super) fn without_session(&self) -> Option<&'static str> {
        (!matches!(self.kind, Kind::Cookie(_))).then_some(NO_SESSION)
    }

    pub(super) async fn load(&self, source: &Source) -> Result<Loaded, SessionError> {
        let mut loaded = match &self.kind {
            Kind::Cookie(cookie) => cookie.load(source).into(),
            Kind::Session(session) => session.load(source.session()?).await?.into(),
            Kind::Fallback(fallback) => fallback.load(source).await?,
        };
        let tags = &self.settings.message_tags;
        loaded.messages = loaded
            .messages
            .into_iter()
            .map(|message| message.tagged(tags))
            .collect();
        Ok(loaded)
    }

    pub(super) async fn store(
        &self,
        unread: Unread,
        held: Held,
        source: &Source,
    ) -> Result<Stored, SessionError> {
        let attributes = self.settings.messages_cookie();
        match &self.kind {
            Kind::Cookie(cookie) => {
                let (cookie, unstored) = cookie.store(unread, Keep::Newest, attributes);
                Ok(Stored {
                    cookie: Some(cookie),
                    lost: unstored.len(),
                })
            }
            Kind::Session(session) => {
                session.store(unread, true, source.session()?).await?;
                Ok(Stored::default())
            }
            Kind::Fallback(fallback) => fallback.store(unread, held, source, attributes).await,
        }
    }
}

impl Unread {
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.old.len() + self.new.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Message> {
        self.old.iter().chain(&self.new)
    }

    /// Those from the `at`th on.
    fn split_off(mut self, at: usize) -> Self {
        let new = self.new.split_off(at.saturating_sub(self.old.len()));
        let old = self.old.split_off(at.min(self.old.len()));
        Self { old, new }
    }

    /// Those before the `at`th.
    fn truncated(mut self, at: usize) -> Self {
        self.new.truncate(at.saturating_sub(self.old.len()));
        self.old.truncate(at);
        self
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.message_storage.fmt(f)
    }
}
