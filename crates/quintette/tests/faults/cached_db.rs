//! A database with a cache in front: the cache may cost speed, and nothing else.

use std::time::Duration;

use quintette::sessions::SessionErrorKind;
use quintette_testkit::servers::{MariaDb, Memcached, Postgres, Proxy, Redis};

use sqlx::{Connection, PgConnection};

use super::load::{Keeps, Load};
use super::{blocking, in_both, through};

#[tokio::test(flavor = "multi_thread")]
async fn its_cache_is_killed_and_restarted_and_no_request_notices() {
    let (postgres, redis) = blocking(|| (Postgres::start().unwrap(), Redis::durable().unwrap()));
    let database = blocking(|| postgres.new_database()).unwrap();
    let sessions = in_both(&database, &redis.url()).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for _ in 0..2 {
        load.goes_on(200).await;
        blocking(|| redis.kill());
        load.goes_on(200).await;
        // With all that it held when it died, which is older than the rows by now.
        blocking(|| redis.restart().unwrap());
        load.goes_on(200).await;
    }
    let report = load.stop().await;
    report.is_true().await;
    assert_eq!((report.refused, report.unknown), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_cache_hangs_and_no_request_is_refused() {
    let (postgres, redis) = blocking(|| (Postgres::start().unwrap(), Redis::start().unwrap()));
    let database = blocking(|| postgres.new_database()).unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    let sessions = in_both(&database, &through(&redis.url(), proxy.port())).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for fault in [Proxy::hang, Proxy::cut, Proxy::hang] {
        load.goes_on(200).await;
        fault(&proxy);
        load.goes_on(100).await;
        proxy.heal();
    }
    load.goes_on(200).await;
    let report = load.stop().await;
    report.is_true().await;
    assert_eq!((report.refused, report.unknown), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_memcached_is_killed_and_restarted_and_no_request_notices() {
    let (mariadb, memcached) =
        blocking(|| (MariaDb::start().unwrap(), Memcached::start().unwrap()));
    let database = blocking(|| mariadb.new_database()).unwrap();
    let sessions = in_both(&database, &memcached.url()).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for _ in 0..3 {
        load.goes_on(200).await;
        blocking(|| memcached.kill());
        load.goes_on(100).await;
        blocking(|| memcached.restart().unwrap());
        load.goes_on(200).await;
    }
    let report = load.stop().await;
    report.is_true().await;
    assert_eq!((report.refused, report.unknown), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_database_is_killed_and_restarted() {
    let (postgres, redis) = blocking(|| (Postgres::start().unwrap(), Redis::start().unwrap()));
    let database = blocking(|| postgres.new_database()).unwrap();
    let sessions = in_both(&database, &redis.url()).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    load.goes_on(200).await;
    blocking(|| postgres.kill());
    load.is_refused(40).await;
    blocking(|| postgres.restart().unwrap());
    load.goes_on(200).await;
    load.stop().await.is_true().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_that_is_done_after_its_answer_was_lost_is_not_undone_by_the_cache() {
    let (postgres, redis) = blocking(|| (Postgres::start().unwrap(), Redis::start().unwrap()));
    let database = blocking(|| postgres.new_database()).unwrap();
    let sessions = in_both(&database, &redis.url()).await;
    // So that the statement is prepared, and nothing of it waits to be sent.
    let before = sessions.session(None);
    before.insert("made", true).unwrap();
    before.save().await.unwrap();
    before.flush().await.unwrap();
    let session = sessions.session(None);
    session.insert("made", true).unwrap();
    session.save().await.unwrap();
    let key = session.key().unwrap();
    // Others may read meanwhile, and nobody may write.
    let mut other = PgConnection::connect(&database).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE django_session IN SHARE MODE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let error = session.flush().await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unknown, "{error}");
    // Long enough for what is owed to the cache to be paid.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(sessions.engine().load(&key).await.unwrap().is_some());
    transaction.rollback().await.unwrap();
    while sqlx::query("SELECT FROM django_session")
        .fetch_optional(&mut other)
        .await
        .unwrap()
        .is_some()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(sessions.engine().load(&key).await.unwrap().is_none());
}
