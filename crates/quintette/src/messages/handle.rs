use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quintette_core::session::SessionError;

use super::storage::{Held, Source, Storage, Unread};
use super::{Level, Message};

/// The messages of one request's visitor. Django's `request._messages`.
///
/// A cheap handle: clones share the messages. Adding is not async; reading is, since messages may wait in the session.
///
/// ```
/// # use quintette::messages::{Level, Messages};
/// # use quintette::sessions::SessionError;
/// # async fn example(messages: Messages) -> Result<(), SessionError> {
/// messages.info("Three new books arrived.");
/// messages.add_with_tags(Level::ERROR, "Your card was refused.", "payment");
/// for message in messages.take().await? {
///     println!("{}: {message}", message.tags());
/// }
/// # Ok(())
/// # }
/// ```
///
/// What is changed after the response was sent, in a stream or a spawned task, is lost, as the log then says.
#[derive(Clone)]
pub struct Messages {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Arc<Storage>,
    source: Source,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What this request calls worth keeping; `None` for `MESSAGE_LEVEL`.
    level: Option<Level>,
    /// `None` until they are read.
    loaded: Option<Vec<Message>>,
    /// Which storages the loaded ones were in.
    held: Held,
    /// Added by this request, and not read by it.
    queued: Vec<Message>,
    /// The loaded ones were taken, so that they are not stored again.
    used: bool,
    added_new: bool,
    /// The response was sent.
    finished: bool,
}

impl Messages {
    pub(super) fn new(storage: Arc<Storage>, source: Source) -> Self {
        Self {
            inner: Arc::new(Inner {
                storage,
                source,
                state: Mutex::default(),
            }),
        }
    }

    /// Adds a message, if it is not empty and its level not below [`level`](Self::level). Django's `add_message`.
    pub fn add(&self, level: impl Into<Level>, text: impl Into<String>) {
        self.add_with_tags(level, text, "");
    }

    /// The same with tags of its own: several are separated by spaces. Django's `extra_tags`.
    pub fn add_with_tags(
        &self,
        level: impl Into<Level>,
        text: impl Into<String>,
        extra_tags: impl Into<String>,
    ) {
        self.add_message(Message::new(level, text).with_extra_tags(extra_tags));
    }

    /// The same with all that a message can be, such as [safe](Message::mark_safe) HTML.
    pub fn add_message(&self, message: Message) {
        let mut state = self.state();
        let recorded = state.level.unwrap_or(self.default_level());
        if message.message().is_empty() || message.level() < recorded {
            return;
        }
        if state.finished {
            tracing::warn!(
                target: "quintette::messages",
                "a message was added after the response had been sent, and is lost: add it in the handler, before it returns"
            );
        }
        let tags = &self.inner.storage.settings().message_tags;
        state.queued.push(message.tagged(tags));
        state.added_new = true;
    }

    /// Adds a message of level [`DEBUG`](Level::DEBUG), which the default `MESSAGE_LEVEL` leaves out. Django's `messages.debug`.
    pub fn debug(&self, text: impl Into<String>) {
        self.add(Level::DEBUG, text);
    }

    /// Adds a message of level [`INFO`](Level::INFO). Django's `messages.info`.
    pub fn info(&self, text: impl Into<String>) {
        self.add(Level::INFO, text);
    }

    /// Adds a message of level [`SUCCESS`](Level::SUCCESS). Django's `messages.success`.
    pub fn success(&self, text: impl Into<String>) {
        self.add(Level::SUCCESS, text);
    }

    /// Adds a message of level [`WARNING`](Level::WARNING). Django's `messages.warning`.
    pub fn warning(&self, text: impl Into<String>) {
        self.add(Level::WARNING, text);
    }

    /// Adds a message of level [`ERROR`](Level::ERROR). Django's `messages.error`.
    pub fn error(&self, text: impl Into<String>) {
        self.add(Level::ERROR, text);
    }

    /// The messages to show, this request's own included: with this response they are gone. Django's iteration over
    /// `get_messages(request)`.
    ///
    /// Taken twice in one request, they are the same again.
    ///
    /// # Errors
    ///
    /// Where they may wait in the session, and its store cannot answer.
    ///
    /// # Cancellation
    ///
    /// Nothing is taken.
    pub async fn take(&self) -> Result<Vec<Message>, SessionError> {
        self.load().await?;
        let mut state = self.state();
        state.used = true;
        let queued = mem::take(&mut state.queued);
        let loaded = state.loaded.get_or_insert_default();
        loaded.extend(queued);
        Ok(loaded.clone())
    }

    /// The messages to show, which stay for the next page.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn peek(&self) -> Result<Vec<Message>, SessionError> {
        self.load().await?;
        let state = self.state();
        let loaded = state.loaded.iter().flatten();
        Ok(loaded.chain(&state.queued).cloned().collect())
    }

    /// How many there are to show; they stay. Django's `len(get_messages(request))`.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn len(&self) -> Result<usize, SessionError> {
        self.load().await?;
        let state = self.state();
        Ok(state.loaded.as_ref().map_or(0, Vec::len) + state.queued.len())
    }

    /// Whether there are none to show; they stay. Django's `not get_messages(request)`.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn is_empty(&self) -> Result<bool, SessionError> {
        Ok(self.len().await? == 0)
    }

    /// The level below which nothing is added. Django's `get_level`.
    pub fn level(&self) -> Level {
        self.state().level.unwrap_or(self.default_level())
    }

    /// Sets that level for the rest of this request; `None` goes back to `MESSAGE_LEVEL`. Django's `set_level`.
    ///
    /// ```
    /// # use quintette::messages::{Level, Messages};
    /// # fn example(messages: Messages) {
    /// messages.set_level(Level::DEBUG);
    /// messages.debug("The cart was loaded in 3 ms.");
    /// messages.set_level(None);
    /// # }
    /// ```
    pub fn set_level(&self, level: impl Into<Option<Level>>) {
        self.state().level = level.into();
    }

    fn default_level(&self) -> Level {
        self.inner.storage.settings().message_level.into()
    }

    async fn load(&self) -> Result<(), SessionError> {
        if self.state().loaded.is_some() {
            return Ok(());
        }
        let loaded = self.inner.storage.load(&self.inner.source).await?;
        let mut state = self.state();
        // A clone may have been faster, and may have taken them already.
        if state.loaded.is_none() {
            state.used |= loaded.damaged;
            state.held = loaded.held;
            state.loaded = Some(loaded.messages);
        }
        Ok(())
    }

    /// Whether [`update`](Self::update) has anything to do. Where it has not, the request has ended with this call.
    pub(super) fn needs_update(&self) -> bool {
        let mut state = self.state();
        let needed = state.used || state.added_new;
        state.finished = !needed;
        needed
    }

    /// Stores what was not shown, and returns the `Set-Cookie` header that this takes. Django's `BaseStorage.update`.
    pub(super) async fn update(&self) -> Result<Option<String>, SessionError> {
        let used = self.state().used;
        if !used {
            self.load().await?;
        }
        let (unread, held) = {
            let mut state = self.state();
            state.finished = true;
            let old = if used {
                Vec::new()
            } else {
                state.loaded.clone().unwrap_or_default()
            };
            let new = mem::take(&mut state.queued);
            (Unread { old, new }, state.held)
        };
        let Inner {
            storage, source, ..
        } = &*self.inner;
        let stored = storage.store(unread, held, source).await?;
        if stored.lost > 0 {
            // Django raises a ValueError here where DEBUG is on. The handler's work is done by now, and its response
            // is worth more to a visitor than the messages.
            tracing::warn!(
                target: "quintette::messages",
                "{} of the messages did not fit into the cookie and are lost: show messages more often, write shorter ones, or set \
                 MESSAGE_STORAGE to \"django.contrib.messages.storage.fallback.FallbackStorage\"",
                stored.lost
            );
        }
        Ok(stored.cookie)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change to the state is complete before anything in it can panic.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not the messages: they are the visitor's.
impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Messages")
            .field("storage", &self.inner.storage)
            .field("used", &state.used)
            .field("added_new", &state.added_new)
            .finish_non_exhaustive()
    }
}
