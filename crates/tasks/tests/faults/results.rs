//! Results that are waited for while what keeps or carries them is killed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use quintette_tasks::brokers::BrokerErrorKind;
use quintette_tasks::results::ResultErrorKind;
use quintette_tasks::{App, OutcomeError, SendError};
use quintette_testkit::servers::{RabbitMq, Redis};
use tokio::time::{sleep, timeout};

use crate::book::Book;
use crate::site::Site;
use crate::workers::{LATE, Workers};
use crate::{PATIENCE, blocking};

/// How many are waited for at once.
const AT_ONCE: u32 = 200;

/// What those were told who waited.
#[derive(Debug, Default)]
struct Told {
    results: usize,
    /// That the store could not be reached.
    unavailable: usize,
    /// That it was not ready in time.
    timed_out: usize,
}

/// Sends a task, and waits for its result; asks again where the store could not be reached.
async fn one(app: &App, number: u32, patience: Option<Duration>) -> Told {
    let mut told = Told::default();
    let call = LATE.s((number,)).unwrap();
    let result = loop {
        match app.send(&call).await {
            Ok(result) => break result.typed::<u32>(),
            Err(SendError::Broker(error)) if error.kind() == BrokerErrorKind::Unavailable => {}
            Err(SendError::Results(error)) if error.kind() == ResultErrorKind::Unavailable => {}
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(100)).await;
    };
    loop {
        let answer = timeout(PATIENCE, result.get(patience)).await;
        match answer.expect("whoever waits is told something") {
            Ok(result) => {
                assert_eq!(result, number);
                told.results += 1;
                return told;
            }
            Err(OutcomeError::Store(error)) if error.kind() == ResultErrorKind::Unavailable => {
                told.unavailable += 1;
            }
            Err(OutcomeError::TimedOut) => {
                told.timed_out += 1;
                return told;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn many(app: &App, first: u32, patience: Option<Duration>) -> Told {
    let all = (first..first + AT_ONCE).map(|number| one(app, number, patience));
    let mut total = Told::default();
    for told in join_all(all).await {
        total.results += told.results;
        total.unavailable += told.unavailable;
        total.timed_out += told.timed_out;
    }
    total
}

async fn are_waited_for(
    site: &Site,
    patience: Option<Duration>,
    kill: impl Fn(),
    restart: impl Fn(),
) -> Told {
    let book = Arc::new(Book::new());
    let mut workers = Workers::start(site, &book, 2);
    let app = site.app();
    let mut total = Told::default();
    let rounds = 8;
    for round in 0..rounds {
        let faults = async {
            if round % 4 != 1 {
                return;
            }
            let done = || book.look(|pages| pages.done);
            let from = done();
            crate::until("some are done", async || done() > from + 50).await;
            blocking(&kill);
            sleep(Duration::from_millis(500)).await;
            blocking(&restart);
        };
        let (told, ()) = tokio::join!(many(&app, round * AT_ONCE, patience), faults);
        total.results += told.results;
        total.unavailable += told.unavailable;
        total.timed_out += told.timed_out;
    }
    println!("{total:?}");
    workers.assert_all_alive();
    workers.end().await;
    assert_eq!(total.results + total.timed_out, (rounds * AT_ONCE) as usize);
    total
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_waited_for_while_their_redis_is_killed_and_restarted() {
    let (redis, store) = blocking(|| (Redis::start().unwrap(), Redis::durable().unwrap()));
    let site = Site {
        results: Some(store.url()),
        ..Site::new(&redis.url(), "celery")
    };
    let (kill, restart) = (|| store.kill(), || store.restart().unwrap());
    let told = are_waited_for(&site, None, kill, restart).await;
    assert_eq!(told.timed_out, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_while_the_store_stays_away_is_told_so_and_finds_the_result_later() {
    let (redis, store) = blocking(|| (Redis::start().unwrap(), Redis::durable().unwrap()));
    let site = Site {
        results: Some(store.url()),
        ..Site::new(&redis.url(), "celery")
    };
    let (book, app) = (Arc::new(Book::new()), site.app());
    let calls: Vec<_> = (0..AT_ONCE)
        .map(|number| LATE.s((number,)).unwrap())
        .collect();
    let sent = app.send_all(&calls).await.unwrap();
    blocking(|| store.kill());
    let workers = Workers::start(&site, &book, 1);
    let waited = sent
        .iter()
        .map(|result| timeout(PATIENCE, result.get(None)));
    for answer in join_all(waited).await {
        let error = answer
            .expect("whoever waits is told something")
            .unwrap_err();
        assert!(matches!(error, OutcomeError::Store(_)), "{error}");
    }
    blocking(|| store.restart()).unwrap();
    for (number, result) in (0..AT_ONCE).zip(sent) {
        let found = result.typed::<u32>().get(Some(PATIENCE)).await.unwrap();
        assert_eq!(found, number);
    }
    workers.end().await;
    book.look(|pages| assert!(pages.runs.values().all(|runs| runs.begun.len() == 1)));
}

/// Results by RPC are not written to the disk: those under way go with the server, and who waits for one of them is told when its time is over.
#[tokio::test(flavor = "multi_thread")]
async fn results_by_rpc_are_waited_for_while_their_rabbitmq_is_killed_and_restarted() {
    let server = blocking(RabbitMq::start).unwrap();
    let site = Site {
        results: Some("rpc://".to_owned()),
        ..Site::new(&server.url(), "celery")
    };
    let (kill, restart) = (|| server.kill(), || server.restart().unwrap());
    let patience = Some(Duration::from_secs(20));
    are_waited_for(&site, patience, kill, restart).await;
}
