//! Tasks that are due long after the broker would have given them to somebody else.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use quintette_testkit::servers::{RabbitMq, Redis};
use tokio::time::sleep;

use crate::book::{Book, Kind};
use crate::site::Site;
use crate::workers::{EARLY, LATE, Workers};
use crate::{blocking, until};

/// Of each kind: on Redis more than two workers keep in memory.
const ON_REDIS: u32 = 1_200;
const ON_RABBITMQ: u32 = 400;

/// After how long a broker gives what is held to somebody else.
const LIMIT: Duration = Duration::from_secs(3);

/// Seven times as long.
const DUE: TimeDelta = TimeDelta::seconds(21);

/// How often tasks ran, when all have: of each kind, those that ran once and those that ran more often.
#[derive(Debug)]
struct Ran {
    early: [usize; 2],
    late: [usize; 2],
}

async fn tasks_far_off(site: &Site, count: u32) -> Ran {
    let (app, book) = (site.app(), Arc::new(Book::new()));
    let workers = Workers::start(site, &book, 2);
    let due = Utc::now() + DUE;
    let calls = (0..count).flat_map(|number| {
        let both = [EARLY.s((number,)).unwrap(), LATE.s((number,)).unwrap()];
        both.map(|call| call.eta(due))
    });
    let calls: Vec<_> = calls.collect();
    app.send_all(&calls).await.unwrap();
    while Utc::now() < due {
        book.look(|pages| assert!(pages.runs.is_empty() || Utc::now() >= due, "too early"));
        sleep(Duration::from_millis(50)).await;
    }
    let ran = |wanted: Kind| {
        book.look(|pages| {
            let runs = pages.runs.iter().filter(|((kind, _), _)| *kind == wanted);
            let runs: Vec<_> = runs.map(|(_, runs)| runs.begun.len()).collect();
            let once = runs.iter().filter(|runs| **runs == 1).count();
            [once, runs.len() - once]
        })
    };
    let total = count as usize;
    until("all late ones run", async || {
        ran(Kind::Late).iter().sum::<usize>() == total
    })
    .await;
    let waiting = async |queue: &str| app.broker().waiting(queue).await.unwrap();
    until("the queue is empty", async || {
        waiting(&site.queue).await == 0
    })
    .await;
    workers.end().await;
    assert_eq!(waiting(&site.queue).await, 0);
    let dead = waiting(&format!("{}.dead", site.queue)).await;
    assert_eq!(dead, 0, "good tasks were set aside");
    let (early, late) = (ran(Kind::Early), ran(Kind::Late));
    let ran = Ran { early, late };
    println!("{}: ran once, and more often: {ran:?}", site.queue);
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_tasks_due_long_after_the_visibility_timeout_run_once() {
    let redis = blocking(Redis::start).unwrap();
    let site = Site {
        visibility: LIMIT,
        ..Site::new(&redis.url(), "celery")
    };
    let ran = tasks_far_off(&site, ON_REDIS).await;
    assert_eq!(ran.early, [ON_REDIS as usize, 0]);
    assert_eq!(ran.late, [ON_REDIS as usize, 0]);
    crate::redis::nothing_is_held(&redis).await;
}

/// `RabbitMQ` closes a channel on which a delivery is not acknowledged for half an hour (`consumer_timeout`), and delivers again.
#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_tasks_due_long_after_the_consumer_timeout_run() {
    let timeout = LIMIT.as_millis();
    let impatient = format!("consumer_timeout = {timeout}");
    let server = blocking(|| RabbitMq::start_with(&impatient)).unwrap();
    let classic = Site::new(&server.url(), "classic");
    let quorum = Site {
        quorum: true,
        ..Site::new(&server.url(), "quorum")
    };
    let (classic, quorum) = tokio::join!(
        tasks_far_off(&classic, ON_RABBITMQ),
        tasks_far_off(&quorum, ON_RABBITMQ)
    );
    for ran in [classic, quorum] {
        assert_eq!(ran.early[1], 0);
    }
}
