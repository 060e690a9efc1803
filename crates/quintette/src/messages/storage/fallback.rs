use quintette_core::cookie::CookieAttributes;
use quintette_core::session::SessionError;

use super::cookie::{CookieStorage, Keep};
use super::session::SessionStorage;
use super::{Held, Loaded, Source, Stored, Unread};

/// The cookie, and the session for what does not fit: `django.contrib.messages.storage.fallback.FallbackStorage`.
#[derive(Debug)]
pub(super) struct FallbackStorage {
    cookie: CookieStorage,
    session: SessionStorage,
}

impl FallbackStorage {
    pub(super) fn new(cookie: CookieStorage) -> Self {
        Self {
            cookie,
            session: SessionStorage,
        }
    }

    /// The session is asked only where the cookie says that it has not all of them.
    pub(super) async fn load(&self, source: &Source) -> Result<Loaded, SessionError> {
        let in_cookie = self.cookie.load(source);
        let is_cut = in_cookie.decoded.as_ref().is_some_and(|list| list.is_cut);
        let mut loaded = Loaded {
            // A cookie that cannot be read stays, as in Django, until messages are stored in its place.
            damaged: false,
            ..in_cookie.into()
        };
        if is_cut {
            let in_session = Loaded::from(self.session.load(source.session()?).await?);
            loaded.held = Held {
                cookie: loaded.held.cookie,
                ..in_session.held
            };
            loaded.messages.extend(in_session.messages);
        }
        Ok(loaded)
    }

    /// Even where all fit into the cookie, what is left in the session from before has to go.
    pub(super) async fn store(
        &self,
        unread: Unread,
        held: Held,
        source: &Source,
        attributes: CookieAttributes<'_>,
    ) -> Result<Stored, SessionError> {
        let mut stored = Stored::default();
        let mut rest = unread;
        if !rest.is_empty() || held.cookie {
            let (cookie, unstored) = self.cookie.store(rest, Keep::Oldest, attributes);
            stored.cookie = Some(cookie);
            rest = unstored;
        }
        if !rest.is_empty() || held.session {
            let session = source.session()?;
            self.session.store(rest, held.session_read, session).await?;
        }
        Ok(stored)
    }
}
