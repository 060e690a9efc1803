//! A session by its key, or by the beginning of it that a list prints.

use chrono::{DateTime, Utc};
use quintette::sessions::{Listed, SessionData, SessionErrorKind, SessionKey, Sessions, Stored};
use quintette::settings::{CacheBackend, SessionEngineName, Settings};

use crate::error::Error;

pub(super) struct Found {
    pub(super) key: SessionKey,
    pub(super) data: SessionData,
    /// In bytes, where the engine tells.
    pub(super) size: Option<usize>,
    /// Where the engine tells.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// The session with this key, or the one whose key begins so.
pub(super) async fn find(sessions: &Sessions, text: &str) -> Result<Found, Error> {
    let text = text.trim_end_matches('…');
    let Some(key) = SessionKey::parse(text) else {
        return Err(Error::Other(
            "a session's key has eight characters at least: give its first eight, or all of it"
                .to_owned(),
        ));
    };
    if let Some(stored) = sessions
        .engine()
        .load_for_update(&key)
        .await?
        .filter(|stored| !stored.rewrite)
    {
        return Ok(Found::exact(key, stored));
    }
    let mut beginning_so = beginning_with(sessions, text).await?.into_iter();
    match (beginning_so.next(), beginning_so.next()) {
        (Some(listed), None) => Ok(Found::from(listed)),
        (Some(_), Some(_)) => Err(Error::Other(
            "several sessions' keys begin so: give more of it".to_owned(),
        )),
        (None, _) => Err(Error::Other(unknown(sessions.settings()))),
    }
}

/// The first two sessions whose keys begin with `text` and go on; none where the engine cannot list.
async fn beginning_with(sessions: &Sessions, text: &str) -> Result<Vec<Listed>, Error> {
    let Some(after) = SessionKey::parse(text) else {
        return Ok(Vec::new());
    };
    match sessions.engine().list(Some(&after), 2).await {
        Ok(mut listed) => {
            listed.retain(|listed| listed.key.as_str().starts_with(text));
            Ok(listed)
        }
        Err(error) if error.kind() == SessionErrorKind::Unsupported => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn unknown(settings: &Settings) -> String {
    let mut message = match settings.session_engine {
        SessionEngineName::SignedCookies => {
            "this cookie cannot be read: it has expired, is cut short, or was signed with another SECRET_KEY"
        }
        _ => "there is no such session: its key is unknown here, or it has expired",
    }
    .to_owned();
    if is_out_of_reach(settings) {
        message.push_str(". Its cache ");
        message.push_str(OUT_OF_REACH);
    }
    message
}

/// What is to be said of such a cache.
pub(super) const OUT_OF_REACH: &str =
    "is each process' own memory, which no other process can look into";

/// Whether sessions are in the memory of the service, and not where this command could find them.
pub(super) fn is_out_of_reach(settings: &Settings) -> bool {
    let cache = settings.caches.get(&settings.session_cache_alias);
    settings.session_engine == SessionEngineName::Cache
        && cache.is_some_and(|cache| cache.backend == CacheBackend::LocMem)
}

impl Found {
    fn exact(key: SessionKey, stored: Stored) -> Self {
        let size = stored
            .revision
            .map(|revision| revision.as_bytes().len())
            .filter(|size| *size > 0);
        Self {
            key,
            data: stored.data,
            size,
            expires_at: stored.expires_at,
        }
    }
}

impl From<Listed> for Found {
    fn from(listed: Listed) -> Self {
        Self {
            key: listed.key,
            data: listed.data,
            size: Some(listed.size),
            expires_at: Some(listed.expires_at),
        }
    }
}
