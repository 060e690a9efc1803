//! `RabbitMQ`, with classic and with quorum queues.

use std::sync::LazyLock;

use quintette_testkit::servers::RabbitMq;

use crate::site::Site;
use crate::{blocking, scenes};

/// The method `basic.ack` of AMQP 0-9-1: class 60, method 80.
const ACK: &[u8] = &[0, 60, 0, 80];

static SHARED: LazyLock<RabbitMq> = LazyLock::new(|| RabbitMq::start().expect("RabbitMQ starts"));

/// A queue of its own on the server that all share which leave it alive.
fn site(queue: &str, quorum: bool) -> Site {
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
    let site = of(&server, "restarted", false);
    scenes::the_broker_is_killed(&site, 2, || server.kill(), || server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_quorum_queue_the_server_is_killed_and_restarted() {
    let server = blocking(RabbitMq::start).unwrap();
    let site = of(&server, "restarted", true);
    scenes::the_broker_is_killed(&site, 2, || server.kill(), || server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_connections_are_cut() {
    let site = site("cut", false);
    scenes::connections_are_cut(&site, SHARED.address(), &[ACK]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_quorum_queue_connections_are_cut() {
    let site = site("cut-quorum", true);
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
