//! Sessions that are edited, not overwritten.
//!
//! A [`Session`] belongs to one request. Reading it loads what is stored, once; writing it records a change. Saving
//! applies the changes to what is stored *by then*, by compare-and-swap, so that two requests at once lose nothing,
//! and a session that was deleted meanwhile is never brought back.
//!
//! [`Sessions`] makes them, from a [`SessionEngine`] and the [`Settings`](crate::settings::Settings). No web framework is needed:
//!
//! ```
//! # async fn example(sessions: quintette_core::session::Sessions) -> Result<(), quintette_core::session::SessionError> {
//! let session = sessions.session(None);
//! session.insert("cart", ["tea", "cups"])?;
//! session.save().await?;
//!
//! let same = sessions.session(session.key().as_ref().map(|key| key.as_str()));
//! let cart: Option<Vec<String>> = same.get("cart").await?;
//! assert_eq!(cart.unwrap(), ["tea", "cups"]);
//! # Ok(())
//! # }
//! ```

mod changes;
mod codec;
mod commit;
mod data;
mod engine;
mod error;
mod expiry;
#[cfg(feature = "axum")]
mod extract;
mod key;
mod sessions;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json::RawJson;

use changes::{Change, Changes};
use expiry::EXPIRY_KEY;

pub use codec::{Codec, JsonSerializer, PickleSerializer, Serializer};
pub use commit::{CookieAction, Outcome, Saved};
pub use data::SessionData;
pub use engine::{
    Cleared, Created, Deleted, Listed, Receipt, Record, Replaced, Revision, SessionEngine, Stored,
};
pub use error::{SessionError, SessionErrorKind};
pub use expiry::Expiry;
#[cfg(feature = "axum")]
pub use extract::MissingSessionLayer;
pub use key::SessionKey;
pub use sessions::{Sessions, Spawn};

type Result<T, E = SessionError> = std::result::Result<T, E>;

/// Django's `TEST_COOKIE_NAME` and `TEST_COOKIE_VALUE` (django/contrib/sessions/backends/base.py).
const TEST_COOKIE: (&str, &str) = ("testcookie", "worked");

/// One visitor's session, in one request. Django's `request.session`.
///
/// A cheap handle: clones share the session. Reading is async, since it may go to the store (it does so once a
/// request at the most); writing records a change and is not.
///
/// ```
/// # use quintette_core::session::{Session, SessionError};
/// # async fn example(session: Session) -> Result<(), SessionError> {
/// session.insert("color", "green")?;
/// let color: Option<String> = session.get("color").await?;
/// assert_eq!(color.as_deref(), Some("green"));
/// session.remove("color");
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
///
/// A caller that vanishes while it reads leaves the session as it was. [`save`](Self::save), [`flush`](Self::flush)
/// and [`cycle_key`](Self::cycle_key) run to their end where the [`Sessions`] were given a way to
/// [spawn](Sessions::spawning), as the tower layer does; elsewhere they are as cancellable as any future.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    sessions: Sessions,
    /// Whether the visitor sent a cookie, of whatever content.
    cookie_sent: bool,
    state: Mutex<State>,
    /// Held across operations on the store, so that clones load once and commit one after the other.
    turn: async_lock::Mutex<()>,
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that do not exclude each other"
)]
struct State {
    key: Option<SessionKey>,
    /// What this request sees: the stored data with this request's changes. `None` until it is read.
    data: Option<Arc<SessionData>>,
    /// The stored revision that `data` is based on, where one is known.
    revision: Option<Revision>,
    /// When the stored session expires, where its load told.
    expires_at: Option<DateTime<Utc>>,
    /// The edits that are not stored yet.
    changes: Changes,
    /// The store has confirmed the key: if it is gone later, somebody deleted it.
    known: bool,
    /// Made, or given a new key, by this request: nobody else can have touched it.
    fresh: bool,
    accessed: bool,
    modified: bool,
    /// The response was sent; changes from here on need a `save` of their own.
    finished: bool,
}

impl Session {
    /// The value under `key`; `None` where there is none. Django's `session.get(key)`.
    ///
    /// `T = `[`Box<RawValue>`](serde_json::value::RawValue) gives the JSON text as it is stored.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, or the value is not a `T`.
    ///
    /// # Cancellation
    ///
    /// Nothing has changed; the next read loads again.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.raw(key).await?.map(|raw| parse(key, &raw)).transpose()
    }

    /// The JSON text under `key`, as it is stored.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, or the value is a Python object that JSON cannot carry.
    pub async fn raw(&self, key: &str) -> Result<Option<RawJson>> {
        Ok(self.data().await?.readable(key)?.cloned())
    }

    /// Whether there is a value under `key`. Django's `key in session`, `has_key`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    pub async fn contains(&self, key: &str) -> Result<bool> {
        Ok(self.data().await?.contains(key))
    }

    /// The keys, in the order of their insertion. Django's `session.keys()`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    pub async fn keys(&self) -> Result<Vec<String>> {
        Ok(self.data().await?.keys().map(Into::into).collect())
    }

    /// Keys and values, in the order of their insertion. Django's `session.items()`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, or a value is a Python object that JSON cannot carry.
    pub async fn entries(&self) -> Result<Vec<(String, RawJson)>> {
        let data = self.data().await?;
        data.iter()
            .map(|(key, value)| match value {
                Some(value) => Ok((key.into_owned(), value.clone())),
                None => Err(data.unreadable(&key)),
            })
            .collect()
    }

    /// Everything the session holds now, this request's changes included.
    ///
    /// Calling it is also how a handler says "I need the session": the store has then confirmed the session, and a
    /// save fails with [`Interrupted`](SessionErrorKind::Interrupted) should it be deleted from here on.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    pub async fn data(&self) -> Result<Arc<SessionData>> {
        if let Some(data) = self.state().read() {
            return Ok(data);
        }
        let _turn = self.inner.turn.lock().await;
        let key = {
            let mut state = self.state();
            if let Some(data) = state.read() {
                return Ok(data);
            }
            state.key.clone()
        };
        let stored = match &key {
            Some(key) => self.inner.sessions.engine().load(key).await?,
            None => None,
        };
        self.state().adopt(stored)
    }

    /// Puts `value` under `key`. Django's `session[key] = value`.
    ///
    /// # Errors
    ///
    /// Where the value cannot be written as JSON. Nothing has changed then.
    pub fn insert(&self, key: &str, value: impl Serialize) -> Result<()> {
        let raw = to_json(key, &value)?;
        self.state().insert(key, raw);
        Ok(())
    }

    /// Puts all these values under their keys. Django's `session.update({...})`.
    ///
    /// ```
    /// # use quintette_core::session::{Session, SessionError};
    /// # fn example(session: Session) -> Result<(), SessionError> {
    /// session.extend([("color", "green"), ("size", "XL")])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where a value cannot be written as JSON. The ones before it are in the session then.
    pub fn extend<K: AsRef<str>, V: Serialize>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        self.set_modified();
        entries
            .into_iter()
            .try_for_each(|(key, value)| self.insert(key.as_ref(), value))
    }

    /// Says that the session is to be saved, even if nothing in it changes: its expiry then counts from now. Django's
    /// `session.modified = True`.
    pub fn set_modified(&self) {
        let mut state = self.state();
        state.read();
        state.modified = true;
    }

    /// Removes `key`, where it is there. Django's `del session[key]`.
    pub fn remove(&self, key: &str) {
        let mut state = self.state();
        if state.data.as_ref().is_some_and(|data| !data.contains(key)) {
            state.accessed = true;
            return;
        }
        state.remove(key);
    }

    /// Removes every key; the session itself stays. Django's `session.clear()`.
    pub fn clear(&self) {
        let mut state = self.state();
        // What was there does not matter, so nothing has to be loaded for it.
        state.data.get_or_insert_default();
        state.change(Change::Clear, |data| *data = SessionData::default());
    }

    /// Replaces the value under `key` by what `f` makes of it, and returns that.
    ///
    /// `f` is called again, on the newest value, when another request has stored the session meanwhile: two requests
    /// that each add one add two. It must not use this session. What is returned is what the first call gave.
    ///
    /// ```
    /// # use quintette_core::session::{Session, SessionError};
    /// # async fn example(session: Session) -> Result<(), SessionError> {
    /// let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, the value is not a `T`, or the new one cannot be written as JSON.
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn update<T, U>(
        &self,
        key: &str,
        f: impl Fn(Option<T>) -> U + Send + Sync + 'static,
    ) -> Result<U>
    where
        T: DeserializeOwned,
        U: Serialize,
    {
        self.data().await?;
        let mut state = self.state();
        let result = f(state.value(key)?);
        let name: Box<str> = key.into();
        let update = move |raw: Option<&RawJson>| {
            let value = raw.map(|raw| parse(&name, raw)).transpose()?;
            to_json(&name, &f(value)).map(Some)
        };
        let raw = to_json(key, &result)?;
        state.change(Change::Update(key.into(), Arc::new(update)), |data| {
            data.insert(key, raw);
        });
        Ok(result)
    }

    /// The same, where `f` may also say that nothing is to be left: where it gives `None`, the key goes.
    ///
    /// ```
    /// # use quintette_core::session::{Session, SessionError};
    /// # async fn example(session: Session) -> Result<(), SessionError> {
    /// // Whoever takes the last ticket removes the key, and no ticket is taken twice.
    /// let left = |tickets: Option<u32>| tickets?.checked_sub(1).filter(|left| *left > 0);
    /// session.update_or_remove("tickets", left).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn update_or_remove<T, U>(
        &self,
        key: &str,
        f: impl Fn(Option<T>) -> Option<U> + Send + Sync + 'static,
    ) -> Result<Option<U>>
    where
        T: DeserializeOwned,
        U: Serialize,
    {
        let data = self.data().await?;
        let mut state = self.state();
        let result = f(state.value(key)?);
        if result.is_none() && !data.contains(key) {
            return Ok(None);
        }
        let raw = result
            .as_ref()
            .map(|value| to_json(key, value))
            .transpose()?;
        let name: Box<str> = key.into();
        let update = move |raw: Option<&RawJson>| {
            let value = raw.map(|raw| parse(&name, raw)).transpose()?;
            f(value).map(|value| to_json(&name, &value)).transpose()
        };
        state.change(
            Change::Update(key.into(), Arc::new(update)),
            |data| match raw {
                Some(raw) => data.insert(key, raw),
                None => {
                    data.remove(key);
                }
            },
        );
        Ok(result)
    }

    /// Takes the value under `key` out of the session. Django's `session.pop(key, None)`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, or the value is not a `T`; it stays where it is then.
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.data().await?;
        let mut state = self.state();
        let value = state.value(key)?;
        if value.is_some() {
            state.remove(key);
        }
        Ok(value)
    }

    /// The value under `key`; where there is none, `default`, which is then stored. Django's `session.setdefault`.
    ///
    /// Where two requests do so at once, the value that is stored first stays, and the other request has got a default
    /// that is not: [`save`](Self::save) before you hand out a token that was made so, and read it again.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer, the value is not a `T`, or `default` cannot be written as JSON.
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn get_or_insert<T: DeserializeOwned + Serialize>(
        &self,
        key: &str,
        default: T,
    ) -> Result<T> {
        self.data().await?;
        let mut state = self.state();
        if let Some(value) = state.value(key)? {
            return Ok(value);
        }
        let raw = to_json(key, &default)?;
        state.change(Change::InsertIfAbsent(key.into(), raw.clone()), |data| {
            data.insert(key, raw);
        });
        Ok(default)
    }

    /// Sets when this session ends, in place of what the settings say; `None` goes back to them. Django's `set_expiry`.
    ///
    /// ```
    /// # use chrono::TimeDelta;
    /// # use quintette_core::session::{Expiry, Session};
    /// # fn example(session: Session) {
    /// session.set_expiry(Expiry::AfterIdle(TimeDelta::minutes(20)));
    /// session.set_expiry(Expiry::BrowserClose);
    /// session.set_expiry(None);
    /// # }
    /// ```
    pub fn set_expiry(&self, expiry: impl Into<Option<Expiry>>) {
        let Some(expiry) = expiry.into() else {
            return self.remove(EXPIRY_KEY);
        };
        let raw = expiry.write(self.inner.sessions.time_zone());
        self.state().insert(EXPIRY_KEY, raw);
    }

    /// How long the session lives from now, if nothing happens. Django's `get_expiry_age`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    pub async fn expiry_age(&self) -> Result<TimeDelta> {
        let expiry = self.expiry().await?;
        Ok(Expiry::age(
            expiry,
            self.inner.sessions.settings(),
            Utc::now(),
        ))
    }

    /// When the session ends, if nothing happens. Django's `get_expiry_date`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    pub async fn expiry_date(&self) -> Result<DateTime<Utc>> {
        let expiry = self.expiry().await?;
        Ok(Expiry::date(
            expiry,
            self.inner.sessions.settings(),
            Utc::now(),
        ))
    }

    /// Whether the session ends with the browser. Django's `get_expire_at_browser_close`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    pub async fn expires_at_browser_close(&self) -> Result<bool> {
        let expiry = self.expiry().await?;
        Ok(Expiry::at_browser_close(
            expiry,
            self.inner.sessions.settings(),
        ))
    }

    async fn expiry(&self) -> Result<Option<Expiry>> {
        Ok(Expiry::read(
            &*self.data().await?,
            self.inner.sessions.time_zone(),
        ))
    }

    /// Stores a test value, to see with the next request whether the browser keeps cookies. Django's `set_test_cookie`.
    pub fn set_test_cookie(&self) {
        self.state().insert(TEST_COOKIE.0, TEST_COOKIE.1.into());
    }

    /// Whether the browser sent the test value back. Django's `test_cookie_worked`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer.
    pub async fn test_cookie_worked(&self) -> Result<bool> {
        let raw = self.raw(TEST_COOKIE.0).await?;
        Ok(raw
            .and_then(|raw| raw.deserialize::<String>().ok())
            .as_deref()
            == Some(TEST_COOKIE.1))
    }

    /// Removes the test value. Django's `delete_test_cookie`.
    pub fn delete_test_cookie(&self) {
        self.remove(TEST_COOKIE.0);
    }

    /// The session's key, where it has one: what the visitor sent, until the store has denied it. Django's `session_key`.
    pub fn key(&self) -> Option<SessionKey> {
        self.state().key.clone()
    }

    /// The sessions that this one is of: the engine, and the settings.
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Whether there is nothing at all: no key and no data. Django's `is_empty`; does not go to the store.
    pub fn is_empty(&self) -> bool {
        self.state().is_empty()
    }

    /// Whether this request has read or written the session. Its response then depends on the cookie.
    pub fn is_accessed(&self) -> bool {
        self.state().accessed
    }

    /// Whether this request has changed the session.
    pub fn is_modified(&self) -> bool {
        self.state().modified
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change to the state is complete before anything in it can panic.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.key.is_none() && self.data.as_ref().is_none_or(|data| data.is_empty())
    }

    /// What is there to read without the store: the data, once it is known, and nothing where there is no key.
    fn read(&mut self) -> Option<Arc<SessionData>> {
        self.accessed = true;
        if self.key.is_none() {
            self.data.get_or_insert_default();
        }
        self.data.clone()
    }

    /// Takes over what the store gave, with this request's changes on top.
    fn adopt(&mut self, stored: Option<Stored>) -> Result<Arc<SessionData>> {
        if let Some(data) = &self.data {
            // A clone has cleared or flushed it while the store was being read.
            return Ok(data.clone());
        }
        match stored {
            Some(stored) => self.rebase(stored)?,
            None => self.forget_key()?,
        }
        Ok(self.data.clone().unwrap_or_default())
    }

    fn rebase(&mut self, stored: Stored) -> Result<()> {
        let mut data = stored.data;
        self.changes.replay(&mut data)?;
        self.data = Some(Arc::new(data));
        self.revision = stored.revision;
        self.expires_at = stored.expires_at;
        self.modified |= stored.rewrite;
        self.known = true;
        Ok(())
    }

    /// The store does not know the key, so it is not adopted: whoever chose it would know the session (fixation).
    fn forget_key(&mut self) -> Result<()> {
        let mut data = SessionData::default();
        self.changes.replay(&mut data)?;
        self.key = None;
        self.data = Some(Arc::new(data));
        self.revision = None;
        Ok(())
    }

    fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        data.readable(key)?.map(|raw| parse(key, raw)).transpose()
    }

    fn insert(&mut self, key: &str, value: RawJson) {
        self.change(Change::Insert(key.into(), value.clone()), |data| {
            data.insert(key, value);
        });
    }

    fn remove(&mut self, key: &str) {
        self.change(Change::Remove(key.into()), |data| {
            data.remove(key);
        });
    }

    /// Records a change, and applies it to what this request sees.
    fn change(&mut self, change: Change, apply: impl FnOnce(&mut SessionData)) {
        self.read();
        if let Some(data) = &mut self.data {
            apply(Arc::make_mut(data));
        }
        self.modified = true;
        self.changes.push(change);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.finished && !state.changes.is_empty() {
            tracing::warn!(
                target: "quintette::session",
                "the session was changed after its response had been sent, and the change is lost: \
                 call session.save().await after changing it in a stream or a spawned task"
            );
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Session")
            .field("data", &state.data)
            .field("accessed", &state.accessed)
            .field("modified", &state.modified)
            .finish_non_exhaustive()
    }
}

fn parse<T: DeserializeOwned>(key: &str, raw: &RawJson) -> Result<T> {
    raw.deserialize().map_err(|error| {
        // Not in the message, which is logged: serde quotes the value, and that is the visitor's.
        let message = format!("session[{key:?}] is not a {}", std::any::type_name::<T>());
        SessionError::new(SessionErrorKind::Value, message).with_source(error)
    })
}

fn to_json(key: &str, value: &impl Serialize) -> Result<RawJson> {
    RawJson::from_value(value).map_err(|error| {
        let message = format!("session[{key:?}] cannot be written as JSON: {error}");
        SessionError::new(SessionErrorKind::Value, message).with_source(error)
    })
}
