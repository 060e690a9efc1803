//! Interleavings within one session, which no engine decides: clones used at once, callers that vanish, stores that fail
//! half-way. Each is made certain by a gate.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use quintette_core::session::{
    Cleared, CookieAction, Created, Deleted, Expiry, Receipt, Record, Replaced, Revision, Session,
    SessionEngine, SessionError, SessionErrorKind, SessionKey, Sessions, Stored,
};
use quintette_core::settings::Settings;
use quintette_testkit::{CountingEngine, GatedEngine, MemoryEngine, Operation, When};

/// A store, and sessions over it that can be held and made to fail.
struct Scene {
    memory: Arc<MemoryEngine>,
    gated: Arc<GatedEngine>,
    sessions: Sessions,
}

impl Scene {
    fn new() -> Self {
        let memory = Arc::new(MemoryEngine::new());
        let gated = Arc::new(GatedEngine::new(memory.clone()));
        let sessions = Sessions::new(gated.clone(), settings());
        Self {
            memory,
            gated,
            sessions,
        }
    }

    /// With commits in tasks of their own, as under the tower layer.
    fn spawning() -> Self {
        let mut scene = Self::new();
        scene.sessions = scene.sessions.spawning(|commit| {
            tokio::spawn(commit);
        });
        scene
    }

    /// A stored session with `n` 0.
    async fn visitor(&self) -> SessionKey {
        let session = self.sessions.session(None);
        session.insert("n", 0).unwrap();
        session.save().await.unwrap();
        session.key().unwrap()
    }

    fn request(&self, key: &SessionKey) -> Session {
        self.sessions.session(Some(key.as_str()))
    }

    async fn stored(&self, key: &SessionKey) -> Option<String> {
        let stored = self.memory.load(key).await.unwrap();
        stored.map(|stored| stored.data.to_json().unwrap())
    }

    async fn count(&self) -> usize {
        self.memory.list(None, 1_000).await.unwrap().len()
    }
}

fn settings() -> Settings {
    Settings::new("a secret that is for tests alone")
}

#[tokio::test]
async fn a_save_that_was_dropped_keeps_the_changes_for_the_next() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.get::<u8>("n").await.unwrap();
    session.insert("n", 1).unwrap();

    let mut gate = scene.gated.hold(When::Before, Operation::Replace);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.reached().await;
    saving.abort();
    assert!(saving.await.unwrap_err().is_cancelled());
    drop(gate);

    let saved = session.save().await.unwrap();
    assert_eq!(
        scene.stored(&key).await.unwrap(),
        r#"{"n":1}"#,
        "the next save said {saved:?}"
    );
}

#[tokio::test]
async fn a_creation_that_was_dropped_keeps_the_changes_for_the_next() {
    let scene = Scene::new();
    let session = scene.sessions.session(None);
    session.insert("n", 1).unwrap();
    let mut gate = scene.gated.hold(When::Before, Operation::Create);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.reached().await;
    saving.abort();
    assert!(saving.await.unwrap_err().is_cancelled());
    drop(gate);

    session.save().await.unwrap();
    let key = session.key().unwrap();
    assert_eq!(scene.stored(&key).await.unwrap(), r#"{"n":1}"#);
}

#[tokio::test]
async fn a_cycle_that_was_dropped_keeps_the_changes_for_the_next_save() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.get::<u8>("n").await.unwrap();
    session.insert("user", "ann").unwrap();
    let mut gate = scene.gated.hold(When::Before, Operation::Create);
    let cycling = tokio::spawn({
        let session = session.clone();
        async move { session.cycle_key().await }
    });
    gate.reached().await;
    cycling.abort();
    assert!(cycling.await.unwrap_err().is_cancelled());
    drop(gate);

    session.save().await.unwrap();
    let key = session.key().unwrap();
    assert_eq!(scene.stored(&key).await.unwrap(), r#"{"n":0,"user":"ann"}"#);
}

/// An engine with a defect: its first replacement panics.
#[derive(Debug)]
struct Panicking(Arc<MemoryEngine>, std::sync::atomic::AtomicBool);

#[tokio::test]
async fn a_save_whose_task_panicked_keeps_the_changes_for_the_next() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let engine = Panicking(scene.memory.clone(), true.into());
    let sessions = Sessions::new(Arc::new(engine), settings()).spawning(|commit| {
        tokio::spawn(commit);
    });
    let session = sessions.session(Some(key.as_str()));
    session.get::<u8>("n").await.unwrap();
    session.insert("n", 1).unwrap();
    let error = session.save().await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    session.save().await.unwrap();
    assert_eq!(scene.stored(&key).await.unwrap(), r#"{"n":1}"#);
}

#[tokio::test]
async fn a_session_flushed_while_it_is_finished_is_not_followed_by_an_empty_one() {
    let scene = Scene::spawning();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.get::<u8>("n").await.unwrap();
    session.insert("n", 1).unwrap();

    let mut gate = scene.gated.hold(When::After, Operation::Delete);
    let flushing = tokio::spawn({
        let session = session.clone();
        async move { session.flush().await }
    });
    gate.reached().await;
    // Looks at the session before the flush is done, and saves after it.
    let finishing = session.finish(false);
    let opening = async {
        tokio::task::yield_now().await;
        gate.open();
    };
    let (outcome, ()) = tokio::join!(finishing, opening);
    flushing.await.unwrap().unwrap();
    assert_eq!(outcome.unwrap().cookie, CookieAction::Delete);
    assert_eq!(scene.count().await, 0);
}

#[tokio::test]
async fn an_update_that_cannot_be_replayed_after_a_cycle_loses_nothing_of_the_others() {
    let scene = Scene::spawning();
    let key = scene.visitor().await;
    let login = scene.request(&key);
    login.get::<u8>("n").await.unwrap();

    // The copy under the new key is made, the old key is still there.
    let mut gate = scene.gated.hold(When::Before, Operation::Delete);
    let cycling = tokio::spawn({
        let login = login.clone();
        async move { login.cycle_key().await }
    });
    gate.reached().await;
    let other = scene.request(&key);
    other.insert("n", "a text by now").unwrap();
    other.insert("cart", 3).unwrap();
    other.finish(false).await.unwrap();
    login
        .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
        .await
        .unwrap();
    gate.open();
    // Whether the cycle or the save says that `n` is no number any more is open; that the rest is there is not.
    let _ = cycling.await.unwrap();
    let _ = login.save().await;

    let new = login.key().unwrap();
    let stored = scene.request(&new);
    assert_eq!(
        stored.get::<u8>("cart").await.unwrap(),
        Some(3),
        "{}",
        scene.stored(&new).await.unwrap()
    );
}

/// An engine that never tells the revision it has written, as the contract allows: one has to load first.
#[derive(Debug)]
struct Reticent(Arc<GatedEngine>);

#[tokio::test]
async fn a_write_during_a_cycle_moves_along_though_the_engine_tells_no_revisions() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let reticent = Sessions::new(Arc::new(Reticent(scene.gated.clone())), settings());
    let login = reticent.session(Some(key.as_str()));
    login.insert("user", "ann").unwrap();

    let mut gate = scene.gated.hold(When::Before, Operation::Delete);
    let cycling = tokio::spawn({
        let login = login.clone();
        async move { login.cycle_key().await }
    });
    gate.reached().await;
    let writer = scene.request(&key);
    writer.insert("cart", 3).unwrap();
    writer.save().await.unwrap();
    gate.open();
    cycling.await.unwrap().unwrap();
    let new = login.key().unwrap();
    assert_eq!(
        scene.stored(&new).await.unwrap(),
        r#"{"n":0,"cart":3,"user":"ann"}"#
    );
    assert_eq!(scene.stored(&key).await, None);
}

#[tokio::test]
async fn clearing_and_cycling_with_an_expired_cookie_gives_a_new_session_as_in_django() {
    let scene = Scene::new();
    let unknown = SessionKey::random().unwrap();
    let login = scene.request(&unknown);
    login.clear();
    login.insert("user", "ann").unwrap();
    login.cycle_key().await.unwrap();
    login.finish(false).await.unwrap();
    let key = login.key().unwrap();
    assert!(key != unknown);
    assert_eq!(scene.stored(&key).await.unwrap(), r#"{"user":"ann"}"#);
}

#[tokio::test]
async fn ending_a_session_by_its_expiry_and_saving_it_is_no_interruption() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.get::<u8>("n").await.unwrap();
    session.set_expiry(Expiry::AfterIdle(TimeDelta::seconds(-1)));
    session.save().await.unwrap();
    session.finish(false).await.unwrap();
    assert_eq!(scene.stored(&key).await, None);
}

#[tokio::test]
async fn a_cycle_that_failed_half_way_leaves_no_copy() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.insert("user", "ann").unwrap();
    let mut gate = scene.gated.hold(When::Before, Operation::Delete);
    let cycling = tokio::spawn({
        let session = session.clone();
        async move { session.cycle_key().await }
    });
    gate.reached().await;
    // What has been stored meanwhile cannot be read, so it cannot be carried over.
    let other = scene.request(&key);
    other.insert("cart", 3).unwrap();
    other.save().await.unwrap();
    scene.gated.fail(When::Before, Operation::LoadForUpdate);
    gate.open();
    let error = cycling.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    assert_eq!(scene.count().await, 1, "the copy that nobody knows is left");
}

#[tokio::test]
async fn an_insert_during_a_save_is_stored_by_the_next() {
    let scene = Scene::spawning();
    let key = scene.visitor().await;
    for when in [When::Before, When::After] {
        let session = scene.request(&key);
        session.insert("first", true).unwrap();
        let mut gate = scene.gated.hold(when, Operation::Replace);
        let saving = tokio::spawn({
            let session = session.clone();
            async move { session.save().await }
        });
        gate.reached().await;
        session.insert("second", true).unwrap();
        session.remove("n");
        gate.open();
        saving.await.unwrap().unwrap();
        session.save().await.unwrap();
        assert_eq!(
            scene.stored(&key).await.unwrap(),
            r#"{"first":true,"second":true}"#
        );
    }
}

#[tokio::test]
async fn a_clear_during_a_save_that_meets_another_clears_that_too() {
    let scene = Scene::spawning();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.get::<u8>("n").await.unwrap();
    session.insert("mine", true).unwrap();
    let mut gate = scene.gated.hold(When::Before, Operation::Replace);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.reached().await;
    session.clear();
    session.insert("after", true).unwrap();
    let other = Sessions::new(scene.memory.clone(), settings()).session(Some(key.as_str()));
    other.insert("other", true).unwrap();
    other.save().await.unwrap();
    gate.open();
    saving.await.unwrap().unwrap();
    session.save().await.unwrap();
    assert_eq!(scene.stored(&key).await.unwrap(), r#"{"after":true}"#);
}

#[tokio::test]
async fn a_clear_during_the_first_load_wins() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    let mut gate = scene.gated.hold(When::After, Operation::Load);
    let reading = tokio::spawn({
        let session = session.clone();
        async move { session.get::<u8>("n").await }
    });
    gate.reached().await;
    session.clear();
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), None);
    session.finish(false).await.unwrap();
    assert_eq!(scene.stored(&key).await.unwrap(), "{}");
}

#[tokio::test]
async fn a_flush_during_the_first_load_waits_for_it_and_wins() {
    let scene = Scene::spawning();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.insert("late", true).unwrap();
    let mut gate = scene.gated.hold(When::After, Operation::Load);
    let reading = tokio::spawn({
        let session = session.clone();
        async move { session.get::<u8>("n").await }
    });
    gate.reached().await;
    let flushing = tokio::spawn({
        let session = session.clone();
        async move { session.flush().await }
    });
    tokio::task::yield_now().await;
    gate.open();
    reading.await.unwrap().unwrap();
    flushing.await.unwrap().unwrap();
    assert_eq!(session.get::<u8>("n").await.unwrap(), None);
    session.finish(false).await.unwrap();
    assert_eq!(scene.count().await, 0);
}

#[tokio::test]
async fn a_save_during_a_cycle_goes_to_the_new_key() {
    let scene = Scene::spawning();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.insert("user", "ann").unwrap();
    let mut gate = scene.gated.hold(When::Before, Operation::Delete);
    let cycling = tokio::spawn({
        let session = session.clone();
        async move { session.cycle_key().await }
    });
    gate.reached().await;
    session.insert("n", 1).unwrap();
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    tokio::task::yield_now().await;
    gate.open();
    cycling.await.unwrap().unwrap();
    saving.await.unwrap().unwrap();
    let new = session.key().unwrap();
    assert_eq!(scene.stored(&new).await.unwrap(), r#"{"n":1,"user":"ann"}"#);
    assert_eq!(scene.count().await, 1);
}

#[tokio::test]
async fn a_cycle_during_a_save_takes_what_it_saved_along() {
    let scene = Scene::spawning();
    let key = scene.visitor().await;
    let session = scene.request(&key);
    session.insert("first", true).unwrap();
    let mut gate = scene.gated.hold(When::After, Operation::Replace);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.reached().await;
    session.insert("second", true).unwrap();
    let cycling = tokio::spawn({
        let session = session.clone();
        async move { session.cycle_key().await }
    });
    tokio::task::yield_now().await;
    gate.open();
    saving.await.unwrap().unwrap();
    cycling.await.unwrap().unwrap();
    let new = session.key().unwrap();
    assert_eq!(
        scene.stored(&new).await.unwrap(),
        r#"{"n":0,"first":true,"second":true}"#
    );
    assert_eq!(scene.count().await, 1);
}

#[tokio::test]
async fn a_session_that_fell_to_another_is_cycled_on_what_is_stored() {
    let scene = Scene::new();
    let key = scene.visitor().await;
    let counted = Arc::new(CountingEngine::new(scene.gated.clone()));
    let sessions = Sessions::new(counted.clone(), settings());
    let login = sessions.session(Some(key.as_str()));
    login.get::<u8>("n").await.unwrap();
    let other = scene.request(&key);
    other.insert("cart", 3).unwrap();
    other.save().await.unwrap();
    login.cycle_key().await.unwrap();
    let new = login.key().unwrap();
    assert_eq!(scene.stored(&new).await.unwrap(), r#"{"n":0,"cart":3}"#);
    assert_eq!(login.get::<u8>("cart").await.unwrap(), Some(3));
    assert_eq!(counted.created_keys().len(), 1);
}

#[async_trait]
impl SessionEngine for Panicking {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        self.0.load(key).await
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        self.0.create(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let first = self.1.swap(false, std::sync::atomic::Ordering::SeqCst);
        assert!(!first, "a defect of this engine, on purpose");
        self.0.replace(key, seen, record).await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        self.0.touch(key, seen, record).await
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        self.0.delete(key, seen).await
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        self.0.clear_expired(progress).await
    }
}

#[async_trait]
impl SessionEngine for Reticent {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        self.0.load(key).await
    }

    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        Ok(match self.0.create(key, record).await? {
            Created::Stored(_) => Created::Stored(untold()),
            Created::Taken => Created::Taken,
        })
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        Ok(match self.0.replace(key, seen, record).await? {
            Replaced::Stored(_) => Replaced::Stored(untold()),
            other => other,
        })
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        Ok(match self.0.touch(key, seen, record).await? {
            Replaced::Stored(_) => Replaced::Stored(untold()),
            other => other,
        })
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        self.0.delete(key, seen).await
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        self.0.clear_expired(progress).await
    }
}

fn untold() -> Receipt {
    Receipt {
        revision: None,
        key: None,
    }
}
