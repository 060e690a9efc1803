//! Redis: one server, and Sentinels.

use quintette_testkit::servers::Redis;

use crate::site::Site;
use crate::{blocking, scenes, until};

pub(crate) async fn ask<T: redis::FromRedisValue>(redis: &Redis, words: &[&str]) -> T {
    let client = redis::Client::open(redis.url()).unwrap();
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
