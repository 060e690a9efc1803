//! `RabbitMQ`, with classic and with quorum queues.

use std::sync::LazyLock;
use std::time::Duration;

use quintette_testkit::servers::RabbitMq;
use tokio::time::sleep;

use crate::site::Site;
use crate::{blocking, scenes};

/// The method `basic.ack` of AMQP 0-9-1: class 60, method 80.
const ACK: &[u8] = &[0, 60, 0, 80];

static SHARED: LazyLock<RabbitMq> = LazyLock::new(|| RabbitMq::start().expect("RabbitMQ starts"));

/// A queue of its own on the server that all share which leave it alive.
pub(crate) fn site(queue: &str, quorum: bool) -> Site {
    let server = blocking(|| &*SHARED);
    of(server, queue, quorum)
}

/// Heartbeats of a second, so that a test need not wait for long.
fn of(server: &RabbitMq, queue: &str, quorum: bool) -> Site {
    Site {
        quorum,
        ..Site::new(&format!("{}?heartbeat=1", server.url()), queue)
    }
}

/// `RabbitMQ` confirms what is published, and not what is acknowledged: killed, it delivers again what it had been told was done a
/// moment before. To whom, nobody knows; who has begun it does not begin it again.
async fn is_killed_and_restarted(server: &RabbitMq, quorum: bool) {
    let site = of(server, "restarted", quorum);
    let kill = || {
        // RabbitMQ writes the name of a new quorum queue to the disk half a second later (`ra_directory`): killed before that, it comes back with
        // a queue that has no leader, and answers nobody who consumes it.
        std::thread::sleep(Duration::from_secs(2));
        server.kill();
    };
    let restart = || server.restart().unwrap();
    let (report, lost_at_most) = scenes::the_broker_is_killed(&site, kill, restart).await;
    report.is_true_of_each_process(lost_at_most);
}

/// Longer than a server waits for heartbeats.
async fn until_given_up() {
    sleep(Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_workers_are_killed_again_and_again() {
    scenes::workers_are_killed(&site("killed", false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_quorum_queue_workers_are_killed_again_and_again() {
    scenes::workers_are_killed(&site("killed-quorum", true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_the_server_is_killed_and_restarted() {
    let server = blocking(RabbitMq::start).unwrap();
    is_killed_and_restarted(&server, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_quorum_queue_the_server_is_killed_and_restarted() {
    let server = blocking(RabbitMq::start).unwrap();
    is_killed_and_restarted(&server, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_connections_are_cut() {
    are_cut(site("cut", false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_quorum_queue_connections_are_cut() {
    are_cut(site("cut-quorum", true)).await;
}

/// RabbitMQ does not tell what had begun of what comes again, so that all of it counts: here a message may meet more cuts within a second than
/// `worker_delivery_limit` has in a life.
async fn are_cut(site: Site) {
    let site = Site {
        delivery_limit: 50,
        ..site
    };
    scenes::connections_are_cut(&site, SHARED.address(), &[ACK]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_connections_hang() {
    let site = site("hung", false);
    scenes::connections_hang(&site, SHARED.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_quorum_queue_connections_hang() {
    let site = site("hung-quorum", true);
    scenes::connections_hang(&site, SHARED.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_a_worker_stands_still() {
    scenes::a_worker_stands_still(&site("still", false), until_given_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_quorum_queue_a_worker_stands_still() {
    scenes::a_worker_stands_still(&site("still-quorum", true), until_given_up).await;
}
