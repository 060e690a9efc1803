use chrono::{DateTime, Utc};
use quintette::sessions::{
    Created, Deleted, Record, Replaced, SessionData, SessionEngine, SessionKey,
};
use sqlx::{Connection, PgConnection};

use super::{SERVER, engine, record, rows, settings, site, stored};

#[tokio::test]
async fn an_expiry_is_the_same_instant_whatever_the_time_zone() {
    let url = SERVER.new_database().unwrap();
    let mut settings = settings(&url);
    settings.use_tz = false;
    settings.time_zone = "Asia/Seoul".parse().unwrap();
    let engine = engine(&settings).await;
    let key = SessionKey::random().unwrap();
    let expires_at: DateTime<Utc> = "2100-01-02T03:04:05.000006Z".parse().unwrap();
    let data = SessionData::default();
    engine
        .create(
            &key,
            &Record {
                data: &data,
                expires_at,
            },
        )
        .await
        .unwrap();
    let found = engine.load(&key).await.unwrap().unwrap();
    assert_eq!(found.expires_at, Some(expires_at));

    // Django without USE_TZ sets its connections' time zone, and reads and writes local times.
    let mut django = PgConnection::connect(&url).await.unwrap();
    let local: String = sqlx::query_scalar(
        "SELECT set_config('TimeZone', 'Asia/Seoul', false) || expire_date::timestamp FROM django_session",
    )
    .fetch_one(&mut django)
    .await
    .unwrap();
    assert_eq!(local, "Asia/Seoul2100-01-02 12:04:05.000006");
    sqlx::query("UPDATE django_session SET expire_date = '2100-01-02 00:00:00'::timestamp")
        .execute(&mut django)
        .await
        .unwrap();
    let found = engine.load(&key).await.unwrap().unwrap();
    assert_eq!(
        found.expires_at.unwrap().to_string(),
        "2100-01-01 15:00:00 UTC"
    );
}

#[tokio::test]
async fn a_session_that_never_expires_is_read() {
    let (engine, url) = site().await;
    let (key, _) = stored(&engine).await;
    rows(&url, "UPDATE django_session SET expire_date = 'infinity'").await;
    assert!(engine.load(&key).await.unwrap().is_some());
    assert_eq!(engine.list(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_postgresql_cannot_hold_is_an_unknown_one() {
    let (engine, _) = site().await;
    let (_, seen) = stored(&engine).await;
    let data = SessionData::default();
    let record = record(&data);
    for key in [
        "12345678\0",
        "\0\0\0\0\0\0\0\0",
        &"가".repeat(41),
        &"k".repeat(100_000),
    ] {
        let key = SessionKey::parse(key).unwrap();
        assert!(engine.load(&key).await.unwrap().is_none());
        let replaced = engine.replace(&key, &seen, &record).await.unwrap();
        assert!(matches!(replaced, Replaced::Gone));
        let touched = engine.touch(&key, &seen, &record).await.unwrap();
        assert!(matches!(touched, Replaced::Gone));
        for seen in [None, Some(&seen)] {
            assert_eq!(engine.delete(&key, seen).await.unwrap(), Deleted::Gone);
        }
        engine.list(Some(&key), 10).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_is_in_the_order_of_the_bytes_and_uses_an_index() {
    let (engine, url) = site().await;
    let mut keys = Vec::new();
    for key in [
        "aaaaaaaaB",
        "aaaaaaaab",
        "AAAAAAAAA",
        "aaaaaaaa-",
        "zzzzzzzzz",
    ] {
        let key = SessionKey::parse(key).unwrap();
        let created = engine.create(&key, &record(&SessionData::default())).await;
        assert!(matches!(created.unwrap(), Created::Stored(_)));
        keys.push(key);
    }
    keys.sort();
    let mut listed = Vec::new();
    while let Some(page) = engine
        .list(listed.last(), 2)
        .await
        .unwrap()
        .into_iter()
        .next()
    {
        listed.push(page.key);
    }
    assert_eq!(listed, keys);
    let plan = rows(
        &url,
        "EXPLAIN (COSTS OFF) SELECT session_key FROM django_session WHERE session_key ~>~ 'a' \
         ORDER BY session_key USING ~<~ LIMIT 1",
    );
    assert!(plan.await.concat().contains("c0390e0f_like"));
}

#[tokio::test]
async fn a_key_that_the_database_has_no_letters_for_is_unknown_and_fails_no_other() {
    let name = format!("latin1_{}", SessionKey::random().unwrap().as_str());
    SERVER
        .execute(&format!(
            "CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        ))
        .unwrap();
    let url = SERVER.url();
    let (server, _) = url.rsplit_once('/').unwrap();
    let engine = engine(&settings(&format!("{server}/{name}"))).await;
    let (good, _) = stored(&engine).await;
    let strange = SessionKey::parse("€€€€€€€€").unwrap();
    let mut loads = Vec::new();
    for n in 0..200 {
        let key = [&good, &strange][n % 2].clone();
        let engine = engine.clone();
        loads.push(tokio::spawn(async move { engine.load(&key).await }));
    }
    for (n, load) in loads.into_iter().enumerate() {
        let found = load.await.unwrap().unwrap();
        assert_eq!(found.is_some(), n % 2 == 0);
    }
    assert_eq!(engine.delete(&strange, None).await.unwrap(), Deleted::Gone);
}
