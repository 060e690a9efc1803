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
    /// The browser is to forget it: see [`cookie::delete`](super::cookie::delete).
    Delete,
    /// The browser is to keep it: see [`cookie::set`](super::cookie::set).
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
    ///
    /// # Cancellation
    ///
    /// See [`Session`].
    pub async fn save(&self) -> Result<Saved> {
        let session = self.clone();
        self.inner
            .sessions
            .run_to_end(async move { session.commit().await })
            .await
    }

    /// Deletes the session with all its data; what is inserted from here on goes into a new one. A logout. Django's
    /// `flush`.
    ///
    /// Acts on the store at once, so that a client that hangs up cannot undo a logout.
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

    /// The commit at the end of a request: nothing to do where this request has stored everything under a key of
    /// its own, and no creation of an empty session for a key that the store does not know.
    async fn commit_request(&self) -> Result<()> {
        let settled = {
            let state = self.state();
            state.fresh && state.changes.is_empty()
        };
        if settled {
            return Ok(());
        }
        if self.state().data.is_none() {
            self.data().await?;
            if self.is_empty() {
                return Ok(());
            }
        }
        self.commit().await.map(drop)
    }

    async fn commit(&self) -> Result<Saved> {
        let _turn = self.inner.turn.lock().await;
        self.state().accessed = true;
        for retries in 0..MAX_ATTEMPTS {
            let Some((key, revision)) = self.stored_revision().await? else {
                self.create().await?;
                return Ok(Saved::Saved);
            };
            let (changes, data) = self.state().begin();
            let untouched = changes.is_empty();
            match self.write(&key, &revision, &data, untouched).await {
                Ok(Replaced::Stored(receipt)) => {
                    self.state().stored(receipt);
                    return Ok(match (untouched, retries) {
                        (true, _) => Saved::Unchanged,
                        (false, 0) => Saved::Saved,
                        (false, retries) => Saved::Merged { retries },
                    });
                }
                Ok(Replaced::Conflict) => self.state().undo(changes),
                Ok(Replaced::Gone) => {
                    self.state().undo(changes);
                    return Err(SessionError::interrupted());
                }
                Err(error) => {
                    self.state().undo(changes);
                    return Err(error);
                }
            }
        }
        Err(contended())
    }

    /// The key and the revision to write over; loads where none is known. `None` where there is nothing to write over.
    async fn stored_revision(&self) -> Result<Option<(SessionKey, Revision)>> {
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
                let revision = stored.revision.clone().ok_or_else(|| {
                    SessionError::new(
                        SessionErrorKind::Misconfigured,
                        "the engine loaded for an update without a revision",
                    )
                })?;
                state.rebase(stored)?;
                Ok(Some((key, revision)))
            }
            // Deleted since it was read. Django takes the key at its word, too, where the first thing that happens to
            // a session is `clear` or `save`, neither of which reads.
            None if state.known
                || state.changes.is_empty()
                || state.changes.starts_with_clear() =>
            {
                Err(SessionError::interrupted())
            }
            None => {
                state.forget_key()?;
                Ok(None)
            }
        }
    }

    async fn write(
        &self,
        key: &SessionKey,
        seen: &Revision,
        data: &SessionData,
        untouched: bool,
    ) -> Result<Replaced> {
        let record = self.record(data);
        if untouched {
            self.engine().touch(key, seen, &record).await
        } else {
            self.engine().replace(key, seen, &record).await
        }
    }

    async fn create(&self) -> Result<()> {
        let (changes, data) = self.state().begin();
        match self.create_record(&data).await {
            Ok((key, receipt)) => {
                self.state().renamed(key, receipt);
                Ok(())
            }
            Err(error) => {
                self.state().undo(changes);
                Err(error)
            }
        }
    }

    async fn create_record(&self, data: &SessionData) -> Result<(SessionKey, Receipt)> {
        for _ in 0..MAX_ATTEMPTS {
            let key = SessionKey::random()?;
            if let Created::Stored(receipt) = self.engine().create(&key, &self.record(data)).await?
            {
                return Ok((receipt.key.clone().unwrap_or(key), receipt));
            }
        }
        Err(contended())
    }

    async fn cycle(&self) -> Result<()> {
        let Some((old, seen)) = self.stored_revision().await? else {
            return self.create().await;
        };
        let (changes, data) = self.state().begin();
        let cycled = self.move_record(&old, seen, &changes, &data).await;
        let mut state = self.state();
        match cycled {
            Ok((key, receipt, carried)) => {
                state.renamed(key, receipt);
                if let Some(mut data) = carried {
                    state.changes.replay(&mut data)?;
                    state.data = Some(Arc::new(data));
                }
                Ok(())
            }
            Err(error) => {
                state.undo(changes);
                Err(error)
            }
        }
    }

    /// Copies the session to a new key and deletes the old one, exactly as it was copied: what others have stored
    /// there meanwhile is carried over first, and returned.
    async fn move_record(
        &self,
        old: &SessionKey,
        mut seen: Revision,
        changes: &Changes,
        data: &SessionData,
    ) -> Result<(SessionKey, Receipt, Option<SessionData>)> {
        let (new, mut receipt) = self.create_record(data).await?;
        let mut carried = None;
        for _ in 0..MAX_ATTEMPTS {
            match self.engine().delete(old, Some(&seen)).await? {
                Deleted::Deleted => return Ok((new, receipt, carried)),
                Deleted::Gone => break,
                Deleted::Conflict => {}
            }
            let Some(Stored {
                mut data,
                revision: Some(newest),
                ..
            }) = self.engine().load_for_update(old).await?
            else {
                break;
            };
            seen = newest;
            changes.replay(&mut data)?;
            let Some(copy) = receipt.revision.clone() else {
                break;
            };
            let Replaced::Stored(replaced) = self
                .engine()
                .replace(&new, &copy, &self.record(&data))
                .await?
            else {
                break;
            };
            receipt = replaced;
            carried = Some(data);
        }
        // Logged out while it was being given a new key: the copy goes as well.
        self.engine().delete(&new, None).await?;
        Err(SessionError::interrupted())
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

impl State {
    /// Takes the changes that a write is about to store, and the data with them; what is changed while it runs is
    /// collected anew.
    fn begin(&mut self) -> (Changes, Arc<SessionData>) {
        (
            mem::take(&mut self.changes),
            self.data.clone().unwrap_or_default(),
        )
    }

    /// The write did not happen: its changes come before those that were made meanwhile.
    fn undo(&mut self, changes: Changes) {
        let newer = mem::replace(&mut self.changes, changes);
        self.changes.append(newer);
        self.revision = None;
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

    fn renamed(&mut self, key: SessionKey, receipt: Receipt) {
        self.key = Some(key);
        self.fresh = true;
        self.modified = true;
        self.stored(receipt);
    }
}

fn contended() -> SessionError {
    SessionError::new(
        SessionErrorKind::Contended,
        format!(
            "The session was not saved: other requests stored it first, {MAX_ATTEMPTS} times in a row"
        ),
    )
}
