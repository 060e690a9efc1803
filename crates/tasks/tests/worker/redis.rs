//! The same on Redis.

use std::sync::Arc;
use std::time::Duration;

use quintette_tasks::TaskSettings;
use quintette_tasks::brokers::RedisBroker;
use quintette_tasks::results::RedisResults;
use quintette_testkit::servers::{Proxy, Redis};

use crate::scenes;
use crate::site::Site;

fn site(url: &str) -> Site {
    let hour = Duration::from_hours(1);
    Site {
        broker: Arc::new(RedisBroker::new(url, hour, "").unwrap()),
        results: Arc::new(RedisResults::new(url, Some(hour), "").unwrap()),
        settings: TaskSettings::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_all_tasks_run_once() {
    let redis = Redis::start().unwrap();
    scenes::all_run_once(&site(&redis.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_a_late_task_of_a_killed_worker_runs_again() {
    let redis = Redis::start().unwrap();
    let (dying, site) = (site(&redis.url()), site(&redis.url()));
    scenes::a_late_task_of_a_killed_worker_runs_again(&dying, &site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_poison_is_set_aside_and_can_be_replayed() {
    let redis = Redis::start().unwrap();
    scenes::poison_is_set_aside_and_can_be_replayed(&site(&redis.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_a_warm_shutdown_gives_back_what_has_not_begun() {
    let redis = Redis::start().unwrap();
    scenes::a_warm_shutdown_gives_back_what_has_not_begun(&site(&redis.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_a_task_that_waits_for_its_time_is_held_and_runs_once() {
    let redis = Redis::start().unwrap();
    scenes::a_task_that_waits_for_its_time_is_held_and_runs_once(&site(&redis.url())).await;
    let redis = Redis::start().unwrap();
    let parked = site(&redis.url()).set(|settings| settings.worker_eta_task_limit = 5);
    scenes::a_task_that_waits_for_its_time_is_held_and_runs_once(&parked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_nothing_is_lost_when_the_connection_breaks() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    let behind = site(&format!("redis://{}/0", proxy.address()));
    scenes::nothing_is_lost_and_early_tasks_do_not_run_twice(
        &site(&redis.url()),
        &behind,
        async || {
            proxy.cut();
            tokio::time::sleep(Duration::from_millis(200)).await;
            proxy.heal();
        },
    )
    .await;
}
