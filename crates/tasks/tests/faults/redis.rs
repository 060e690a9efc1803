//! Redis: one server, and Sentinels.

use std::sync::Arc;

use quintette_testkit::servers::Redis;

use crate::blocking;
use crate::book::Book;
use crate::load::Load;
use crate::site::Site;
use crate::workers::{CONCURRENCY, Workers};

async fn held(url: &str) -> u64 {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd("HLEN");
    command
        .arg("unacked")
        .query_async(&mut connection)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_workers_are_killed_again_and_again() {
    let redis = blocking(Redis::start).unwrap();
    let site = Site::new(&redis.url(), "celery");
    let book = Arc::new(Book::new());
    let mut workers = Workers::start(&site, &book, 3);
    let load = Load::start(&site, &book);
    let kills = 10;
    for _ in 0..kills {
        load.goes_on(150).await;
        blocking(|| workers.kill_the_oldest());
        workers.start_one();
    }
    load.goes_on_everywhere(&workers.ids(), 50).await;
    let report = load.close(&site, workers).await;
    report.is_true(kills * CONCURRENCY);
    assert_eq!(held(&redis.url()).await, 0);
}
