//! A database with a cache in front: the cache may cost speed, and nothing else.

use quintette_testkit::servers::{MariaDb, Memcached, Postgres, Proxy, Redis};

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
