use std::time::Duration;

use quintette::db::{Database, PostgresDatabase};
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{SessionEngine, SessionErrorKind};
use sqlx::{Connection, PgConnection, PgPool};

use super::{SERVER, engine, rows, settings, site, stored, touch};

#[tokio::test]
async fn an_application_hands_over_the_pool_that_it_has() {
    let url = SERVER.new_database().unwrap();
    let settings = settings(&url);
    let pool = PgPool::connect(&url).await.unwrap();
    let database = Database::from(PostgresDatabase::from_pool(pool.clone(), &settings));
    database.migrate().await.unwrap();
    let engine = DbEngine::new(&database, &settings).await.unwrap();
    let (key, _) = stored(&engine).await;
    let found: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM django_session WHERE session_key = $1")
            .bind(key.as_str())
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(found, 1);
    assert!(engine.load(&key).await.unwrap().is_some());
    pool.close().await;
    let error = engine.load(&key).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
}

#[tokio::test]
async fn what_is_wrong_with_the_url_is_told_at_start_up_without_the_password() {
    let address = SERVER.address();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = unused.local_addr().unwrap();
    drop(unused);
    for (url, told) in [
        (
            format!("postgres://u:hunter2@{nobody}/shop"),
            "cannot be reached",
        ),
        (
            format!("postgres://postgres:hunter2@{address}/no_such_database"),
            "no such database",
        ),
        (
            format!("postgres://nobody:hunter2@{address}/postgres"),
            "check user and password",
        ),
        (
            format!("postgres://postgres:hunter2@{address}/postgres?sslmode=require"),
            "sslmode",
        ),
        (
            format!("postgres://postgres:hunter2@{address}/postgres?sslmode=hunter2"),
            "sslmode",
        ),
        (
            format!("postgres://postgres@{address}/postgres?pasword=hunter2"),
            "\"pasword\"",
        ),
        (
            format!("postgres://postgres@{address}/postgres?max_connections=0&password=hunter2"),
            "max_connections",
        ),
        ("postgres://u:hunter2@[oops/x".to_owned(), "DATABASE_URL"),
        (format!("postgres://u:what?hunter2@{nobody}/shop"), "%3F"),
    ] {
        let mut settings = settings(&url);
        settings.session_store_timeout = Duration::from_millis(500);
        let error = Database::connect(&settings).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(told), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn no_more_connections_are_opened_than_the_url_allows() {
    let url = SERVER.new_database().unwrap();
    let engine = engine(&settings(&format!(
        "{url}?max_connections=3&conn_max_age=60"
    )))
    .await;
    let writers = (0..32).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move { stored(&engine).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let open = rows(
        &url,
        "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert!(["1", "2", "3"].contains(&open.await[0].as_str()));
}

#[tokio::test]
async fn a_caller_that_vanishes_leaves_no_answer_to_the_next() {
    let (engine, url) = site().await;
    let (key, seen) = stored(&engine).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM django_session FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let waits = touch(&engine, &key, &seen);
    let vanished = tokio::time::timeout(Duration::from_millis(100), waits).await;
    assert!(vanished.is_err());
    for _ in 0..20 {
        stored(&engine).await;
        assert!(engine.load(&key).await.unwrap().is_some());
    }
    transaction.rollback().await.unwrap();
}
