//! A task that takes its process along, again and again.

use std::sync::Arc;

use quintette_tasks::worker::dead;
use quintette_testkit::servers::Redis;

use crate::book::{Book, Kind};
use crate::redis::ask;
use crate::site::Site;
use crate::workers::{LATE, POISON, Workers};
use crate::{blocking, until};

/// The number of the one that kills.
const KILLS: u32 = 1_000;

/// Good tasks that come after it, some of which its worker holds.
const GOOD: u32 = 20;

/// It is begun again and again, and then set aside. Returns how often it was begun, and the ids of what was set aside.
async fn is_set_aside(site: &Site, when_it_died: impl AsyncFn()) -> (usize, Vec<String>) {
    let (app, book) = (site.app(), Arc::new(Book::new()));
    let poison = POISON.s((KILLS,)).unwrap().task_id("poison");
    app.send(&poison).await.unwrap();
    for number in 0..GOOD {
        let good = LATE.s((number,)).unwrap().task_id(number.to_string());
        app.send(&good).await.unwrap();
    }
    let mut workers = Workers::start(site, &book, 1);
    let set_aside = async || {
        let dead = dead::list(&app, &site.queue, 100).await.unwrap();
        dead.into_iter().filter_map(|dead| dead.id)
    };
    until("all ran or are set aside", async || {
        if workers.the_only_one_died() {
            when_it_died().await;
            workers.start_one();
        }
        let dead: Vec<_> = set_aside().await.collect();
        let is_dead = |id: &str| dead.iter().any(|dead| dead == id);
        let ran = |number| {
            let task = (Kind::Late, number);
            book.look(|pages| pages.runs.get(&task).is_some_and(|runs| runs.done > 0))
        };
        let mut good = 0..GOOD;
        is_dead("poison") && good.all(|number| ran(number) || is_dead(&number.to_string()))
    })
    .await;
    workers.end().await;
    assert_eq!(app.broker().waiting(&site.queue).await.unwrap(), 0);
    let begun = book.look(|pages| pages.runs[&(Kind::Late, KILLS)].begun.len());
    (begun, set_aside().await.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_a_task_that_kills_is_set_aside_and_what_was_only_held_beside_it_is_not() {
    let redis = blocking(Redis::start).unwrap();
    let site = Site {
        concurrency: 1,
        ..Site::new(&redis.url(), "celery")
    };
    let (begun, dead) = is_set_aside(&site, async || {
        // It gives no sign of life any more; others need not find that out.
        let workers: Vec<String> = ask(&redis, &["ZRANGE", "quintette.workers", "0", "-1"]).await;
        for worker in workers {
            let () = ask(&redis, &["ZADD", "quintette.workers", "0", &worker]).await;
        }
    })
    .await;
    assert_eq!(begun, 5);
    assert_eq!(dead, ["poison"]);
}

/// `RabbitMQ` has no place for a note on a message that is held: what comes again is counted when its turn comes, and put back with the number.
/// What is held behind the one that kills is counted with it.
#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_a_task_that_kills_is_set_aside_and_nothing_is_lost() {
    for (queue, quorum) in [("poison", false), ("poison-quorum", true)] {
        let site = Site {
            concurrency: 1,
            ..crate::rabbitmq::site(queue, quorum)
        };
        let (begun, dead) = is_set_aside(&site, async || ()).await;
        println!("begun {begun} times; set aside: {dead:?}");
        assert!(begun >= 5);
        assert!(dead.iter().any(|id| id == "poison"));
    }
}
