//! Redis: one server, and Sentinels.

use std::sync::Arc;
use std::time::Duration;

use quintette_testkit::servers::{Redis, RedisSentinel};

use crate::book::Book;
use crate::load::Load;
use crate::site::Site;
use crate::workers::Workers;
use crate::{blocking, scenes, until};

pub(crate) async fn ask<T: redis::FromRedisValue>(redis: &Redis, words: &[&str]) -> T {
    ask_at(&redis.url(), words).await
}

pub(crate) async fn ask_at<T: redis::FromRedisValue>(url: &str, words: &[&str]) -> T {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.unwrap()
}

pub(crate) async fn nothing_is_held(redis: &Redis) {
    let held: (u64, u64) = (
        ask(redis, &["HLEN", "unacked"]).await,
        ask(redis, &["ZCARD", "unacked_index"]).await,
    );
    assert_eq!(held, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_workers_are_killed_again_and_again() {
    let redis = blocking(Redis::start).unwrap();
    scenes::workers_are_killed(&Site::new(&redis.url(), "celery")).await;
    nothing_is_held(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_the_server_is_killed_and_restarted() {
    let redis = blocking(Redis::durable).unwrap();
    let site = Site::new(&redis.url(), "celery");
    let (kill, restart) = (|| redis.kill(), || redis.restart().unwrap());
    let (report, lost_at_most) = scenes::the_broker_is_killed(&site, kill, restart).await;
    report.is_true(lost_at_most);
    nothing_is_held(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_connections_are_cut() {
    let redis = blocking(Redis::start).unwrap();
    let site = Site::new(&redis.url(), "celery");
    scenes::connections_are_cut(&site, redis.address(), &[b"EVALSHA", b"HDEL"]).await;
    nothing_is_held(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_connections_hang() {
    let redis = blocking(Redis::start).unwrap();
    let site = Site::new(&redis.url(), "celery");
    scenes::connections_hang(&site, redis.address()).await;
    nothing_is_held(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_a_worker_stands_still() {
    let redis = blocking(Redis::start).unwrap();
    let site = Site::new(&redis.url(), "celery");
    scenes::a_worker_stands_still(&site, async || {
        until("the worker is held to be dead", async || {
            ask::<u64>(&redis, &["ZCARD", "quintette.workers"]).await == 1
        })
        .await;
    })
    .await;
    nothing_is_held(&redis).await;
}

/// How far a server's replica is, and how far the server itself.
async fn offsets(master: &str) -> (u64, u64) {
    let said: String = ask_at(master, &["INFO", "replication"]).await;
    let number = |name: &str| {
        let (_, rest) = said.split_once(name)?;
        let digits = rest.split(|digit: char| !digit.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    let replica = number(",offset=").unwrap_or(0);
    (replica, number("master_repl_offset:").unwrap())
}

/// Redis replicates after it has answered: what a master confirmed in its last moments, a replica may never have heard of. Nobody can
/// promise that it runs; all that the replica had, runs. An acknowledgement of those moments may be forgotten, too.
#[tokio::test(flavor = "multi_thread")]
async fn on_redis_the_sentinels_choose_another_master() {
    let servers = blocking(RedisSentinel::start).unwrap();
    let site = Site {
        // What was forgotten comes again after it, and not in an hour.
        visibility: Duration::from_secs(5),
        ..Site::new(&servers.url(), "celery")
    };
    let book = Arc::new(Book::new());
    let workers = Workers::start(&site, &book, 2);
    let load = Load::start(&site, &book);
    load.goes_on_everywhere(&workers.ids(), 200).await;
    let master = format!(
        "redis://127.0.0.1:{}",
        blocking(|| servers.master_port()).unwrap()
    );
    let safe = load.confirmed();
    let (_, written) = offsets(&master).await;
    until("the replica has it", async || {
        offsets(&master).await.0 >= written
    })
    .await;

    let killed = blocking(|| servers.kill_master()).unwrap();
    load.is_refused(5).await;
    let lost = &load.confirmed() - &safe;
    let promoted = blocking(|| servers.wait_for_failover(killed)).unwrap();
    load.goes_on_everywhere(&workers.ids(), 200).await;
    blocking(|| servers.restart_killed()).unwrap();
    blocking(|| servers.wait_until_whole()).unwrap();
    load.goes_on_everywhere(&workers.ids(), 200).await;
    let promoted = format!("redis://127.0.0.1:{promoted}");
    let nothing_is_left = async || ask_at::<u64>(&promoted, &["HLEN", "unacked"]).await == 0;
    let report = load.close_but(&site, workers, &lost, nothing_is_left).await;
    report.is_true_of_each_process(2 * site.concurrency + lost.len());
}
