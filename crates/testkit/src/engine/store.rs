//! What every case starts from: an engine, its settings, and the words the cases are written in.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use quintette_core::json::RawJson;
use quintette_core::session::{
    Created, Receipt, Record, Replaced, Revision, Session, SessionData, SessionEngine, SessionKey,
    Sessions,
};
use quintette_core::settings::Settings;

use super::FreshEngine;
use crate::case::Kept;
use crate::doubles::{CountingEngine, GatedEngine};

/// The engine under test.
pub(super) struct Store {
    pub(super) engine: Arc<dyn SessionEngine>,
    pub(super) settings: Settings,
    _kept: Option<Kept>,
}

impl Store {
    pub(super) fn new(fresh: FreshEngine) -> Self {
        Self {
            engine: fresh.engine,
            settings: fresh.settings,
            _kept: fresh.kept,
        }
    }

    /// Sessions as the tower layer makes them.
    pub(super) fn sessions(&self) -> Sessions {
        self.sessions_over(self.engine.clone())
    }

    pub(super) fn sessions_over(&self, engine: Arc<dyn SessionEngine>) -> Sessions {
        sessions(engine, self.settings.clone())
    }

    /// Sessions that are saved on every request, with so long between two touches.
    pub(super) fn sessions_touched_every(
        &self,
        interval: TimeDelta,
        engine: Arc<dyn SessionEngine>,
    ) -> Sessions {
        let mut settings = self.settings.clone();
        settings.session_save_every_request = true;
        settings.session_touch_interval = interval;
        sessions(engine, settings)
    }

    pub(super) fn counted(&self) -> Arc<CountingEngine> {
        Arc::new(CountingEngine::new(self.engine.clone()))
    }

    pub(super) fn gated(&self) -> Arc<GatedEngine> {
        Arc::new(GatedEngine::new(self.engine.clone()))
    }

    /// Stores a new session under a key of its own, for an hour.
    pub(super) async fn create(&self, json: &str) -> (SessionKey, Revision) {
        let key = new_key();
        let revision = self.create_under(&key, json, in_an_hour()).await;
        (key, revision)
    }

    pub(super) async fn create_under(
        &self,
        key: &SessionKey,
        json: &str,
        expires_at: DateTime<Utc>,
    ) -> Revision {
        let data = data(json);
        let record = record(&data, expires_at);
        match self.engine.create(key, &record).await.unwrap() {
            Created::Stored(receipt) => self.revision_of(key, receipt).await,
            Created::Taken => panic!("a new key was said to be taken"),
        }
    }

    /// The revision that a write has left: loaded, where the engine does not tell.
    pub(super) async fn revision_of(&self, key: &SessionKey, receipt: Receipt) -> Revision {
        assert!(receipt.key.is_none(), "a store does not rename a session");
        match receipt.revision {
            Some(revision) => revision,
            None => self.revision(key).await,
        }
    }

    pub(super) async fn revision(&self, key: &SessionKey) -> Revision {
        let stored = self.engine.load_for_update(key).await.unwrap();
        let stored = stored.expect("the session is there");
        stored
            .revision
            .expect("what is loaded for an update has a revision")
    }

    /// What is stored under `key`, as JSON. Both ways of loading must agree.
    pub(super) async fn json(&self, key: &SessionKey) -> Option<String> {
        let loaded = self.engine.load(key).await.unwrap();
        let current = self.engine.load_for_update(key).await.unwrap();
        let [loaded, current] =
            [loaded, current].map(|stored| Some(stored?.data.to_json().unwrap()));
        assert_eq!(loaded, current, "load and load_for_update differ");
        loaded
    }

    pub(super) async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        json: &str,
        expires_at: DateTime<Utc>,
    ) -> Replaced {
        let data = data(json);
        let record = record(&data, expires_at);
        self.engine.replace(key, seen, &record).await.unwrap()
    }

    /// Replaces what must be replaceable, and returns the new revision.
    pub(super) async fn replaced(&self, key: &SessionKey, seen: &Revision, json: &str) -> Revision {
        match self.replace(key, seen, json, in_an_hour()).await {
            Replaced::Stored(receipt) => self.revision_of(key, receipt).await,
            other => panic!("replacing the newest revision gave {other:?}"),
        }
    }

    /// Touches with the data that is stored, as a session does.
    pub(super) async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        json: &str,
        expires_at: DateTime<Utc>,
    ) -> Replaced {
        let data = data(json);
        let record = record(&data, expires_at);
        self.engine.touch(key, seen, &record).await.unwrap()
    }

    /// A session that is stored with `n` 0, and the sessions to open it with.
    pub(super) async fn visitor(&self) -> (Sessions, SessionKey) {
        let sessions = self.sessions();
        let key = visitor(&sessions).await;
        (sessions, key)
    }
}

fn sessions(engine: Arc<dyn SessionEngine>, settings: Settings) -> Sessions {
    Sessions::new(engine, settings).spawning(|commit| {
        tokio::spawn(commit);
    })
}

/// Stores a session with `n` 0, and returns its key.
pub(super) async fn visitor(sessions: &Sessions) -> SessionKey {
    let session = sessions.session(None);
    session.insert("n", 0).unwrap();
    session.finish(false).await.unwrap();
    session.key().expect("what was stored has a key")
}

/// The session of a request with this key in its cookie.
pub(super) fn request(sessions: &Sessions, key: &SessionKey) -> Session {
    sessions.session(Some(key.as_str()))
}

pub(super) fn new_key() -> SessionKey {
    SessionKey::random().unwrap()
}

pub(super) fn data(json: &str) -> SessionData {
    // Escapes what is not ASCII: sessions are read as Latin-1.
    let json = RawJson::parse(json).expect("the case's own data is JSON");
    SessionData::from_json(json.as_str().as_bytes()).expect("and an object")
}

pub(super) fn record(data: &SessionData, expires_at: DateTime<Utc>) -> Record<'_> {
    Record { data, expires_at }
}

pub(super) fn in_an_hour() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

pub(super) fn an_hour_ago() -> DateTime<Utc> {
    Utc::now() - TimeDelta::hours(1)
}
