//! From a request's changes to the store: every change of what is stored goes through here.

use std::mem;
use std::sync::Arc;

use chrono::{TimeDelta, Utc};

use super::changes::Changes;
use super::{
    Created, Deleted, Expiry, Receipt, Record, Replaced, Result, Revision, Session, SessionData,
    SessionEngine, SessionError, SessionErrorKind, SessionKey, State, Stored,
};

/// Each conflict means that another request got its write done, so this many in a row are a defect elsewhere.
const MAX_ATTEMPTS: u32 = 10_000;

/// Two random keys are never the same. A store that refuses so many cannot take any.
const MAX_KEYS: u32 = 10;

/// What [`Session::save`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// There was no change to store. The expiry was moved, as Django's `save` does.
    Unchanged,
    /// The changes are stored.
    Saved,
    /// The changes are stored, on top of what other requests had stored meanwhile.
    Merged {
        /// How often another request was faster.
        retries: u32,
    },
}

/// What a response has to say about the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The response depends on the visitor's cookie: it needs `Vary: Cookie`.
    pub vary: bool,
    /// What to do about the cookie.
    pub cookie: CookieAction,
}

/// What a response does about the session's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieAction {
    /// Nothing.
    Keep,
    /// The browser is to forget it: see [`CookieAttributes::delete`](crate::cookie::CookieAttributes::delete).
    Delete,
    /// The browser is to keep it: see [`CookieAttributes::set`](crate::cookie::CookieAttributes::set).
    Set {
        /// What it holds.
        key: SessionKey,
        /// How long; `None` ends with the browser.
        max_age: Option<TimeDelta>,
    },
}

impl Session {
    /// Stores the changes now. At the end of a request the layer does it by itself. Django's `session.save()`.
    ///
    /// Needed where the session changes after the response has begun: in a stream, a WebSocket, a spawned task. A
    /// session without a key is created, even an empty one.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](SessionErrorKind::Interrupted) where the session was deleted since it was read; otherwise where
    /// the store cannot answer or the data cannot be stored. The changes are kept, so that a later save can store them.
    /// Where the store's answer was lost, they may be stored already; a later save then applies an
    /// [`update`](Self::update) once more.
    ///
    /// # Cancellation
    ///
    /// See [`Session`].
    pub async fn save(&self) -> Result<Saved> {
        let session = self.clone();
        self.inner
            .sessions
            .run_to_end(async move { session.commit(WhenEmpty::Create).await })
            .await
    }

    /// Deletes the session with all its data; what is inserted from here on goes into a new one. A logout. Django's
    /// `flush`.
    ///
    /// Acts on the store at once, so that a client that hangs up cannot undo a logout. What a clone inserts while the store
    /// is at it goes with the session.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer; the session may then still be there.
    ///
    /// # Cancellation
    ///
    /// See [`Session`].
    pub async fn flush(&self) -> Result<()> {
        let session = self.clone();
        let flush = async move {
            let _turn = session.inner.turn.lock().await;
            if let Some(key) = session.key() {
                session.engine().delete(&key, None).await?;
            }
            *session.state() = State {
                data: Some(Arc::default()),
                accessed: true,
                modified: true,
                ..State::default()
            };
            Ok(())
        };
        self.inner.sessions.run_to_end(flush).await
    }

    /// Gives the session a new key and keeps its data: what a login does, so that a key that was planted before is
    /// worth nothing after. Django's `cycle_key`.
    ///
    /// Acts on the store at once. Changes that other requests store under the old key meanwhile are taken along.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](SessionErrorKind::Interrupted) where the session was deleted since it was read; otherwise where
    /// the store cannot answer.
    ///
    /// # Cancellation
    ///
    /// See [`Session`].
    pub async fn cycle_key(&self) -> Result<()> {
        let session = self.clone();
        let cycle = async move {
            session.data().await?;
            let _turn = session.inner.turn.lock().await;
            session.cycle().await
        };
        self.inner.sessions.run_to_end(cycle).await
    }

    /// Whether [`finish`](Self::finish) has anything to do. An untouched session costs nothing.
    ///
    /// Where it has not, the request has ended with this call: what is changed later needs a [`save`](Self::save).
    pub fn needs_finish(&self) -> bool {
        let mut state = self.state();
        let needed = state.accessed
            || self.inner.sessions.settings().session_save_every_request
            || (self.inner.cookie_sent && state.is_empty());
        state.finished = !needed;
        needed
    }

    /// Ends the request: saves what is to be saved, and says what the response has to carry. For the adapters of web
    /// frameworks; what Django's `SessionMiddleware.process_response` does.
    ///
    /// With `server_error`, that is a status of 500 or more, nothing is saved.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    ///
    /// # Cancellation
    ///
    /// See [`Session`].
    pub async fn finish(&self, server_error: bool) -> Result<Outcome> {
        let (vary, empty, save) = {
            let state = self.state();
            let save_every = self.inner.sessions.settings().session_save_every_request;
            (
                state.accessed,
                state.is_empty(),
                (state.modified || save_every) && !server_error,
            )
        };
        if !empty && save {
            let session = self.clone();
            self.inner
                .sessions
                .run_to_end(async move { session.commit_request().await })
                .await?;
        }
        let mut state = self.state();
        state.finished = !server_error;
        // Saving may have found that the store does not know the key.
        Ok(match &state.key {
            None if self.inner.cookie_sent && state.is_empty() => Outcome {
                vary: true,
                cookie: CookieAction::Delete,
            },
            Some(key) if save => {
                let settings = self.inner.sessions.settings();
                let data = state.data.as_deref();
                let expiry =
                    data.and_then(|data| Expiry::read(data, self.inner.sessions.time_zone()));
                let max_age = (!Expiry::at_browser_close(expiry, settings))
                    .then(|| Expiry::age(expiry, settings, Utc::now()));
                Outcome {
                    vary: true,
                    cookie: CookieAction::Set {
                        key: key.clone(),
                        max_age,
                    },
                }
            }
            _ => Outcome {
                vary,
                cookie: CookieAction::Keep,
            },
        })
    }

    /// The commit at the end of a request.
    async fn commit_request(&self) -> Result<()> {
        if self.is_settled() {
            return Ok(());
        }
        if self.state().changes.is_empty() {
            // Where nothing was read yet, a key that the store does not know is forgotten here, and makes no session.
            self.data().await?;
        }
        if self.is_touched_lately() {
            return Ok(());
        }
        self.commit(WhenEmpty::Forget).await.map(drop)
    }

    /// Whether all there is to do is to move an expiry that was moved less than `SESSION_TOUCH_INTERVAL` ago.
    fn is_touched_lately(&self) -> bool {
        let interval = self.inner.sessions.settings().session_touch_interval;
        let state = self.state();
        let (Some(stored), Some(data)) = (state.expires_at, &state.data) else {
            return false;
        };
        let expires_at = self.record(data).expires_at;
        // However short the session lives, whoever comes in the second half of its life prolongs it.
        let interval = interval.min((expires_at - Utc::now()) / 2);
        let moves_by = expires_at - stored;
        !state.modified && (TimeDelta::zero()..interval).contains(&moves_by)
    }

    /// Whether this request has stored everything already, under a key of its own or in a session that it has ended.
    fn is_settled(&self) -> bool {
        let state = self.state();
        let ended = |data: &SessionData| state.known && self.record(data).expires_at <= Utc::now();
        state.changes.is_empty() && (state.fresh || state.data.as_deref().is_some_and(ended))
    }

    async fn commit(&self, when_empty: WhenEmpty) -> Result<Saved> {
        let _turn = self.inner.turn.lock().await;
        self.state().accessed = true;
        for retries in 0..MAX_ATTEMPTS {
            let Some((key, revision)) = self.stored_revision(Unread::IsTrusted).await? else {
                if when_empty == WhenEmpty::Forget && self.is_empty() {
                    return Ok(Saved::Unchanged);
                }
                self.create().await?;
                return Ok(Saved::Saved);
            };
            let write = self.begin();
            let untouched = write.changes.is_empty();
            let record = self.record(&write.data);
            let replaced = if untouched {
                self.engine().touch(&key, &revision, &record).await?
            } else {
                self.engine().replace(&key, &revision, &record).await?
            };
            match replaced {
                Replaced::Stored(receipt) => {
                    write.stored(receipt);
                    return Ok(match (untouched, retries) {
                        (true, _) => Saved::Unchanged,
                        (false, 0) => Saved::Saved,
                        (false, retries) => Saved::Merged { retries },
                    });
                }
                Replaced::Conflict => {}
                Replaced::Gone => return Err(SessionError::interrupted()),
            }
        }
        Err(contended())
    }

    /// The key and the revision to write over; loads where none is known. `None` where there is nothing to write over.
    async fn stored_revision(&self, unread: Unread) -> Result<Option<(SessionKey, Revision)>> {
        let (key, revision) = {
            let state = self.state();
            let Some(key) = &state.key else {
                return Ok(None);
            };
            (key.clone(), state.revision.clone())
        };
        if let Some(revision) = revision {
            return Ok(Some((key, revision)));
        }
        let stored = self.engine().load_for_update(&key).await?;
        let mut state = self.state();
        match stored {
            Some(stored) => {
                let revision = stored.revision.clone().ok_or_else(no_revision)?;
                state.rebase(stored)?;
                Ok(Some((key, revision)))
            }
            None if state.known
                || (unread == Unread::IsTrusted && state.takes_key_at_its_word()) =>
            {
                Err(SessionError::interrupted())
            }
            None => {
                state.forget_key()?;
                Ok(None)
            }
        }
    }

    async fn create(&self) -> Result<()> {
        let write = self.begin();
        let (key, receipt) = self.create_record(&write.data).await?;
        write.renamed(key, receipt);
        Ok(())
    }

    async fn create_record(&self, data: &SessionData) -> Result<(SessionKey, Receipt)> {
        for _ in 0..MAX_KEYS {
            let key = SessionKey::random()?;
            if let Created::Stored(receipt) = self.engine().create(&key, &self.record(data)).await?
            {
                return Ok((receipt.key.clone().unwrap_or(key), receipt));
            }
        }
        Err(SessionError::new(
            SessionErrorKind::Unavailable,
            format!(
                "the session store takes none of {MAX_KEYS} new keys: it cannot store new sessions"
            ),
        ))
    }

    async fn cycle(&self) -> Result<()> {
        let Some((old, seen)) = self.stored_revision(Unread::IsUnknown).await? else {
            return self.create().await;
        };
        let write = self.begin();
        let (new, receipt) = self.create_record(&write.data).await?;
        let moved = self
            .move_record(&old, seen, &new, receipt, &write.changes)
            .await;
        let (receipt, carried) = match moved {
            Ok(moved) => moved,
            Err(error) => {
                // The copy goes as well. Should that fail, too: nobody was told its key.
                let _ = self.engine().delete(&new, None).await;
                return Err(error);
            }
        };
        write.renamed(new, receipt);
        self.state().carry(carried)
    }

    /// Deletes the old session exactly as it was copied to the new one. What others have stored there meanwhile is
    /// carried over first, and returned.
    async fn move_record(
        &self,
        old: &SessionKey,
        mut seen: Revision,
        new: &SessionKey,
        mut receipt: Receipt,
        changes: &Changes,
    ) -> Result<(Receipt, Option<SessionData>)> {
        let mut carried = None;
        for _ in 0..MAX_ATTEMPTS {
            match self.engine().delete(old, Some(&seen)).await? {
                Deleted::Deleted => return Ok((receipt, carried)),
                Deleted::Gone => return Err(SessionError::interrupted()),
                Deleted::Conflict => {}
            }
            let (mut data, newest) = self.newest(old).await?;
            seen = newest;
            changes.replay(&mut data)?;
            let copy = match receipt.revision {
                Some(copy) => copy,
                None => self.newest(new).await?.1,
            };
            let replaced = self
                .engine()
                .replace(new, &copy, &self.record(&data))
                .await?;
            let Replaced::Stored(stored) = replaced else {
                return Err(SessionError::interrupted());
            };
            receipt = stored;
            carried = Some(data);
        }
        Err(contended())
    }

    async fn newest(&self, key: &SessionKey) -> Result<(SessionData, Revision)> {
        match self.engine().load_for_update(key).await? {
            Some(Stored {
                data,
                revision: Some(revision),
                ..
            }) => Ok((data, revision)),
            Some(_) => Err(no_revision()),
            None => Err(SessionError::interrupted()),
        }
    }

    /// Takes the changes that a write is about to store, and the data with them; what is changed while it runs is
    /// collected anew.
    fn begin(&self) -> Write<'_> {
        let mut state = self.state();
        Write {
            session: self,
            changes: mem::take(&mut state.changes),
            data: state.data.clone().unwrap_or_default(),
            done: false,
        }
    }

    fn engine(&self) -> &dyn SessionEngine {
        self.inner.sessions.engine()
    }

    fn record<'a>(&self, data: &'a SessionData) -> Record<'a> {
        let sessions = &self.inner.sessions;
        let expiry = Expiry::read(data, sessions.time_zone());
        Record {
            data,
            expires_at: Expiry::date(expiry, sessions.settings(), Utc::now()),
        }
    }
}

/// What a commit does about a session that holds nothing and has no key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenEmpty {
    /// Stores it, as Django's `save` does.
    Create,
    Forget,
}

/// What an unknown key is, of which nothing was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// That of a session which was deleted, where Django would have taken it at its word.
    IsTrusted,
    IsUnknown,
}

/// A write that is under way. Unless it is done, its changes go back before those that were made meanwhile, also where
/// it fails, panics or is dropped half-way.
struct Write<'s> {
    session: &'s Session,
    changes: Changes,
    data: Arc<SessionData>,
    done: bool,
}

impl Write<'_> {
    fn stored(mut self, receipt: Receipt) {
        self.done = true;
        self.session.state().stored(receipt);
    }

    fn renamed(mut self, key: SessionKey, receipt: Receipt) {
        self.done = true;
        let mut state = self.session.state();
        state.key = Some(key);
        state.fresh = true;
        state.modified = true;
        state.stored(receipt);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut state = self.session.state();
            let newer = mem::replace(&mut state.changes, mem::take(&mut self.changes));
            state.changes.append(newer);
            state.revision = None;
        }
    }
}

impl State {
    /// Django does not read before `clear` and `save`, and so believes that there is such a session.
    fn takes_key_at_its_word(&self) -> bool {
        self.changes.is_empty() || self.changes.starts_with_clear()
    }

    fn stored(&mut self, receipt: Receipt) {
        self.revision = receipt.revision;
        if let Some(key) = receipt.key {
            self.key = Some(key);
            // The browser has to be told.
            self.modified = true;
        }
        self.known = true;
    }

    /// Takes over what was stored in place of `data`, with what was changed since on top.
    fn carry(&mut self, stored: Option<SessionData>) -> Result<()> {
        let Some(mut data) = stored else {
            return Ok(());
        };
        // Should a change not apply, there is no view of what is stored, and it has to be read again.
        self.data = None;
        let revision = self.revision.take();
        self.changes.replay(&mut data)?;
        self.data = Some(Arc::new(data));
        self.revision = revision;
        Ok(())
    }
}

fn no_revision() -> SessionError {
    SessionError::new(
        SessionErrorKind::Misconfigured,
        "the engine loaded for an update without a revision",
    )
}

fn contended() -> SessionError {
    SessionError::new(
        SessionErrorKind::Contended,
        format!(
            "The session was not saved: other requests stored it first, {MAX_ATTEMPTS} times in a row"
        ),
    )
}
