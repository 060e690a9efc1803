//! Rows that nobody who means well writes.

use std::path::Path;

use quintette_tasks::brokers::{Broker, Queue};
use sqlx::Connection as _;

use crate::{bodies, broker, consume, next, send};

async fn execute(directory: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join("tasks.db"));
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_row_that_is_no_message_says_so_and_does_not_stop_the_queue() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    broker.declare(&Queue::new("celery")).await.unwrap();
    execute(
        directory.path(),
        "INSERT INTO kombu_message (visible, payload, version, queue_id) SELECT 1, payload, version, id FROM kombu_queue, \
         (SELECT x'ff00fe' AS payload, 1 AS version UNION ALL SELECT 5, 1 UNION ALL SELECT '[]', 'abc' \
         UNION ALL SELECT x'00', -9223372036854775807 - 1 UNION ALL SELECT 'é', 9223372036854775807)",
    )
    .await;
    send(&broker, "celery", "good").await;
    let mut consumer = consume(&broker, "celery", 0).await;
    let mut taken = Vec::new();
    while taken.len() < 6 {
        taken.extend(next(&mut consumer).await);
    }
    let (good, bad): (Vec<_>, Vec<_>) = taken
        .into_iter()
        .partition(|delivery| delivery.message.is_ok());
    assert_eq!((bodies(&good), bad.len()), (vec!["good".to_owned()], 5));
    // They can be given back, too.
    let tags: Vec<_> = bad.iter().map(|delivery| delivery.tag).collect();
    consumer.channel().requeue(&tags).await.unwrap();
    let mut again = Vec::new();
    while again.len() < 5 {
        again.extend(next(&mut consumer).await);
    }
    assert!(again.iter().all(|delivery| delivery.message.is_err()));
}

#[tokio::test]
async fn a_clock_that_jumps_ends_no_lease_of_who_is_awake() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    send(&broker, "celery", "held").await;
    let mut consumer = consume(&broker, "celery", 2).await;
    let held = next(&mut consumer).await;
    execute(directory.path(), "UPDATE quintette_unacked SET until = 1").await;
    send(&broker, "celery", "next").await;
    assert_eq!(bodies(&next(&mut consumer).await), ["next"]);
    assert!(crate::is_quiet(&mut consumer).await);
    consumer.channel().claim(&[held[0].tag]).await.unwrap();
}

#[tokio::test]
async fn what_others_took_over_does_not_begin_here() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    for body in ["one", "two"] {
        send(&broker, "celery", body).await;
    }
    let mut consumer = consume(&broker, "celery", 2).await;
    let mut taken = Vec::new();
    while taken.len() < 2 {
        taken.extend(next(&mut consumer).await);
    }
    execute(
        directory.path(),
        "UPDATE quintette_unacked SET owner = 'another' WHERE id = (SELECT MIN(id) FROM quintette_unacked)",
    )
    .await;
    let tags: Vec<_> = taken.iter().map(|delivery| delivery.tag).collect();
    let channel = consumer.channel();
    assert!(channel.claim(&tags).await.is_err());
    channel.claim(&tags[1..]).await.unwrap();
}
