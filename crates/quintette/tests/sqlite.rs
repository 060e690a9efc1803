//! What is particular to sessions in an SQLite file.

use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use quintette::db::{Database, SqliteDatabase};
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{self, Expiry, SessionErrorKind, SessionKey, Sessions};
use quintette::settings::{DatabaseUrl, Settings, SqliteLocation};
use sqlx::SqlitePool;
use tempfile::TempDir;

fn settings(directory: &Path) -> Settings {
    let mut settings = Settings::new("a secret that is for tests alone");
    let file = SqliteLocation::File(directory.join("db.sqlite3"));
    settings.database_url = Some(DatabaseUrl::Sqlite(file));
    settings
}

async fn site() -> (Sessions, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    Database::create(&settings)
        .await
        .unwrap()
        .migrate()
        .await
        .unwrap();
    (sessions::connect(settings).await.unwrap(), directory)
}

async fn stored(sessions: &Sessions, n: u32) -> SessionKey {
    let session = sessions.session(None);
    session.insert("n", n).unwrap();
    session.save().await.unwrap();
    session.key().unwrap()
}

#[tokio::test]
async fn a_file_that_was_deleted_or_replaced_takes_no_more_writes() {
    let (sessions, directory) = site().await;
    let key = stored(&sessions, 1).await;
    let file = directory.path().join("db.sqlite3");
    for replaced in [false, true] {
        let _ = std::fs::remove_file(&file);
        if replaced {
            std::fs::write(&file, "").unwrap();
        }
        let session = sessions.session(Some(key.as_str()));
        session.insert("n", 2).unwrap();
        let error = session.save().await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        assert!(error.to_string().contains("db.sqlite3"), "{error}");
    }
}

#[tokio::test]
async fn a_session_that_never_ends_is_found_again() {
    let (sessions, _directory) = site().await;
    for never in [
        Expiry::from(TimeDelta::MAX),
        Expiry::AfterIdle(TimeDelta::MAX),
        Expiry::seconds(i64::MAX),
    ] {
        let session = sessions.session(None);
        session.insert("n", 1).unwrap();
        session.set_expiry(never);
        session.save().await.unwrap();
        let key = session.key().unwrap();
        let again = sessions.session(Some(key.as_str()));
        assert_eq!(again.get::<u32>("n").await.unwrap(), Some(1), "{never:?}");
    }
}

#[tokio::test]
async fn a_table_that_is_missing_is_told_with_the_command_that_makes_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let error = sessions::connect(settings.clone()).await.unwrap_err();
    assert!(error.to_string().contains("quintette migrate"), "{error}");
    Database::create(&settings).await.unwrap();
    let error = sessions::connect(settings).await.unwrap_err();
    assert!(error.to_string().contains("quintette migrate"), "{error}");
}

#[tokio::test]
async fn an_application_hands_over_the_pool_that_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let url = format!(
        "sqlite:{}?mode=rwc",
        directory.path().join("own.sqlite3").display()
    );
    let pool = SqlitePool::connect(&url).await.unwrap();
    let database = Database::from(SqliteDatabase::from_pool(pool.clone(), &settings));
    database.migrate().await.unwrap();
    assert_eq!(database.migrate().await.unwrap(), []);
    let engine = DbEngine::new(&database, &settings).await.unwrap();
    let sessions = Sessions::new(Arc::new(engine), settings);
    let key = stored(&sessions, 1).await;
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM django_session WHERE session_key = ?")
        .bind(key.as_str())
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(rows, 1);
    let again = sessions.session(Some(key.as_str()));
    assert_eq!(again.get::<u32>("n").await.unwrap(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_come_together_lose_nothing() {
    let (sessions, _directory) = site().await;
    let key = stored(&sessions, 0).await;
    let writers = (0..64).map(|n| {
        let sessions = sessions.clone();
        let key = key.clone();
        tokio::spawn(async move {
            let session = sessions.session(Some(key.as_str()));
            session.insert(&format!("key {n}"), n).unwrap();
            session.save().await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let session = sessions.session(Some(key.as_str()));
    assert_eq!(session.keys().await.unwrap().len(), 65);
}
