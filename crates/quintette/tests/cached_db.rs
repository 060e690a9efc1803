//! The interleavings of `cached_db` in which its cache could come to be older than the row, each made certain by a gate
//! in the cache.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use quintette::cache::{Cache, CacheError, Cached, NamedCache, Swapped};
use quintette::db::Database;
use quintette::sessions::engines::CachedDbEngine;
use quintette::sessions::{
    Created, Deleted, Record, Replaced, Revision, SessionData, SessionEngine, SessionKey,
};
use quintette::settings::{DatabaseUrl, Settings, SqliteLocation};
use quintette_testkit::MemoryCache;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A cache whose next operation of a kind a test can hold.
#[derive(Debug, Default)]
struct GatedCache {
    inner: MemoryCache,
    after_set: Place,
    before_replace: Place,
    is_down: AtomicBool,
}

impl GatedCache {
    fn answer(&self) -> Result<(), CacheError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(CacheError::new("connection refused"));
        }
        Ok(())
    }
}

type Place = Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>;

/// A held operation: it has come, and it may go on.
struct Gate(oneshot::Receiver<()>, oneshot::Sender<()>);

impl Gate {
    fn at(place: &Place) -> Self {
        let (reached, is_reached) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        *place.lock().unwrap() = Some((reached, opened));
        Self(is_reached, open)
    }

    /// Waits until the task stands at the gate, or has gone another way.
    async fn reached<T>(&mut self, task: &JoinHandle<T>) {
        while self.0.try_recv().is_err() && !task.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    fn open(self) {
        // Nobody waits where the task has gone another way.
        let _ = self.1.send(());
    }
}

async fn pass(place: &Place) {
    let held = mem::take(&mut *place.lock().unwrap());
    if let Some((reached, opened)) = held {
        // The test has given up where nobody listens.
        let _ = reached.send(());
        let _ = opened.await;
    }
}

#[async_trait::async_trait]
impl Cache for GatedCache {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        self.answer()?;
        self.inner.get(name).await
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        self.answer()?;
        let set = self.inner.set(name, value, ttl).await?;
        pass(&self.after_set).await;
        Ok(set)
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        self.answer()?;
        self.inner.add(name, value, ttl).await
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        self.answer()?;
        pass(&self.before_replace).await;
        self.inner.replace(name, seen, value, ttl).await
    }

    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        self.answer()?;
        self.inner.touch(name, seen, ttl).await
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        self.answer()?;
        self.inner.delete(name, seen).await
    }
}

struct Scene {
    engine: Arc<CachedDbEngine>,
    cache: Arc<GatedCache>,
    key: SessionKey,
    seen: Revision,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// A session with `n` 0 in row and cache.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::new("a secret that is for tests alone");
        let file = SqliteLocation::File(directory.path().join("db.sqlite3"));
        settings.database_url = Some(DatabaseUrl::Sqlite(file));
        let database = Database::create(&settings).await.unwrap();
        database.migrate().await.unwrap();
        let cache = Arc::new(GatedCache::default());
        let named = NamedCache::new(cache.clone());
        let engine = CachedDbEngine::new(&database, named, &settings).await;
        let engine = Arc::new(engine.unwrap());
        let key = SessionKey::random().unwrap();
        let created = engine.create(&key, &record(&data(0))).await.unwrap();
        let Created::Stored(receipt) = created else {
            panic!("a random key is taken");
        };
        let seen = receipt.revision.unwrap();
        Self {
            engine,
            cache,
            key,
            seen,
            _directory: directory,
        }
    }

    /// Replaces what was seen at first, in a task of its own.
    fn write(&self, n: u32) -> JoinHandle<Replaced> {
        let (engine, key, seen) = (self.engine.clone(), self.key.clone(), self.seen.clone());
        tokio::spawn(async move {
            let data = data(n);
            engine.replace(&key, &seen, &record(&data)).await.unwrap()
        })
    }

    fn touch(&self) -> JoinHandle<Replaced> {
        let (engine, key, seen) = (self.engine.clone(), self.key.clone(), self.seen.clone());
        tokio::spawn(async move {
            let data = data(0);
            engine.touch(&key, &seen, &record(&data)).await.unwrap()
        })
    }

    fn delete(&self, seen: Option<Revision>) -> JoinHandle<Deleted> {
        let (engine, key) = (self.engine.clone(), self.key.clone());
        tokio::spawn(async move { engine.delete(&key, seen.as_ref()).await.unwrap() })
    }

    /// What a reader is told, and what the row holds.
    async fn read(&self) -> (Option<String>, Option<String>) {
        let read = self.engine.load(&self.key).await.unwrap();
        let row = self.engine.load_for_update(&self.key).await.unwrap();
        (
            read.map(|stored| stored.data.to_json().unwrap()),
            row.map(|stored| stored.data.to_json().unwrap()),
        )
    }
}

fn data(n: u32) -> SessionData {
    SessionData::from_json(format!(r#"{{"n":{n}}}"#).as_bytes()).unwrap()
}

fn record(data: &SessionData) -> Record<'_> {
    Record {
        data,
        expires_at: Utc::now() + TimeDelta::hours(1),
    }
}

#[tokio::test]
async fn a_writer_that_fills_the_cache_after_a_logout_does_not_bring_the_session_back() {
    let scene = Scene::new().await;
    // The logout has announced itself in the cache, and the row is still there.
    let mut logout_gate = Gate::at(&scene.cache.after_set);
    let logout = scene.delete(None);
    logout_gate.reached(&logout).await;
    // A writer comes, writes the row, and is slow to fill the cache.
    let mut writer_gate = Gate::at(&scene.cache.before_replace);
    let writer = scene.write(1);
    writer_gate.reached(&writer).await;
    logout_gate.open();
    assert_eq!(logout.await.unwrap(), Deleted::Deleted);
    assert_eq!(scene.read().await, (None, None), "after the logout");
    writer_gate.open();
    assert!(matches!(writer.await.unwrap(), Replaced::Stored(_)));
    assert_eq!(scene.read().await, (None, None), "after the writer's fill");
}

#[tokio::test]
async fn a_touch_that_fills_the_cache_after_a_cycle_does_not_bring_the_old_key_back() {
    let scene = Scene::new().await;
    let mut cycle_gate = Gate::at(&scene.cache.after_set);
    let cycle = scene.delete(Some(scene.seen.clone()));
    cycle_gate.reached(&cycle).await;
    let mut touch_gate = Gate::at(&scene.cache.before_replace);
    let touch = scene.touch();
    touch_gate.reached(&touch).await;
    cycle_gate.open();
    assert_eq!(cycle.await.unwrap(), Deleted::Deleted);
    touch_gate.open();
    assert!(matches!(touch.await.unwrap(), Replaced::Stored(_)));
    assert_eq!(scene.read().await, (None, None));
}

#[tokio::test]
async fn a_touch_that_fills_the_cache_after_a_writer_does_not_hide_what_was_written() {
    let scene = Scene::new().await;
    // The writer has announced itself in the cache; the touch comes after it, and reaches the row before it.
    let mut writer_gate = Gate::at(&scene.cache.after_set);
    let writer = scene.write(1);
    writer_gate.reached(&writer).await;
    let mut touch_gate = Gate::at(&scene.cache.before_replace);
    let touch = scene.touch();
    touch_gate.reached(&touch).await;
    writer_gate.open();
    assert!(matches!(writer.await.unwrap(), Replaced::Stored(_)));
    touch_gate.open();
    assert!(matches!(touch.await.unwrap(), Replaced::Stored(_)));
    let written = Some(r#"{"n":1}"#.to_owned());
    assert_eq!(scene.read().await, (written.clone(), written));
}

#[tokio::test]
async fn a_writer_of_the_same_data_does_not_hide_what_another_wrote_after_it() {
    // What is signed holds the second in which it was: only within one second is the same data the same revision.
    for _ in 0..3 {
        let scene = Scene::new().await;
        let mut writer_gate = Gate::at(&scene.cache.after_set);
        let writer = scene.write(1);
        writer_gate.reached(&writer).await;
        let mut same_gate = Gate::at(&scene.cache.before_replace);
        let same = scene.write(0);
        same_gate.reached(&same).await;
        writer_gate.open();
        let written = writer.await.unwrap();
        same_gate.open();
        assert!(matches!(same.await.unwrap(), Replaced::Stored(_)));
        let (read, row) = scene.read().await;
        assert_eq!(read, row);
        if matches!(written, Replaced::Stored(_)) {
            assert_eq!(row.unwrap(), r#"{"n":1}"#);
        }
    }
}

/// What another process would find in the cache.
async fn cached(scene: &Scene) -> Option<Vec<u8>> {
    let name = format!(":1:django.contrib.sessions.cached_db{}", scene.key.as_str());
    let cached = scene.cache.inner.get(&name).await.unwrap();
    cached.map(|cached| cached.value)
}

/// Waits until the cache holds nothing of the session any more.
async fn is_paid(scene: &Scene) {
    for _ in 0..1_000 {
        if cached(scene).await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after 10 s, the cache still holds what is older than the row");
}

#[tokio::test]
async fn a_logout_while_the_cache_is_away_is_a_logout_when_it_is_back() {
    let scene = Scene::new().await;
    scene.cache.is_down.store(true, Ordering::SeqCst);
    let logged_out = scene.engine.delete(&scene.key, None).await.unwrap();
    assert_eq!(logged_out, Deleted::Deleted);
    scene.cache.is_down.store(false, Ordering::SeqCst);
    assert!(cached(&scene).await.is_some(), "it was told nothing");
    assert_eq!(scene.read().await, (None, None));
    is_paid(&scene).await;
    assert_eq!(scene.read().await, (None, None));
}

#[tokio::test]
async fn what_was_written_while_the_cache_was_away_is_read_when_it_is_back() {
    let scene = Scene::new().await;
    scene.cache.is_down.store(true, Ordering::SeqCst);
    assert!(matches!(scene.write(1).await.unwrap(), Replaced::Stored(_)));
    scene.cache.is_down.store(false, Ordering::SeqCst);
    let written = Some(r#"{"n":1}"#.to_owned());
    assert_eq!(scene.read().await, (written.clone(), written.clone()));
    is_paid(&scene).await;
    assert_eq!(scene.read().await, (written.clone(), written));
    assert!(cached(&scene).await.is_some(), "it is used again");
}

#[tokio::test]
async fn a_writer_who_vanishes_before_the_cache_has_followed_leaves_nothing_older() {
    let scene = Scene::new().await;
    let mut gate = Gate::at(&scene.cache.before_replace);
    let writer = scene.write(1);
    gate.reached(&writer).await;
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    let written = Some(r#"{"n":1}"#.to_owned());
    assert_eq!(scene.read().await, (written.clone(), written));
    is_paid(&scene).await;
}
