//! Redis: one server, Sentinel and a Cluster.

use quintette_testkit::servers::{Proxy, Redis, RedisCluster, RedisSentinel};

use super::load::{Keeps, Load};
use super::{blocking, in_cache, through};

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_restarted_and_keeps_its_data() {
    let server = blocking(Redis::durable).unwrap();
    let sessions = in_cache(&server.url()).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for _ in 0..2 {
        load.goes_on(500).await;
        blocking(|| server.kill());
        load.is_refused(40).await;
        blocking(|| server.restart().unwrap());
        load.goes_on(500).await;
    }
    load.stop().await.is_true().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_restarted_and_has_forgotten_everything() {
    let server = blocking(Redis::start).unwrap();
    let sessions = in_cache(&server.url()).await;
    let load = Load::on(&sessions, Keeps::Nothing).await;
    load.goes_on(500).await;
    blocking(|| server.kill());
    load.is_refused(40).await;
    blocking(|| server.restart().unwrap());
    load.goes_on(500).await;
    let report = load.stop().await;
    let ended = report.ended.clone();
    report.claims_no_more_than_was_done(&ended).await;
    assert!(report.forgotten > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_cut_off_before_it_answers() {
    let server = blocking(Redis::durable).unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    let sessions = in_cache(&through(&server.url(), proxy.port())).await;
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
async fn redis_hangs_and_is_cut_off() {
    let server = blocking(Redis::durable).unwrap();
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

/// Redis replicates after it has answered: what it acknowledged in its last moment, a replica may never have heard of.
/// Redis promises no more, so that no more can be asked here.
#[tokio::test(flavor = "multi_thread")]
async fn the_sentinels_choose_another_master() {
    let servers = blocking(RedisSentinel::start).unwrap();
    let sessions = in_cache(&servers.url()).await;
    let load = Load::on(&sessions, Keeps::Nothing).await;
    load.goes_on(500).await;
    let ended = load.ended();
    load.goes_on(200).await;
    let port = blocking(|| servers.kill_master()).unwrap();
    load.is_refused(20).await;
    blocking(|| servers.wait_for_failover(port)).unwrap();
    load.goes_on(500).await;
    load.stop().await.claims_no_more_than_was_done(&ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_the_cluster_dies_and_its_replica_takes_over() {
    let servers = blocking(RedisCluster::with_replicas).unwrap();
    let sessions = in_cache(&servers.url()).await;
    let load = Load::on(&sessions, Keeps::Nothing).await;
    load.goes_on(500).await;
    let ended = load.ended();
    load.goes_on(200).await;
    let node = blocking(|| servers.kill_master_of("anything")).unwrap();
    load.is_refused(20).await;
    load.goes_on(500).await;
    blocking(|| servers.restart_node(node)).unwrap();
    blocking(|| servers.wait_until_whole()).unwrap();
    load.goes_on(500).await;
    load.stop().await.claims_no_more_than_was_done(&ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_the_cluster_dies_and_comes_back() {
    let servers = blocking(RedisCluster::start).unwrap();
    let sessions = in_cache(&servers.url()).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    load.goes_on(500).await;
    blocking(|| servers.kill_node(0));
    load.is_refused(20).await;
    blocking(|| servers.restart_node(0)).unwrap();
    blocking(|| servers.wait_until_whole()).unwrap();
    load.goes_on(500).await;
    load.stop().await.is_true().await;
}
