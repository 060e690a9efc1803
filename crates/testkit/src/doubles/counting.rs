use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use quintette_core::session::{
    Cleared, Created, Deleted, Listed, Record, Replaced, Revision, SessionEngine, SessionError,
    SessionKey, Stored,
};

use super::Operation;

/// An engine that writes down what is asked of it: what a request costs.
///
/// ```
/// use std::sync::Arc;
///
/// use quintette_core::session::Sessions;
/// use quintette_core::settings::Settings;
/// use quintette_testkit::{CountingEngine, MemoryEngine, Operation};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), quintette_core::session::SessionError> {
/// let engine = Arc::new(CountingEngine::new(Arc::new(MemoryEngine::new())));
/// let sessions = Sessions::new(engine.clone(), Settings::new("a secret"));
///
/// let session = sessions.session(None);
/// session.insert("cart", 3)?;
/// assert!(engine.take_calls().is_empty());
/// session.finish(false).await?;
/// assert_eq!(engine.take_calls(), [Operation::Create]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CountingEngine {
    inner: Arc<dyn SessionEngine>,
    calls: Mutex<Vec<Operation>>,
    created: Mutex<Vec<SessionKey>>,
}

impl CountingEngine {
    /// In front of this engine.
    pub fn new(inner: Arc<dyn SessionEngine>) -> Self {
        Self {
            inner,
            calls: Mutex::default(),
            created: Mutex::default(),
        }
    }

    /// What was asked since the last time, in its order.
    pub fn take_calls(&self) -> Vec<Operation> {
        mem::take(&mut locked(&self.calls))
    }

    /// Every key under which a session was to be created, in the order of asking.
    pub fn created_keys(&self) -> Vec<SessionKey> {
        locked(&self.created).clone()
    }

    fn called(&self, operation: Operation) -> &dyn SessionEngine {
        locked(&self.calls).push(operation);
        &*self.inner
    }
}

/// A list is whole after each push, whatever has panicked elsewhere.
fn locked<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl SessionEngine for CountingEngine {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        self.called(Operation::Load).load(key).await
    }

    async fn load_for_update(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let inner = self.called(Operation::LoadForUpdate);
        inner.load_for_update(key).await
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        locked(&self.created).push(key.clone());
        self.called(Operation::Create).create(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let inner = self.called(Operation::Replace);
        inner.replace(key, seen, record).await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let inner = self.called(Operation::Touch);
        inner.touch(key, seen, record).await
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        self.called(Operation::Delete).delete(key, seen).await
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        let inner = self.called(Operation::ClearExpired);
        inner.clear_expired(progress).await
    }

    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        self.called(Operation::List).list(after, limit).await
    }
}
