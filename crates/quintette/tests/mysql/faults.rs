use std::time::{Duration, Instant};

use quintette::db::Database;
use quintette::sessions::{Record, SessionData, SessionEngine, SessionErrorKind, SessionKey};
use quintette_testkit::servers::{MariaDb, Proxy};
use sqlx::{Connection, MySqlConnection};

use super::{SERVER, by_way_of, engine, execute, receipt, record, settings, site, stored, text};

#[tokio::test]
async fn a_restart_costs_a_read_nothing() {
    let server = MariaDb::start().unwrap();
    let engine = engine(&settings(&server.url())).await;
    let (key, _) = stored(&engine).await;
    server.kill();
    server.restart().unwrap();
    assert!(engine.load(&key).await.unwrap().is_some());
    server.restart().unwrap();
    assert!(engine.load(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_is_down_is_told_within_the_bound_and_service_returns() {
    let server = MariaDb::start().unwrap();
    let mut settings = settings(&server.url());
    settings.session_store_timeout = Duration::from_millis(300);
    let engine = engine(&settings).await;
    let (key, seen) = stored(&engine).await;
    server.kill();
    let data = SessionData::default();
    // The connection was used before and is dead: what was sent on it, nobody knows.
    let lost = engine.touch(&key, &seen, &record(&data)).await;
    assert_eq!(lost.unwrap_err().kind(), SessionErrorKind::Unknown);
    for _ in 0..5 {
        let begun = Instant::now();
        let read = engine.load(&key).await.unwrap_err();
        assert_eq!(read.kind(), SessionErrorKind::Unavailable);
        // Nothing was sent.
        let written = engine.touch(&key, &seen, &record(&data)).await;
        assert_eq!(written.unwrap_err().kind(), SessionErrorKind::Unavailable);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    server.restart().unwrap();
    let begun = Instant::now();
    while engine.load(&key).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_unknown() {
    let proxy = Proxy::before(SERVER.address()).unwrap();
    let url = SERVER.new_database().unwrap();
    let engine = engine(&settings(&by_way_of(&proxy, &url))).await;
    let (key, seen) = stored(&engine).await;
    let data = SessionData::default();
    // Prepares the statement, so that what is cut below is the answer to its execution.
    receipt(engine.touch(&key, &seen, &record(&data)).await.unwrap());
    let later = Record {
        data: &data,
        expires_at: "2100-01-01T00:00:00Z".parse().unwrap(),
    };
    proxy.cut_before_answer();
    let error = engine.touch(&key, &seen, &later).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unknown);
    assert_eq!(proxy.answers_cut(), 1);
    // As it happens, it was done.
    let found = engine.load(&key).await.unwrap().unwrap();
    assert_eq!(found.expires_at, Some(later.expires_at));
}

#[tokio::test]
async fn a_read_whose_answer_was_lost_is_sent_again() {
    let proxy = Proxy::before(SERVER.address()).unwrap();
    let url = SERVER.new_database().unwrap();
    let engine = engine(&settings(&by_way_of(&proxy, &url))).await;
    let (key, _) = stored(&engine).await;
    proxy.cut_before_answer();
    assert!(engine.load(&key).await.unwrap().is_some());
    assert_eq!(proxy.answers_cut(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_is_answered_for_within_the_bound() {
    let proxy = Proxy::before(SERVER.address()).unwrap();
    let url = SERVER.new_database().unwrap();
    let mut settings = settings(&by_way_of(&proxy, &url));
    settings.session_store_timeout = Duration::from_millis(300);
    let engine = engine(&settings).await;
    let (key, seen) = stored(&engine).await;
    proxy.hang();
    let begun = Instant::now();
    let visitors = (0..64).map(|n| {
        let (engine, key, seen) = (engine.clone(), key.clone(), seen.clone());
        tokio::spawn(async move {
            if n % 2 == 0 {
                engine.load(&key).await.unwrap_err().kind()
            } else {
                let data = SessionData::default();
                let written = engine.touch(&key, &seen, &record(&data)).await;
                written.unwrap_err().kind()
            }
        })
    });
    let mut kinds = Vec::new();
    for visitor in visitors.collect::<Vec<_>>() {
        kinds.push(visitor.await.unwrap());
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(kinds.contains(&SessionErrorKind::Unavailable));
    assert!(kinds.iter().all(|kind| matches!(
        kind,
        SessionErrorKind::Unknown | SessionErrorKind::Unavailable
    )));
    proxy.heal();
    let begun = Instant::now();
    while engine.load(&key).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ended_costs_at_most_an_error() {
    let (engine, url) = site().await;
    for _ in 0..10 {
        let (key, seen) = stored(&engine).await;
        let others = "SELECT COALESCE(GROUP_CONCAT('KILL ', id SEPARATOR ';'), 'DO 1') \
                      FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        execute(&url, &[&text(&url, others).await]).await;
        let data = SessionData::default();
        if let Err(error) = engine.touch(&key, &seen, &record(&data)).await {
            assert_eq!(error.status(), 503, "{error}");
        }
        assert!(engine.load(&key).await.unwrap().is_some());
        receipt(engine.touch(&key, &seen, &record(&data)).await.unwrap());
    }
}

/// What is set for the whole server, one after the other.
#[tokio::test]
async fn a_server_that_was_set_so_says_why_it_takes_no_write() {
    let server = MariaDb::start().unwrap();
    let url = server.url();
    engine(&settings(&url)).await;
    execute(
        &url,
        &["CREATE USER shop@'127.0.0.1'; GRANT ALL ON quintette.* TO shop@'127.0.0.1'"],
    )
    .await;
    let shop = settings(&url.replace("root@", "shop@"));
    let data: SessionData =
        SessionData::from_json(format!(r#"{{"x":"{}"}}"#, noise(200_000)).as_bytes()).unwrap();
    let key = SessionKey::random().unwrap();
    for (setting, reset, kind, told) in [
        (
            "SET GLOBAL read_only = 1",
            "SET GLOBAL read_only = 0",
            SessionErrorKind::Unavailable,
            "read-only",
        ),
        (
            "SET GLOBAL max_allowed_packet = 65536",
            "SET GLOBAL max_allowed_packet = 16777216",
            SessionErrorKind::TooLarge,
            "max_allowed_packet",
        ),
    ] {
        execute(&url, &[setting]).await;
        let engine = engine(&shop).await;
        let created = engine.create(&key, &record(&data)).await;
        let error = created.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(engine.load(&key).await.unwrap().is_none());
        execute(&url, &[reset]).await;
    }

    // Whatever it does with connections that do not say: each of ours commits.
    execute(
        &url,
        &["SET GLOBAL autocommit = 0; SET GLOBAL sql_mode = ''"],
    )
    .await;
    let (key, _) = stored(&*engine(&shop).await).await;
    assert!(engine(&shop).await.load(&key).await.unwrap().is_some());

    execute(&url, &["SET GLOBAL max_connections = 10"]).await;
    let shop_url = url.replace("root@", "shop@");
    let mut crowd = Vec::new();
    while let Ok(connection) = MySqlConnection::connect(&shop_url).await {
        crowd.push(connection);
    }
    let mut short = shop.clone();
    short.session_store_timeout = Duration::from_millis(100);
    let error = Database::connect(&short).await.unwrap_err();
    assert!(error.to_string().contains("max_connections"), "{error}");
}

/// Text that no compression makes small.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let letters = (0..length).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'A' + u8::try_from((state >> 33) % 26).unwrap())
    });
    letters.collect()
}
