use std::sync::Arc;

use chrono::{DateTime, Utc};
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Created, Deleted, Record, Replaced, SessionData, SessionEngine, SessionErrorKind,
};

use super::{
    SERVER, count, engine, execute, parsed, receipt, record, settings, site, stored, text,
};

/// Databases whose tables Django has made over the years, and that administrators have.
const CHARACTER_SETS: [&str; 4] = [
    "utf8mb4",
    "utf8mb4 COLLATE utf8mb4_bin",
    "utf8mb3 COLLATE utf8mb3_unicode_ci",
    "latin1",
];

async fn site_in(character_set: &str) -> (Arc<DbEngine>, String) {
    let url = SERVER.new_database().unwrap();
    let alter = format!("ALTER DATABASE CHARACTER SET {character_set}");
    execute(&url, &[&alter]).await;
    (engine(&settings(&url)).await, url)
}

#[tokio::test]
async fn a_key_in_other_letters_or_with_spaces_is_another_key() {
    for character_set in CHARACTER_SETS {
        let (engine, _) = site_in(character_set).await;
        let data = SessionData::default();
        let created = engine.create(&parsed("abcdefgh"), &record(&data)).await;
        let Created::Stored(receipt) = created.unwrap() else {
            panic!("the table is empty");
        };
        let seen = receipt.revision.unwrap();
        for key in [
            "ABCDEFGH",
            "abcdefgh ",
            "ábcdefgh",
            "abcdefgh\0",
            "abcdefgh🍵",
        ] {
            let key = parsed(key);
            assert!(engine.load(&key).await.unwrap().is_none());
            let replaced = engine.replace(&key, &seen, &record(&data)).await.unwrap();
            assert!(matches!(replaced, Replaced::Gone));
            let touched = engine.touch(&key, &seen, &record(&data)).await.unwrap();
            assert!(matches!(touched, Replaced::Gone));
            for seen in [None, Some(&seen)] {
                assert_eq!(engine.delete(&key, seen).await.unwrap(), Deleted::Gone);
            }
        }
        assert!(engine.load(&parsed("abcdefgh")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_key_that_the_server_takes_for_another_one_is_taken() {
    let (engine, _) = site().await;
    let data = SessionData::default();
    for key in ["abcdefgh", "ABCDEFGH", "abcdefgh "] {
        let created = engine.create(&parsed(key), &record(&data)).await.unwrap();
        assert_eq!(
            matches!(created, Created::Taken),
            key != "abcdefgh",
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_the_column_cannot_hold_is_refused_and_not_cut() {
    let (engine, url) = site_in("latin1").await;
    let data = SessionData::default();
    for key in ["k".repeat(41), "열쇠열쇠열쇠열쇠".to_owned()] {
        let created = engine.create(&parsed(&key), &record(&data)).await;
        assert_eq!(created.unwrap_err().kind(), SessionErrorKind::Value);
    }
    assert_eq!(count(&url, "SELECT COUNT(*) FROM django_session").await, 0);
}

#[tokio::test]
async fn data_in_other_letters_is_other_data() {
    let (engine, url) = site().await;
    let (key, seen) = stored(&engine).await;
    let upper = "UPDATE django_session SET session_data = UPPER(session_data)";
    execute(&url, &[upper]).await;
    let data = SessionData::default();
    let replaced = engine.replace(&key, &seen, &record(&data)).await.unwrap();
    assert!(matches!(replaced, Replaced::Conflict));
    let touched = engine.touch(&key, &seen, &record(&data)).await.unwrap();
    assert!(matches!(touched, Replaced::Conflict));
    let deleted = engine.delete(&key, Some(&seen)).await.unwrap();
    assert_eq!(deleted, Deleted::Conflict);
}

#[tokio::test]
async fn what_somebody_left_in_the_column_is_replaced() {
    for character_set in CHARACTER_SETS {
        let (engine, url) = site_in(character_set).await;
        let (key, _) = stored(&engine).await;
        execute(
            &url,
            &["UPDATE django_session SET session_data = 'caf\u{e9} '"],
        )
        .await;
        let found = engine.load(&key).await.unwrap().unwrap();
        assert!(found.data.is_empty());
        let data = SessionData::default();
        let seen = found.revision.unwrap();
        receipt(engine.replace(&key, &seen, &record(&data)).await.unwrap());
    }
}

#[tokio::test]
async fn writing_what_is_there_already_is_written() {
    let (engine, _) = site().await;
    let (key, seen) = stored(&engine).await;
    let data = SessionData::default();
    let record = record(&data);
    for _ in 0..2 {
        receipt(engine.touch(&key, &seen, &record).await.unwrap());
    }
}

#[tokio::test]
async fn an_expiry_is_utc_or_local_as_use_tz_says() {
    for (use_tz, column) in [
        (true, "2100-01-02 03:04:05.000006"),
        (false, "2100-01-02 12:04:05.000006"),
    ] {
        let url = SERVER.new_database().unwrap();
        let mut settings = settings(&url);
        settings.use_tz = use_tz;
        settings.time_zone = "Asia/Seoul".parse().unwrap();
        let engine = engine(&settings).await;
        let (key, _) = stored(&engine).await;
        let seen = engine.load(&key).await.unwrap().unwrap().revision.unwrap();
        let data = SessionData::default();
        let expires_at: DateTime<Utc> = "2100-01-02T03:04:05.000006Z".parse().unwrap();
        let record = Record {
            data: &data,
            expires_at,
        };
        receipt(engine.touch(&key, &seen, &record).await.unwrap());
        let stored = text(&url, "SELECT CAST(expire_date AS CHAR) FROM django_session");
        assert_eq!(stored.await, column);
        let found = engine.load(&key).await.unwrap().unwrap();
        assert_eq!(found.expires_at, Some(expires_at));
    }
}

#[tokio::test]
async fn a_date_of_zeros_has_expired() {
    let (engine, url) = site().await;
    let (key, _) = stored(&engine).await;
    execute(
        &url,
        &["SET sql_mode = ''; UPDATE django_session SET expire_date = '0000-00-00'"],
    )
    .await;
    assert!(engine.load(&key).await.unwrap().is_none());
    let cleared = engine.clear_expired(&mut |_| {}).await.unwrap();
    assert_eq!(cleared.removed, 1);
}
