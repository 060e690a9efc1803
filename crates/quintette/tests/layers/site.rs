//! A site of one handler over an engine that counts, holds and fails, and a visitor whose browser keeps cookies.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use quintette::db::Database;
use quintette::sessions::{self, SessionEngine, SessionKey, SessionLayer, Sessions};
use quintette::settings::{DatabaseUrl, SessionEngineName, Settings, SqliteLocation};
use quintette_testkit::{CountingEngine, GatedEngine, MemoryEngine};
use tempfile::TempDir;
use tower::ServiceExt;

/// Sessions in memory, and what a test wants to know and do about them.
pub(crate) struct Site {
    pub(crate) sessions: Sessions,
    /// What the layers asked of the store. Outside the gates: what is held or fails was asked, too.
    pub(crate) counter: Arc<CountingEngine>,
    pub(crate) gates: Arc<GatedEngine>,
    memory: Arc<MemoryEngine>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(configure: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        configure(&mut settings);
        settings.check().unwrap();
        let memory = Arc::new(MemoryEngine::new());
        let gates = Arc::new(GatedEngine::new(memory.clone()));
        let counter = Arc::new(CountingEngine::new(gates.clone()));
        Self {
            sessions: Sessions::new(counter.clone(), settings),
            counter,
            gates,
            memory,
        }
    }

    /// A visitor of a site whose every page is this handler.
    pub(crate) fn visitor<H: Handler<T, ()>, T: 'static>(&self, handler: H) -> Visitor {
        let app = Router::new().fallback(get(handler));
        Visitor::new(app.layer(SessionLayer::new(self.sessions.clone())))
    }

    /// The cookie of a session that holds this.
    pub(crate) async fn session(&self, entries: &[(&str, serde_json::Value)]) -> String {
        let session = self.sessions.session(None);
        session.extend(entries.iter().cloned()).unwrap();
        session.save().await.unwrap();
        self.counter.take_calls();
        session.key().unwrap().as_str().to_owned()
    }

    /// What is stored under a cookie, as JSON. Not counted.
    pub(crate) async fn stored(&self, cookie: &str) -> Option<String> {
        let key = SessionKey::parse(cookie).unwrap();
        let stored = self.memory.load(&key).await.unwrap();
        stored.map(|stored| stored.data.to_json().unwrap())
    }

    /// How many sessions there are. Not counted.
    pub(crate) async fn count(&self) -> usize {
        self.memory.list(None, 1_000).await.unwrap().len()
    }
}

/// What a case changes in the settings.
pub(crate) type Configure = fn(&mut Settings);

pub(crate) fn settings() -> Settings {
    Settings::new("a secret that is for tests alone")
}

/// The sessions of this engine, as an application connects to them, over a store that is empty and its own.
pub(crate) async fn connect(
    engine: SessionEngineName,
    configure: impl FnOnce(&mut Settings),
) -> (Sessions, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.session_engine = engine;
    settings.session_file_path = Some(directory.path().to_owned());
    let file = SqliteLocation::File(directory.path().join("db.sqlite3"));
    settings.database_url = Some(DatabaseUrl::Sqlite(file));
    configure(&mut settings);
    if engine.uses_database() {
        let database = Database::create(&settings).await.unwrap();
        database.migrate().await.unwrap();
    }
    (sessions::connect(settings).await.unwrap(), directory)
}

pub(crate) const ENGINES: [SessionEngineName; 5] = [
    SessionEngineName::Db,
    SessionEngineName::CachedDb,
    SessionEngineName::Cache,
    SessionEngineName::File,
    SessionEngineName::SignedCookies,
];

/// A browser: it sends the session's cookie that it was last given.
#[derive(Clone)]
pub(crate) struct Visitor {
    app: Router,
    pub(crate) cookie: Option<String>,
}

impl Visitor {
    pub(crate) fn new(app: Router) -> Self {
        Self { app, cookie: None }
    }

    pub(crate) fn with_cookie(mut self, cookie: impl Into<String>) -> Self {
        self.cookie = Some(cookie.into());
        self
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = &self.cookie {
            let pair = format!("sessionid={cookie}");
            headers.insert(header::COOKIE, HeaderValue::try_from(pair).unwrap());
        }
        let answer = self.send(path, headers).await;
        match answer.cookie() {
            Some("\"\"") => self.cookie = None,
            Some(value) => self.cookie = Some(value.to_owned()),
            None => {}
        }
        answer
    }

    /// Sends these headers and nothing else.
    pub(crate) async fn send(&self, path: &str, headers: HeaderMap) -> Answer {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().unwrap();
        *request.headers_mut() = headers;
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.into()).unwrap(),
        }
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// All values of a header, in their order.
    pub(crate) fn all(&self, name: header::HeaderName) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    pub(crate) fn vary(&self) -> Vec<&str> {
        self.all(header::VARY)
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.all(header::SET_COOKIE)
    }

    /// What the one `Set-Cookie` gives the session's cookie; `""` in its quotes where it is deleted.
    pub(crate) fn cookie(&self) -> Option<&str> {
        let cookies = self.set_cookies();
        assert!(cookies.len() < 2, "{cookies:?}");
        let (_, value) = cookies.first()?.split(';').next()?.split_once('=')?;
        Some(value)
    }

    /// That the browser is told to forget the cookie.
    #[track_caller]
    pub(crate) fn assert_cookie_deleted(&self) {
        assert_eq!(self.cookie(), Some("\"\""));
        assert!(self.set_cookies()[0].contains("; Max-Age=0"));
    }
}

/// Waits for what must come: where it does not, the test fails instead of standing still.
pub(crate) async fn sure<T>(future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(30);
    let waited = tokio::time::timeout(patience, future).await;
    waited.expect("what had to come did not")
}
