use std::time::{Duration, Instant};

use quintette::sessions::{SessionData, SessionEngine, SessionErrorKind, SessionKey};
use sqlx::{Connection, MySqlConnection};

use super::{connection, count, execute, record, site, stored};

/// Holds the row until it is dropped.
async fn lock(url: &str, key: &SessionKey) -> MySqlConnection {
    let mut connection = connection(url).await;
    sqlx::raw_sql("START TRANSACTION")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("SELECT 1 FROM django_session WHERE session_key = ? FOR UPDATE")
        .bind(key.as_str())
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn a_row_that_another_program_holds_is_read_and_is_not_written_later() {
    let (engine, url) = site().await;
    let (key, seen) = stored(&engine).await;
    let lock = lock(&url, &key).await;
    assert!(engine.load(&key).await.unwrap().is_some());
    let begun = Instant::now();
    let data = SessionData::default();
    let replaced = engine.replace(&key, &seen, &record(&data)).await;
    let error = replaced.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    assert!(error.to_string().contains("held the row"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    lock.close().await.unwrap();
    let found = engine.load(&key).await.unwrap().unwrap();
    assert_eq!(found.revision, Some(seen));
}

#[tokio::test]
async fn a_clean_up_goes_by_batches_and_tells_how_far_it_is() {
    let (engine, url) = site().await;
    let (live, _) = stored(&engine).await;
    let fill = "INSERT INTO django_session SELECT CONCAT('expired', seq), 'x', \
                UTC_TIMESTAMP(6) - INTERVAL (seq DIV 700) MINUTE FROM seq_701_to_2700";
    execute(&url, &[fill]).await;
    let mut steps = Vec::new();
    let cleared = engine
        .clear_expired(&mut |cleared| steps.push(cleared.removed))
        .await
        .unwrap();
    assert_eq!((cleared.removed, cleared.expired), (2_000, Some(2_000)));
    assert_eq!(steps[0], 0);
    let largest = steps.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(largest.unwrap() <= 500, "{steps:?}");
    assert!(engine.load(&live).await.unwrap().is_some());
    assert_eq!(count(&url, "SELECT COUNT(*) FROM django_session").await, 1);
}

#[tokio::test]
async fn a_clean_up_waits_for_a_row_that_another_program_holds() {
    let (engine, url) = site().await;
    let (key, _) = stored(&engine).await;
    let expire = "UPDATE django_session SET expire_date = '2001-01-01'";
    execute(&url, &[expire]).await;
    let lock = lock(&url, &key).await;
    let cleaner = engine.clone();
    let clean_up = tokio::spawn(async move { cleaner.clear_expired(&mut |_| {}).await });
    // Longer than a request would wait for the row.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    lock.close().await.unwrap();
    assert_eq!(clean_up.await.unwrap().unwrap().removed, 1);
}
