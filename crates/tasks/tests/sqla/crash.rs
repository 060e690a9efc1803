use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use quintette_tasks::brokers::Broker;

use crate::{bodies, broker, consume, next, send};

const DIRECTORY: &str = "SQLA_TEST_DIRECTORY";

/// The worker that is killed: this test program once more. It does nothing by itself.
#[tokio::test]
async fn a_worker_that_holds_what_it_took() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let mut consumer = consume(&broker(&directory), "celery", 2).await;
    let held = next(&mut consumer).await;
    consumer.channel().ack(&[held[0].tag]).await.unwrap();
    std::fs::write(directory.join("holds"), "").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_message_of_a_killed_worker_is_delivered_elsewhere_and_what_it_acknowledged_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    for body in ["done", "held"] {
        send(&broker, "celery", body).await;
    }
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_worker_that_holds_what_it_took"])
        .env(DIRECTORY, directory.path())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !directory.path().join("holds").exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "the worker took nothing"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(broker.waiting("celery").await.unwrap(), 0);
    worker.kill().unwrap();
    worker.wait().unwrap();
    let mut consumer = consume(&broker, "celery", 0).await;
    let again = next(&mut consumer).await;
    assert_eq!(bodies(&again), ["held"]);
    assert!(again[0].redelivered);
}
