//! What must hold on every broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quintette_testkit::servers::Proxy;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::blocking;
use crate::book::Book;
use crate::load::{Load, Report};
use crate::site::Site;
use crate::workers::Workers;

/// Some are killed again and again, while others go on.
pub(crate) async fn workers_are_killed(site: &Site) {
    let kills = 10;
    let book = Arc::new(Book::new());
    let mut workers = Workers::start(site, &book, 3);
    let load = Load::start(site, &book);
    for _ in 0..kills {
        load.goes_on(150).await;
        blocking(|| workers.kill_the_oldest());
        workers.start_one();
    }
    load.goes_on_everywhere(&workers.ids(), 50).await;
    let report = load.close(site, workers).await;
    report.is_true(kills * site.concurrency);
}

/// It is killed and restarted, and the workers are not. The report is for the broker to judge, and how many early tasks may be lost.
pub(crate) async fn the_broker_is_killed(
    site: &Site,
    kill: impl Fn(),
    restart: impl Fn(),
) -> (Report, usize) {
    let kills = 2;
    let book = Arc::new(Book::new());
    let workers = Workers::start(site, &book, 2);
    let load = Load::start(site, &book);
    load.goes_on_everywhere(&workers.ids(), 50).await;
    for _ in 0..kills {
        load.goes_on(400).await;
        blocking(&kill);
        load.is_refused(5).await;
        blocking(&restart);
        load.goes_on_everywhere(&workers.ids(), 100).await;
    }
    let report = load.close(site, workers).await;
    (report, kills * 2 * site.concurrency)
}

/// The workers' connections and the sender's are cut: in mid-air, and before the answer to a request that holds these words.
pub(crate) async fn connections_are_cut(site: &Site, address: SocketAddr, words: &[&[u8]]) {
    let book = Arc::new(Book::new());
    let [to_workers, to_sender] = [(), ()].map(|()| Proxy::before(address).unwrap());
    let mut workers = Workers::start(&site.through(to_workers.port()), &book, 2);
    let load = Load::start(&site.through(to_sender.port()), &book);
    load.goes_on_everywhere(&workers.ids(), 50).await;
    let rounds = 6;
    let mut cuts = 0;
    for _ in 0..rounds {
        load.goes_on(100).await;
        to_workers.cut();
        sleep(Duration::from_millis(100)).await;
        to_workers.heal();
        cuts += 1;
        for words in words {
            load.goes_on(50).await;
            let before = to_workers.answers_cut();
            to_workers.cut_before_answer_to(*words);
            load.goes_on(50).await;
            cuts += to_workers.answers_cut() - before;
        }
        to_sender.cut();
        load.is_refused(1).await;
        to_sender.heal();
        load.goes_on(50).await;
        to_sender.cut_before_answer();
    }
    load.goes_on_everywhere(&workers.ids(), 100).await;
    workers.assert_all_alive();
    let report = load.close(site, workers).await;
    println!("{cuts} cuts");
    report.is_true(cuts * 2 * site.concurrency);
}

/// The workers' connections hang, then the sender's, then both.
pub(crate) async fn connections_hang(site: &Site, address: SocketAddr) {
    let book = Arc::new(Book::new());
    let [to_workers, to_sender] = [(), ()].map(|()| Proxy::before(address).unwrap());
    let workers = Workers::start(&site.through(to_workers.port()), &book, 2);
    let load = Load::start(&site.through(to_sender.port()), &book);
    load.goes_on_everywhere(&workers.ids(), 50).await;
    let hangs = [(true, false), (false, true), (true, true)];
    for (workers_hang, sender_hangs) in hangs {
        load.goes_on(200).await;
        if workers_hang {
            to_workers.hang();
        }
        if sender_hangs {
            to_sender.hang();
            load.is_refused(1).await;
        } else {
            // Longer than anybody waits for an answer.
            sleep(Duration::from_secs(5)).await;
        }
        to_workers.heal();
        to_sender.heal();
        load.goes_on_everywhere(&workers.ids(), 50).await;
    }
    let report = load.close(site, workers).await;
    report.is_true(hangs.len() * 2 * site.concurrency);
}

/// One of two workers stands still for so long that others take over what it holds, and then goes on.
pub(crate) async fn a_worker_stands_still(site: &Site, until_given_up: impl AsyncFn()) {
    let book = Arc::new(Book::new());
    let workers = Workers::start(site, &book, 2);
    let load = Load::start(site, &book);
    load.goes_on_everywhere(&workers.ids(), 100).await;
    workers.signal(0, Signal::STOP);
    until_given_up().await;
    workers.signal(0, Signal::CONT);
    load.goes_on_everywhere(&workers.ids(), 100).await;
    let report = load.close(site, workers).await;
    report.is_true(site.concurrency);
}
