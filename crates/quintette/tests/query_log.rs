//! The log of a request's statements, on each of the databases.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, header};
use quintette::db::{Database, QueryLog};
use quintette::sessions::{self, Session, SessionError, SessionLayer, Sessions};
use quintette::settings::Settings;
use quintette_testkit::servers::{MariaDb, Postgres};
use tempfile::TempDir;
use tower::ServiceExt;

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().unwrap());
static MARIADB: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start().unwrap());

struct Site {
    kind: &'static str,
    sessions: Sessions,
    _directory: TempDir,
}

async fn sites() -> Vec<Site> {
    let mut sites = Vec::new();
    for kind in ["sqlite", "postgres", "mariadb"] {
        let directory = tempfile::tempdir().unwrap();
        let url = match kind {
            "sqlite" => format!("sqlite://{}/db.sqlite3", directory.path().display()),
            "postgres" => POSTGRES.new_database().unwrap(),
            _ => MARIADB.new_database().unwrap(),
        };
        let mut settings = Settings::new("a secret that is for tests alone");
        settings.database_url = Some(url.parse().unwrap());
        let database = Database::create(&settings).await.unwrap();
        database.migrate().await.unwrap();
        sites.push(Site {
            kind,
            sessions: sessions::connect(settings).await.unwrap(),
            _directory: directory,
        });
    }
    sites
}

async fn stored(sessions: &Sessions, n: u32) -> String {
    let session = sessions.session(None);
    session.insert("n", n).unwrap();
    session.save().await.unwrap();
    session.key().unwrap().as_str().to_owned()
}

/// The first words of the statements.
fn verbs(log: &QueryLog) -> Vec<String> {
    let queries = log.queries();
    let verbs = queries.iter().map(|query| query.sql.split(' ').next());
    verbs.map(|verb| verb.unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_load_and_a_save_are_noted_with_their_text_and_without_values() {
    for site in sites().await {
        let key = stored(&site.sessions, 1).await;
        let log = QueryLog::new();
        let work = async {
            let session = site.sessions.session(Some(&key));
            session.get::<u32>("n").await.unwrap();
            session.insert("n", 2).unwrap();
            session.save().await.unwrap();
        };
        log.record(work).await;
        assert_eq!(log.queries().len(), 2, "{}: {log:?}", site.kind);
        for query in log.queries() {
            assert!(query.sql.contains("django_session"), "{query:?}");
            assert!(!query.sql.contains(&key), "{query:?}");
            assert!(!query.time.is_zero());
        }
        assert_eq!(verbs(&log)[0], "SELECT");
    }
}

#[tokio::test]
async fn what_is_done_for_others_is_not_noted() {
    for site in sites().await {
        let log = QueryLog::new();
        log.record(async {}).await;
        let key = stored(&site.sessions, 1).await;
        let session = site.sessions.session(Some(&key));
        session.get::<u32>("n").await.unwrap();
        assert_eq!(log.queries(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_loads_that_travel_together_each_request_has_its_own() {
    for site in sites().await {
        let mut keys = Vec::new();
        for n in 0..40 {
            keys.push(stored(&site.sessions, n).await);
        }
        let requests = keys.into_iter().map(|key| {
            let sessions = site.sessions.clone();
            tokio::spawn(async move {
                let log = QueryLog::new();
                let session = sessions.session(Some(&key));
                let load = async { session.get::<u32>("n").await.unwrap() };
                assert!(log.record(load).await.is_some());
                verbs(&log)
            })
        });
        for request in requests.collect::<Vec<_>>() {
            assert_eq!(request.await.unwrap(), ["SELECT"], "{}", site.kind);
        }
    }
}

#[tokio::test]
async fn logs_within_logs_note_the_same() {
    for site in sites().await {
        let key = stored(&site.sessions, 1).await;
        let (outer, inner) = (QueryLog::new(), QueryLog::new());
        let session = site.sessions.session(Some(&key));
        let work = async {
            let load = async { session.get::<u32>("n").await.unwrap() };
            inner.record(outer.record(load)).await;
            session.insert("n", 2).unwrap();
            session.save().await.unwrap();
        };
        outer.record(work).await;
        assert_eq!(verbs(&inner), ["SELECT"]);
        assert_eq!(verbs(&outer).len(), 2, "{}", site.kind);
    }
}

#[tokio::test]
async fn a_request_is_noted_to_the_commit_in_its_own_task() {
    async fn count(session: Session) -> Result<String, SessionError> {
        let n = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1);
        Ok(n.await?.to_string())
    }
    for site in sites().await {
        let key = stored(&site.sessions, 1).await;
        let app = Router::new()
            .route("/", get(count))
            .layer(SessionLayer::new(site.sessions.clone()));
        let request = Request::builder()
            .header(header::COOKIE, format!("sessionid={key}"))
            .body(Body::empty())
            .unwrap();
        let log = QueryLog::new();
        log.record(app.oneshot(request)).await.unwrap();
        assert_eq!(log.queries().len(), 2, "{}: {log:?}", site.kind);
    }
}

#[tokio::test]
async fn the_newest_nine_thousand_are_kept() {
    let site = sites().await.remove(0);
    let log = QueryLog::new();
    let work = async {
        for _ in 0..9_010 {
            let session = site.sessions.session(Some("a1b2c3d4e5f6g7h8"));
            session.get::<u32>("n").await.unwrap();
        }
        stored(&site.sessions, 1).await;
    };
    log.record(work).await;
    let verbs = verbs(&log);
    assert_eq!(verbs.len(), 9_000);
    assert_ne!(verbs[8_999], "SELECT");
}
