//! Memcached, which forgets everything with its process.

use quintette_testkit::servers::{Memcached, Proxy};

use super::load::{Keeps, Load};
use super::{blocking, in_cache, through};

#[tokio::test(flavor = "multi_thread")]
async fn memcached_is_killed_and_restarted() {
    let server = blocking(Memcached::start).unwrap();
    let sessions = in_cache(&server.url()).await;
    let load = Load::on(&sessions, Keeps::Nothing).await;
    for _ in 0..3 {
        load.goes_on(500).await;
        blocking(|| server.kill());
        load.is_refused(40).await;
        blocking(|| server.restart().unwrap());
        load.goes_on(500).await;
    }
    let report = load.stop().await;
    let ended = report.ended.clone();
    report.claims_no_more_than_was_done(&ended).await;
    assert!(report.forgotten > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn memcached_is_cut_off_before_it_answers() {
    let server = blocking(Memcached::start).unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    let sessions = in_cache(&through(&server.url(), proxy.port())).await;
    // The server itself goes on, and so forgets nothing.
    let load = Load::on(&sessions, Keeps::Everything).await;
    for round in 1..=20 {
        load.goes_on(50).await;
        proxy.cut_before_answer();
        while proxy.answers_cut() < round {
            load.goes_on(1).await;
        }
    }
    load.goes_on(100).await;
    let report = load.stop().await;
    report.is_true().await;
    assert!(report.unknown > 0, "each lost answer to a write is unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn memcached_hangs_and_is_cut_off() {
    let server = blocking(Memcached::start).unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    let sessions = in_cache(&through(&server.url(), proxy.port())).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for fault in [Proxy::hang, Proxy::cut, Proxy::hang] {
        load.goes_on(500).await;
        fault(&proxy);
        load.is_refused(40).await;
        proxy.heal();
    }
    load.goes_on(500).await;
    load.stop().await.is_true().await;
}
