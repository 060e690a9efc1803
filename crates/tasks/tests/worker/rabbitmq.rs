//! The same on RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use quintette_tasks::TaskSettings;
use quintette_tasks::brokers::{AmqpBroker, BrokerErrorKind};
use quintette_tasks::results::MemoryResults;
use quintette_tasks::worker::Tasks;
use quintette_testkit::servers::{Proxy, RabbitMq};

use crate::scenes;
use crate::site::{Site, call, until};

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
    a_queue_that_is_refused_does_not_keep_a_worker_from_reconnecting(&url, &proxy).await;
}

/// A queue that exists with other arguments is refused by the broker, whenever it is asked.
async fn a_queue_that_is_refused_does_not_keep_a_worker_from_reconnecting(
    url: &str,
    proxy: &Proxy,
) {
    let direct = site(url);
    let behind = url.replace(
        &url[url.rfind('@').unwrap() + 1..url.rfind('/').unwrap()],
        &proxy.address().to_string(),
    );
    let site = Site {
        results: direct.results.clone(),
        ..site(&behind)
    };
    let mut other = site.app().queue("of-others");
    other.max_priority = Some(9);
    direct.broker.declare(&other).await.unwrap();
    let worker = site.start(Tasks::new().with_any("shop.quick", |_, _| async { Ok(1) }));
    let handle = worker.handle.clone();
    until("it takes from its queue", async || {
        handle.state.queues().len() == 1
    })
    .await;
    let first = direct.send(call("shop.quick", (1,))).await;
    direct.result(&first).await;
    let refused = handle.add_queue(site.app().queue("of-others")).await;
    assert_eq!(refused.unwrap_err().kind(), BrokerErrorKind::Refused);
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.heal();
    let second = direct.send(call("shop.quick", (2,))).await;
    direct.result(&second).await;
    worker.stop().await;
}
