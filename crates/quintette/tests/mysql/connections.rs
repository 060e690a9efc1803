use std::time::Duration;

use quintette::db::{Database, MysqlDatabase};
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{SessionEngine, SessionErrorKind, SessionKey};
use sqlx::MySqlPool;
use sqlx::mysql::MySqlPoolOptions;

use super::{SERVER, count, settings, site, stored};

#[tokio::test]
async fn an_application_hands_over_the_pool_that_it_has() {
    let url = SERVER.new_database().unwrap();
    let settings = settings(&url);
    let pool = MySqlPool::connect(&url).await.unwrap();
    let database = Database::from(MysqlDatabase::from_pool(pool.clone(), &settings));
    database.migrate().await.unwrap();
    let engine = DbEngine::new(&database, &settings).await.unwrap();
    let (key, _) = stored(&engine).await;
    assert_eq!(count(&url, "SELECT COUNT(*) FROM django_session").await, 1);
    assert!(engine.load(&key).await.unwrap().is_some());
    pool.close().await;
    let error = engine.load(&key).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
}

#[tokio::test]
async fn a_pool_that_does_not_commit_is_refused() {
    let (_, url) = site().await;
    let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move {
            let set = sqlx::query("SET autocommit = 0").execute(connection).await;
            set.map(drop)
        })
    });
    let settings = settings(&url);
    let pool = pool.connect(&url).await.unwrap();
    let database = Database::from(MysqlDatabase::from_pool(pool, &settings));
    let error = DbEngine::new(&database, &settings).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Misconfigured);
    assert!(error.to_string().contains("autocommit"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_url_is_told_at_start_up_without_the_password() {
    let (_, url) = site().await;
    let (server, name) = url.rsplit_once('/').unwrap();
    let address = SERVER.address();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = unused.local_addr().unwrap();
    drop(unused);
    for (url, told) in [
        (format!("mysql://u:hunter2@{nobody}/shop"), "be reached"),
        (format!("{server}/no_such_database"), "no such database"),
        (
            format!("mysql://u:hunter2@{address}/{name}"),
            "denies access",
        ),
        (
            format!("mariadb://root:hunter2@{address}/{name}"),
            "denies access",
        ),
        (format!("mysql://u:hunter2@{address}"), "no database"),
        (format!("{url}?ssl-mode=required"), "ssl-mode"),
        (format!("{url}?ssl-mode=hunter2"), "ssl-mode"),
        (format!("{url}?pasword=hunter2"), "\"pasword\""),
        (format!("{url}?max_connections=0"), "max_connections"),
        ("mysql://u:hunter2@[oops/x".to_owned(), "DATABASE_URL"),
    ] {
        let mut settings = settings(&url);
        settings.session_store_timeout = Duration::from_millis(500);
        let error = Database::connect(&settings).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(told), "{told}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn loads_that_come_together_each_get_their_own() {
    let (engine, url) = site().await;
    let mut keys = Vec::new();
    for _ in 0..40 {
        keys.push(stored(&engine).await);
    }
    // Two connections for 300 loads: most of them wait, and leave together.
    let engine = super::engine(&settings(&format!("{url}?max_connections=2"))).await;
    let loads = (0..300).map(|n| {
        let engine = engine.clone();
        // Each session several times, and unknown ones between them.
        let known = keys.get(n % 60).cloned();
        tokio::spawn(async move {
            let key = known.as_ref().map(|(key, _)| key.clone());
            let key = key.unwrap_or_else(|| SessionKey::random().unwrap());
            let found = engine.load(&key).await.unwrap();
            let revision = found.and_then(|found| found.revision);
            assert_eq!(revision, known.map(|(_, revision)| revision));
        })
    });
    for load in loads.collect::<Vec<_>>() {
        load.await.unwrap();
    }
}
