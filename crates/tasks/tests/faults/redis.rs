//! Redis: one server, and Sentinels.

use quintette_testkit::servers::Redis;

use crate::site::Site;
use crate::{blocking, scenes};

async fn nothing_is_held(redis: &Redis) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for (command, key) in [("HLEN", "unacked"), ("ZCARD", "unacked_index")] {
        let mut command = redis::cmd(command);
        let held: u64 = command.arg(key).query_async(&mut connection).await.unwrap();
        assert_eq!(held, 0, "{key}");
    }
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
    scenes::the_broker_is_killed(&site, 2, || redis.kill(), || redis.restart().unwrap()).await;
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
