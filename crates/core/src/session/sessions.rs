use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::settings::Settings;
use crate::time::TimeZone;

use super::{Result, Session, SessionEngine, SessionError, SessionErrorKind, SessionKey, State};

/// Starts a future that runs to its end by itself, such as `tokio::spawn`.
pub type Spawn = fn(Pin<Box<dyn Future<Output = ()> + Send>>);

/// The sessions of an application: an engine, and the settings. Django's `SessionStore`, as a factory.
///
/// A cheap handle: clones share everything.
#[derive(Clone)]
pub struct Sessions {
    engine: Arc<dyn SessionEngine>,
    settings: Arc<Settings>,
    spawn: Option<Spawn>,
}

impl Sessions {
    /// The sessions that live in `engine`.
    pub fn new(engine: Arc<dyn SessionEngine>, settings: impl Into<Arc<Settings>>) -> Self {
        Self {
            engine,
            settings: settings.into(),
            spawn: None,
        }
    }

    /// Runs every commit through `spawn`, so that it is finished even where the request it belongs to is dropped.
    #[must_use]
    pub fn spawning(mut self, spawn: Spawn) -> Self {
        self.spawn = Some(spawn);
        self
    }

    /// The session of a visitor who sent this cookie, or none. Nothing is loaded yet.
    ///
    /// Outside a request, a session's key is what its cookie holds.
    pub fn session(&self, cookie: Option<&str>) -> Session {
        let state = State {
            key: cookie.and_then(SessionKey::parse),
            ..State::default()
        };
        Session {
            inner: Arc::new(super::Inner {
                sessions: self.clone(),
                cookie_sent: cookie.is_some(),
                state: state.into(),
                turn: async_lock::Mutex::new(()),
            }),
        }
    }

    /// Where the sessions live.
    pub fn engine(&self) -> &dyn SessionEngine {
        &*self.engine
    }

    /// What the sessions follow.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn time_zone(&self) -> TimeZone {
        TimeZone::from(&*self.settings)
    }

    /// Runs `work` to its end, whatever becomes of the caller.
    pub(super) async fn run_to_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let Some(spawn) = self.spawn else {
            return work.await;
        };
        let (sender, receiver) = futures_channel::oneshot::channel();
        spawn(Box::pin(async move {
            // Nobody listens where the caller has vanished; the work is done all the same.
            let _ = sender.send(work.await);
        }));
        receiver.await.unwrap_or_else(|_| {
            Err(SessionError::new(
                SessionErrorKind::Unavailable,
                "The task that was saving the session was stopped before its end: whether it is saved is unknown",
            ))
        })
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
