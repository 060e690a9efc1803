use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use quintette_core::session::{
    Cleared, Created, Deleted, Listed, Record, Replaced, Revision, SessionEngine, SessionError,
    SessionKey, Stored,
};
use tokio::sync::oneshot;

use super::Operation;

/// An engine whose operations a test can hold, to make one interleaving certain, and make fail.
///
/// ```
/// use std::sync::Arc;
///
/// use quintette_core::session::{SessionErrorKind, Sessions};
/// use quintette_core::settings::Settings;
/// use quintette_testkit::{GatedEngine, MemoryEngine, Operation, When};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Arc::new(GatedEngine::new(Arc::new(MemoryEngine::new())));
/// let sessions = Sessions::new(engine.clone(), Settings::new("a secret"));
/// let session = sessions.session(None);
/// session.insert("n", 1)?;
///
/// // A store that is down, and then is not.
/// engine.fail(When::Before, Operation::Create);
/// assert_eq!(session.save().await.unwrap_err().kind(), SessionErrorKind::Unavailable);
/// engine.recover();
///
/// // A save that is stopped where it has been stored, and is not yet known to be.
/// let mut gate = engine.hold(When::After, Operation::Create);
/// let saving = tokio::spawn({ let session = session.clone(); async move { session.save().await } });
/// gate.reached().await;
/// session.insert("n", 2)?;
/// gate.open();
/// saving.await??;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GatedEngine {
    inner: Arc<dyn SessionEngine>,
    rules: Mutex<Rules>,
}

/// On which side of the store's work an operation is held, or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The store has not been asked yet.
    Before,
    /// The store has done its work; its answer is not known yet, or is lost.
    After,
}

#[derive(Debug, Default)]
struct Rules {
    holds: Vec<Hold>,
    failures: Vec<(When, Operation)>,
}

#[derive(Debug)]
struct Hold {
    place: (When, Operation),
    reached: oneshot::Sender<()>,
    opened: oneshot::Receiver<()>,
}

/// A held operation. It goes on when this is opened, or dropped.
#[derive(Debug)]
pub struct Gate {
    reached: Option<oneshot::Receiver<()>>,
    open: oneshot::Sender<()>,
}

impl Gate {
    /// Waits until an operation stands at the gate.
    pub async fn reached(&mut self) {
        if let Some(reached) = self.reached.take() {
            // The engine drops its end only together with itself: nothing will come then.
            let _ = reached.await;
        }
    }

    /// Lets it go on.
    pub fn open(self) {
        // Nobody waits where the operation was cancelled, or never came.
        let _ = self.open.send(());
    }
}

impl GatedEngine {
    /// In front of this engine; everything passes until told otherwise.
    pub fn new(inner: Arc<dyn SessionEngine>) -> Self {
        Self {
            inner,
            rules: Mutex::default(),
        }
    }

    /// Holds the next such operation. Later ones pass.
    pub fn hold(&self, when: When, operation: Operation) -> Gate {
        let (reached, is_reached) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        self.rules().holds.push(Hold {
            place: (when, operation),
            reached,
            opened,
        });
        Gate {
            reached: Some(is_reached),
            open,
        }
    }

    /// Makes every such operation fail as [`Unavailable`](quintette_core::session::SessionErrorKind::Unavailable),
    /// until it is to [`recover`](Self::recover). Failing *after* is an answer that got lost: the work is done.
    pub fn fail(&self, when: When, operation: Operation) {
        self.rules().failures.push((when, operation));
    }

    /// Lets every operation succeed again.
    pub fn recover(&self) {
        self.rules().failures.clear();
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, when: When, operation: Operation) -> Result<(), SessionError> {
        let place = (when, operation);
        let hold = {
            let mut rules = self.rules();
            let held = rules.holds.iter().position(|hold| hold.place == place);
            held.map(|index| rules.holds.remove(index))
        };
        if let Some(hold) = hold {
            let _ = hold.reached.send(());
            let _ = hold.opened.await;
        }
        if self.rules().failures.contains(&place) {
            let message = format!("{operation} was made to fail");
            return Err(SessionError::unavailable("the gated store", message));
        }
        Ok(())
    }

    async fn through<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, SessionError>> + Send,
    ) -> Result<T, SessionError> {
        self.pass(When::Before, operation).await?;
        let result = work.await;
        self.pass(When::After, operation).await?;
        result
    }
}

#[async_trait]
impl SessionEngine for GatedEngine {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        self.through(Operation::Load, self.inner.load(key)).await
    }

    async fn load_for_update(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let work = self.inner.load_for_update(key);
        self.through(Operation::LoadForUpdate, work).await
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let work = self.inner.create(key, record);
        self.through(Operation::Create, work).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let work = self.inner.replace(key, seen, record);
        self.through(Operation::Replace, work).await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let work = self.inner.touch(key, seen, record);
        self.through(Operation::Touch, work).await
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let work = self.inner.delete(key, seen);
        self.through(Operation::Delete, work).await
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        let work = self.inner.clear_expired(progress);
        self.through(Operation::ClearExpired, work).await
    }

    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        let work = self.inner.list(after, limit);
        self.through(Operation::List, work).await
    }
}
