use std::time::{Duration, Instant};

use quintette::db::Database;
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Deleted, Record, Replaced, SessionData, SessionEngine, SessionErrorKind, SessionKey,
};
use quintette_testkit::servers::{Postgres, Proxy};
use sqlx::{Connection, PgConnection};

use super::{SERVER, by_way_of, engine, record, rows, settings, site, stored, touch};

#[tokio::test]
async fn a_restart_costs_a_read_nothing() {
    let server = Postgres::start().unwrap();
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
    let server = Postgres::start().unwrap();
    let mut settings = settings(&server.url());
    settings.session_store_timeout = Duration::from_millis(300);
    let engine = engine(&settings).await;
    let (key, seen) = stored(&engine).await;
    server.kill();
    // The connection was used before and is dead: what was sent on it, nobody knows.
    let lost = touch(&engine, &key, &seen).await.unwrap_err();
    assert_eq!(lost.kind(), SessionErrorKind::Unknown);
    for _ in 0..5 {
        let begun = Instant::now();
        let read = engine.load(&key).await.unwrap_err();
        assert_eq!(read.kind(), SessionErrorKind::Unavailable);
        // Nothing was sent.
        let written = touch(&engine, &key, &seen).await.unwrap_err();
        assert_eq!(written.kind(), SessionErrorKind::Unavailable);
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
    let Replaced::Stored(receipt) = touch(&engine, &key, &seen).await.unwrap() else {
        panic!("nobody else writes");
    };
    let later = Record {
        data: &data,
        expires_at: "2100-01-01T00:00:00Z".parse().unwrap(),
    };
    proxy.cut_before_answer();
    let error = engine.touch(&key, &receipt.revision.unwrap(), &later).await;
    assert_eq!(error.unwrap_err().kind(), SessionErrorKind::Unknown);
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
                touch(&engine, &key, &seen).await.unwrap_err().kind()
            }
        })
    });
    let mut kinds = Vec::new();
    for visitor in visitors.collect::<Vec<_>>() {
        kinds.push(visitor.await.unwrap());
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(kinds.contains(&SessionErrorKind::Unknown));
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
async fn a_connection_that_the_server_ended_did_not_write() {
    let (engine, url) = site().await;
    for _ in 0..20 {
        let (key, seen) = stored(&engine).await;
        rows(
            &url,
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
        let error = engine.delete(&key, Some(&seen)).await;
        if let Err(error) = error {
            assert_eq!(error.kind(), SessionErrorKind::Unavailable, "{error}");
            assert!(engine.load(&key).await.unwrap().is_some());
        }
        let replaced = touch(&engine, &key, &seen).await.unwrap();
        assert!(matches!(replaced, Replaced::Stored(_)));
    }
}

#[tokio::test]
async fn a_read_only_database_is_read_and_says_why_it_takes_no_write() {
    let (_, url) = site().await;
    let url = format!("{url}?options=-c%20default_transaction_read_only%3Don");
    let settings = settings(&url);
    let database = Database::connect(&settings).await.unwrap();
    let engine = DbEngine::new(&database, &settings).await.unwrap();
    let key = SessionKey::random().unwrap();
    assert!(engine.load(&key).await.unwrap().is_none());
    let created = engine.create(&key, &record(&SessionData::default())).await;
    let error = created.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    assert!(error.to_string().contains("standby"), "{error}");
}

#[tokio::test]
async fn a_server_without_connections_to_spare_serves_with_those_that_there_are() {
    let (_, url) = site().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in [
        "CREATE ROLE crowd LOGIN CONNECTION LIMIT 2",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO crowd",
    ] {
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let settings = settings(&url.replace("postgres@", "crowd@"));
    let engine = engine(&settings).await;
    let writers = (0..64).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move { stored(&engine).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let error = loop {
        // Which of them it is that finds no room is not ours to say.
        let taken = PgConnection::connect(&url.replace("postgres@", "crowd@")).await;
        match Database::connect(&settings).await {
            Err(error) => break error,
            Ok(_) => drop(taken),
        }
    };
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_no_time_left_to_connect_does_not_refuse_the_next() {
    let proxy = Proxy::before(SERVER.address()).unwrap();
    let url = SERVER.new_database().unwrap();
    let mut settings = settings(&format!("{}?max_connections=1", by_way_of(&proxy, &url)));
    settings.session_store_timeout = Duration::from_secs(3);
    let engine = engine(&settings).await;
    let (key, _) = stored(&engine).await;
    proxy.hang();
    let first = {
        let (engine, key) = (engine.clone(), key.clone());
        tokio::spawn(async move { engine.delete(&key, None).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    // It gets its turn, and the task to connect anew, half a second before its time is over.
    let error = engine.delete(&key, None).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    assert!(first.await.unwrap().is_err());
    proxy.heal();
    let mut loads = Vec::new();
    for _ in 0..10 {
        let key = SessionKey::random().unwrap();
        let engine = engine.clone();
        loads.push(tokio::spawn(async move { engine.delete(&key, None).await }));
    }
    for load in loads {
        assert_eq!(load.await.unwrap().unwrap(), Deleted::Gone);
    }
}
