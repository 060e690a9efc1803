//! The same on RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use quintette_tasks::TaskSettings;
use quintette_tasks::brokers::AmqpBroker;
use quintette_tasks::results::MemoryResults;
use quintette_testkit::servers::{Proxy, RabbitMq};

use crate::scenes;
use crate::site::Site;

fn site(url: &str) -> Site {
    Site {
        broker: Arc::new(AmqpBroker::new(url).unwrap()),
        results: Arc::new(MemoryResults::new(None)),
        settings: TaskSettings::default(),
    }
}

/// A start takes seconds: one server for all, which each scene leaves empty.
#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_a_worker_keeps_its_promises() {
    let rabbitmq = RabbitMq::start().unwrap();
    let url = rabbitmq.url();
    scenes::all_run_once(&site(&url)).await;
    let (dying, surviving) = (site(&url), site(&url));
    scenes::a_late_task_of_a_killed_worker_runs_again(&dying, &surviving).await;
    scenes::poison_is_set_aside_and_can_be_replayed(&site(&url)).await;
    scenes::a_task_that_waits_for_its_time_is_held_and_runs_once(&site(&url)).await;

    let proxy = Proxy::before(rabbitmq.address()).unwrap();
    let behind = url.replace(
        &rabbitmq.address().to_string(),
        &proxy.address().to_string(),
    );
    let direct = site(&url);
    let behind = Site {
        results: direct.results.clone(),
        ..site(&behind)
    };
    scenes::nothing_is_lost_and_early_tasks_do_not_run_twice(&direct, &behind, async || {
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(200)).await;
        proxy.heal();
    })
    .await;
    scenes::a_warm_shutdown_gives_back_what_has_not_begun(&site(&url)).await;
}
