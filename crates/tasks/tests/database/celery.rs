//! The tables of Celery's database backend.

use std::path::Path;
use std::time::Duration;

use quintette_tasks::results::{
    DatabaseResults, ResultBackend, ResultErrorKind, StoreContext, TaskMeta,
};
use sqlx::Connection as _;

use crate::{json, mariadb, postgres, store, suite};

fn open(url: &str) -> DatabaseResults {
    DatabaseResults::new(url, Some(Duration::from_secs(1))).unwrap()
}

fn file(directory: &Path) -> String {
    format!("db+sqlite:///{}", directory.join("results.db").display())
}

#[tokio::test]
async fn results_are_kept_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    suite(&open(&file(directory.path()))).await;
}

#[tokio::test]
async fn results_are_kept_in_sqlite_as_pickles() {
    let directory = tempfile::tempdir().unwrap();
    suite(&open(&file(directory.path())).with_pickles()).await;
}

#[tokio::test]
async fn results_are_kept_in_postgresql() {
    let url = postgres().await;
    suite(&open(&format!(
        "db+{}",
        url.replace("postgres://", "postgresql+psycopg2://")
    )))
    .await;
}

#[tokio::test]
async fn results_are_kept_in_mariadb() {
    let url = mariadb().await;
    suite(&open(&format!("db+{url}"))).await;
}

#[tokio::test]
async fn two_that_make_the_tables_at_once_both_go_on() {
    for url in [postgres().await, mariadb().await] {
        let stores = (0..4).map(|number| {
            let results = open(&format!("db+{url}"));
            async move {
                let meta = TaskMeta::success(format!("id{number}"), json("1"));
                store(&results, &meta).await;
            }
        });
        futures_util::future::join_all(stores).await;
    }
}

#[tokio::test]
async fn a_table_of_an_older_celery_is_given_pickles_as_that_celery_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    sqlx::raw_sql(
        "CREATE TABLE celery_taskmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, task_id VARCHAR(155), status VARCHAR(50), result BLOB, \
         date_done DATETIME, traceback TEXT, name VARCHAR(155), args BLOB, kwargs BLOB, worker VARCHAR(155), retries INTEGER, queue VARCHAR(155), UNIQUE (task_id))",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let results = open(&file(directory.path()));
    store(&results, &TaskMeta::success("ok", json(r#"{"a":1}"#))).await;
    let stored: Vec<u8> = sqlx::query_scalar("SELECT result FROM celery_taskmeta")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(stored[0], 0x80, "a pickle: {stored:?}");
    let loaded = results.load("ok").await.unwrap().unwrap();
    assert_eq!(loaded.result.as_str(), r#"{"a":1}"#);
}

#[tokio::test]
async fn a_url_that_is_none_is_told_without_its_password() {
    for url in [
        "db+oracle://shop:hunter2@db/shop",
        "db+sqlite://",
        "db+postgresql://shop:hunter2@db/shop?sslmode=maybe",
    ] {
        let error = DatabaseResults::new(url, None).unwrap_err();
        assert_eq!(error.kind(), ResultErrorKind::Configuration, "{url}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_that_passes() {
    let results = open("db+mysql://shop@127.0.0.1:1/shop");
    let error = results.load("x").await.unwrap_err();
    assert_eq!(error.kind(), ResultErrorKind::Unavailable);
}

#[tokio::test]
async fn a_value_that_a_column_has_no_room_for_is_refused_and_not_tried_for_ever() {
    let long = TaskMeta::success("x".repeat(1_000), json("1"));
    let mut odd = TaskMeta::success("odd", json("1"));
    odd.traceback = Some("a\0b".to_owned());
    let (postgres, mariadb) = (postgres().await, mariadb().await);
    for (url, meta) in [(&postgres, &long), (&postgres, &odd), (&mariadb, &long)] {
        let results = open(&format!("db+{url}"));
        let stored = results.store(meta, &StoreContext::default()).await;
        let error = stored.unwrap_err();
        assert_eq!(error.kind(), ResultErrorKind::Refused, "{error}");
    }
}

#[tokio::test]
async fn a_row_of_rubbish_is_corrupt_and_can_be_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let results = open(&file(directory.path()));
    store(&results, &TaskMeta::success("good", json("1"))).await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join("results.db"));
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    for (id, columns, values) in [
        ("time", "status, date_done", "'FAILURE', 'yesterday'"),
        ("text", "status", "x'ff00fe'"),
        ("result", "status, result", "'SUCCESS', x'80ff'"),
        ("children", "status, children", "'FAILURE', x'80ff'"),
    ] {
        let sql =
            format!("INSERT INTO celery_taskmeta (task_id, {columns}) VALUES ('{id}', {values})");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        let error = results.load(id).await.unwrap_err();
        assert_eq!(error.kind(), ResultErrorKind::Corrupt, "{id}: {error}");
    }
    store(&results, &TaskMeta::success("time", json("2"))).await;
    assert_eq!(
        results.load("time").await.unwrap().unwrap().result.as_str(),
        "2"
    );
}
