//! Redis that is killed, hangs, hangs up, refuses or fails over: what is told, what is done, and what is not done twice.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quintette::cache::{Cache, CacheError, RedisCache, Revision, Swapped};
use quintette_testkit::servers::{Proxy, Redis, RedisCluster, RedisSentinel};

const HOUR: Duration = Duration::from_hours(1);

/// What an operation may take.
const WAIT: Duration = Duration::from_secs(2);

/// What the slowest machine may add to it.
const SLACK: Duration = Duration::from_secs(3);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn cache(url: &str) -> RedisCache {
    RedisCache::connect(url, WAIT).unwrap()
}

async fn set(cache: &RedisCache, name: &str, value: &[u8]) -> Revision {
    cache.set(name, value.to_vec(), HOUR).await.unwrap()
}

async fn value(cache: &RedisCache, name: &str) -> Option<Vec<u8>> {
    cache.get(name).await.unwrap().map(|cached| cached.value)
}

/// Tries until it is so, for as long as the slowest machine may need.
async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never was so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks a server directly.
fn ask(url: &str, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).query(&mut connection).unwrap()
}

#[test]
fn a_server_that_is_killed_is_unavailable_and_serves_again_when_it_is_back() {
    let redis = Redis::durable().unwrap();
    block_on(async {
        let cache = cache(&redis.url());
        let seen = set(&cache, "name", b"one").await;

        tokio::task::block_in_place(|| redis.kill());
        until(|| async { cache.get("name").await.is_err() }).await;
        let error = cache.replace("name", &seen, b"two".to_vec(), HOUR).await;
        let error = error.unwrap_err();
        assert!(!error.is_unknown(), "nothing was sent: {error}");

        tokio::task::block_in_place(|| redis.restart()).unwrap();
        until(|| async { cache.get("name").await.is_ok() }).await;
        let replaced = cache.replace("name", &seen, b"two".to_vec(), HOUR).await;
        assert!(matches!(replaced.unwrap(), Swapped::Done(_)));
        assert_eq!(value(&cache, "name").await.unwrap(), b"two");
    });
}

#[test]
fn a_server_that_is_down_at_the_start_serves_when_it_is_up() {
    let redis = Redis::start().unwrap();
    redis.kill();
    block_on(async {
        let cache = cache(&redis.url());
        assert!(!cache.get("name").await.unwrap_err().is_unknown());

        tokio::task::block_in_place(|| redis.restart()).unwrap();
        until(|| async { cache.get("name").await.is_ok() }).await;
    });
}

#[test]
fn a_server_that_hangs_costs_one_operation_its_time_and_then_none() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    block_on(async {
        let cache = cache(&format!("redis://{}", proxy.address()));
        set(&cache, "name", b"one").await;

        proxy.hang();
        let begun = Instant::now();
        let error = cache.set("name", b"two".to_vec(), HOUR).await.unwrap_err();
        assert!(error.is_unknown(), "it may arrive yet: {error}");
        assert!(begun.elapsed() < WAIT + SLACK);
        // Whoever comes now is told at once: had it been sent, it would be unknown.
        for _ in 0..100 {
            let error = cache.set("name", b"two".to_vec(), HOUR).await.unwrap_err();
            assert!(!error.is_unknown(), "{error}");
        }
        assert!(begun.elapsed() < WAIT + SLACK);

        proxy.heal();
        until(|| async { cache.get("name").await.is_ok() }).await;
        set(&cache, "name", b"three").await;
        assert_eq!(value(&cache, "name").await.unwrap(), b"three");
    });
}

#[test]
fn a_write_whose_answer_is_lost_is_unknown_and_is_not_sent_again() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    block_on(async {
        let cache = cache(&format!("redis://{}", proxy.address()));
        let mut seen = set(&cache, "name", b"0").await;
        // From here on, the server knows the script.
        cache
            .replace("name", &seen, b"0".to_vec(), HOUR)
            .await
            .unwrap();
        for n in 1..=3_u8 {
            proxy.cut_before_answer_to("EVALSHA");
            let replaced = cache.replace("name", &seen, vec![n], HOUR).await;
            assert!(replaced.unwrap_err().is_unknown());
            seen = Revision::from(value(&cache, "name").await.unwrap());
            assert_eq!(seen.as_bytes(), [n], "it was done, and is seen");
        }
        assert_eq!(proxy.answers_cut(), 3);
        proxy.cut_before_answer_to("SET");
        let set = cache.set("name", b"set".to_vec(), HOUR).await;
        assert!(set.unwrap_err().is_unknown());
        proxy.cut_before_answer_to("DEL");
        let deleted = cache.delete("name", None).await;
        assert!(deleted.unwrap_err().is_unknown());
        assert_eq!(value(&cache, "name").await, None);
    });
}

#[test]
fn a_read_whose_answer_is_lost_is_asked_again() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    block_on(async {
        let cache = cache(&format!("redis://{}", proxy.address()));
        set(&cache, "name", b"one").await;
        proxy.cut_before_answer_to("GET");
        assert_eq!(value(&cache, "name").await.unwrap(), b"one");
        assert_eq!(proxy.answers_cut(), 1);
    });
}

#[test]
fn a_connection_that_the_server_closes_is_made_anew_before_anybody_asks() {
    let redis = Redis::start().unwrap();
    block_on(async {
        let cache = cache(&redis.url());
        let seen = set(&cache, "name", b"one").await;
        let connected = |url: &str| ask(url, &["CLIENT", "LIST", "TYPE", "normal"]);
        let before = connected(&redis.url());

        ask(&redis.url(), &["CLIENT", "KILL", "TYPE", "normal"]);
        until(|| async {
            let list = connected(&redis.url());
            let text = |value: &redis::Value| redis::from_redis_value_ref::<String>(value).unwrap();
            text(&list).lines().count() == text(&before).lines().count()
        })
        .await;
        let replaced = cache.replace("name", &seen, b"two".to_vec(), HOUR).await;
        assert!(matches!(replaced.unwrap(), Swapped::Done(_)));
    });
}

#[test]
fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let redis = Redis::start().unwrap();
    block_on(async {
        let cache = cache(&redis.url());
        let mut seen = set(&cache, "name", b"0").await;
        for n in 1..=3_u8 {
            ask(&redis.url(), &["SCRIPT", "FLUSH"]);
            let replaced = cache.replace("name", &seen, vec![n], HOUR).await.unwrap();
            let Swapped::Done(revision) = replaced else {
                panic!("{replaced:?}");
            };
            seen = revision;
            ask(&redis.url(), &["SCRIPT", "FLUSH"]);
            let touched = cache.touch("name", &seen, HOUR).await.unwrap();
            assert_eq!(touched, Swapped::Done(()));
        }
        ask(&redis.url(), &["SCRIPT", "FLUSH"]);
        let deleted = cache.delete("name", Some(&seen)).await.unwrap();
        assert_eq!(deleted, Swapped::Done(()));
    });
}

#[test]
fn what_a_server_refuses_is_not_done_and_says_why() {
    let redis = Redis::start().unwrap();
    let refused = |error: CacheError, words: &str| {
        assert!(!error.is_unknown(), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    block_on(async {
        let cache = cache(&redis.url());
        let seen = set(&cache, "name", b"one").await;

        ask(&redis.url(), &["CONFIG", "SET", "maxmemory", "1"]);
        let full = cache.set("name", b"two".to_vec(), HOUR).await;
        refused(full.unwrap_err(), "maxmemory");
        let full = cache.replace("name", &seen, b"two".to_vec(), HOUR).await;
        refused(full.unwrap_err(), "maxmemory");
        ask(&redis.url(), &["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(value(&cache, "name").await.unwrap(), b"one");

        ask(&redis.url(), &["REPLICAOF", "127.0.0.1", "1"]);
        let replica = cache.set("name", b"two".to_vec(), HOUR).await;
        refused(replica.unwrap_err(), "replica");
        ask(&redis.url(), &["REPLICAOF", "NO", "ONE"]);
        until(|| async { cache.set("name", b"two".to_vec(), HOUR).await.is_ok() }).await;

        ask(&redis.url(), &["CONFIG", "SET", "requirepass", "hunter2"]);
        let stranger = self::cache(&redis.url());
        refused(stranger.get("name").await.unwrap_err(), "password");
        let known = format!("redis://:hunter2@{}", redis.address());
        assert_eq!(value(&self::cache(&known), "name").await.unwrap(), b"two");
        let wrong = format!("redis://:hunter3@{}", redis.address());
        refused(
            self::cache(&wrong).get("name").await.unwrap_err(),
            "WRONGPASS",
        );
        let shown = format!("{:?}", self::cache(&known));
        assert!(!shown.contains("hunter2"), "{shown}");
    });
}

#[test]
fn what_is_no_string_is_no_session_and_is_not_replaced() {
    let redis = Redis::start().unwrap();
    block_on(async {
        let cache = cache(&redis.url());
        ask(&redis.url(), &["LPUSH", "name", "one"]);
        let seen = Revision::from(b"one".to_vec());

        assert_eq!(value(&cache, "name").await, None);
        let replaced = cache.replace("name", &seen, b"two".to_vec(), HOUR).await;
        assert_eq!(replaced.unwrap(), Swapped::Conflict);
        let touched = cache.touch("name", &seen, HOUR).await;
        assert_eq!(touched.unwrap(), Swapped::Conflict);
        assert_eq!(
            cache.add("name", b"two".to_vec(), HOUR).await.unwrap(),
            None
        );
    });
}

#[test]
fn times_of_all_lengths_are_kept() {
    let redis = Redis::start().unwrap();
    block_on(async {
        let cache = cache(&redis.url()).with_ttl();
        let seen = cache.set("name", b"one".to_vec(), HOUR).await.unwrap();
        let ttl = cache.get("name").await.unwrap().unwrap().ttl.unwrap();
        assert!(ttl <= HOUR && ttl > HOUR / 2, "{ttl:?}");

        for longest in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            assert_eq!(
                cache.touch("name", &seen, longest).await.unwrap(),
                Swapped::Done(())
            );
            let ttl = cache.get("name").await.unwrap().unwrap().ttl.unwrap();
            assert!(ttl > Duration::from_hours(24 * 365 * 50), "{ttl:?}");
        }

        // Zero is over at once.
        assert_eq!(
            cache.touch("name", &seen, Duration::ZERO).await.unwrap(),
            Swapped::Done(())
        );
        assert_eq!(value(&cache, "name").await, None);
        cache
            .set("name", b"one".to_vec(), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(value(&cache, "name").await, None);
        let added = cache.add("name", b"one".to_vec(), Duration::ZERO).await;
        assert!(added.unwrap().is_some());
        assert_eq!(value(&cache, "name").await, None);
        set(&cache, "name", b"one").await;
        let added = cache.add("name", b"two".to_vec(), Duration::ZERO).await;
        assert_eq!(added.unwrap(), None);
        let replaced = cache.replace("name", &seen, b"two".to_vec(), Duration::ZERO);
        assert!(matches!(replaced.await.unwrap(), Swapped::Done(_)));
        assert_eq!(value(&cache, "name").await, None);
    });
}

#[test]
fn a_name_whose_slot_is_on_its_way_to_another_node_is_found_on_either() {
    let cluster = RedisCluster::start().unwrap();
    let url = cluster.url();
    let urls = cluster.urls();
    // All of one slot.
    let (stays, moves, comes) = ("{a}stays", "{a}moves", "{a}comes");
    let from = cluster.master_of(stays).unwrap();
    let to = (from + 1) % 3;
    let text = |value: redis::Value| redis::from_redis_value::<String>(value).unwrap();
    let id = |node: usize| text(ask(&urls[node], &["CLUSTER", "MYID"]));
    let slot = redis::from_redis_value::<u16>(ask(&urls[0], &["CLUSTER", "KEYSLOT", stays]));
    let slot = slot.unwrap().to_string();
    block_on(async {
        let cache = cache(&url);
        for name in [stays, moves] {
            set(&cache, name, name.as_bytes()).await;
        }

        ask(
            &urls[to],
            &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)],
        );
        ask(
            &urls[from],
            &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)],
        );
        let port = cluster.addresses()[to].port().to_string();
        let migrate = |name| {
            ask(
                &urls[from],
                &["MIGRATE", "127.0.0.1", &port, name, "0", "5000"],
            )
        };
        migrate(moves);
        // The new node is asked for what the old one has no more, and does what it is told.
        let added = cache.add(comes, b"one".to_vec(), HOUR).await.unwrap();
        let replaced = cache
            .replace(comes, &added.unwrap(), b"two".to_vec(), HOUR)
            .await;
        assert!(matches!(replaced.unwrap(), Swapped::Done(_)));
        let cache = cache.with_ttl();
        for (name, is) in [(stays, stays), (moves, moves), (comes, "two")] {
            assert_eq!(value(&cache, name).await.unwrap(), is.as_bytes());
        }

        migrate(stays);
        for node in [to, from] {
            ask(&urls[node], &["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
        }
        for (name, is) in [(stays, stays), (moves, moves), (comes, "two")] {
            assert_eq!(value(&cache, name).await.unwrap(), is.as_bytes());
            let seen = Revision::from(is.as_bytes().to_vec());
            let deleted = cache.delete(name, Some(&seen)).await.unwrap();
            assert_eq!(deleted, Swapped::Done(()));
        }
    });
}

/// Eight writers who each add one mark after the other to one value by compare-and-swap, while something happens.
///
/// A mark whose addition was unknown is not tried again. Says which were acknowledged after `is_over`.
async fn write_marks(
    cache: Arc<RedisCache>,
    name: &'static str,
    is_over: Arc<AtomicBool>,
) -> Marks {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (cache, is_over) = (cache.clone(), is_over.clone());
        writers.spawn(async move {
            let mut marks = Marks::default();
            let mut n = 0;
            // A few more when it is over.
            let mut left = 20;
            while left > 0 {
                let was_over = is_over.load(Ordering::SeqCst);
                let mark = format!("{writer}-{n} ");
                let begun = Instant::now();
                let added = add_mark(&cache, name, &mark).await;
                marks.slowest = marks.slowest.max(begun.elapsed());
                match added {
                    Ok(true) => {
                        n += 1;
                        left -= u32::from(was_over);
                        let kept = if was_over {
                            &mut marks.after
                        } else {
                            &mut marks.before
                        };
                        kept.insert(mark);
                    }
                    Ok(false) => {}
                    Err(error) => {
                        n += u32::from(error.is_unknown());
                        marks.unknown += usize::from(error.is_unknown());
                        marks.failed += usize::from(!error.is_unknown());
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
            marks
        });
    }
    let marks = writers.join_all().await;
    marks.into_iter().fold(Marks::default(), Marks::and)
}

#[derive(Debug, Default)]
struct Marks {
    before: HashSet<String>,
    after: HashSet<String>,
    unknown: usize,
    failed: usize,
    /// What the slowest two operations, a read and a write, took.
    slowest: Duration,
}

impl Marks {
    fn and(mut self, other: Self) -> Self {
        self.before.extend(other.before);
        self.after.extend(other.after);
        self.unknown += other.unknown;
        self.failed += other.failed;
        self.slowest = self.slowest.max(other.slowest);
        self
    }

    /// How many of those acknowledged before it was over are not there.
    fn check(&self, text: &str) -> usize {
        let written: Vec<&str> = text.split_inclusive(' ').collect();
        let distinct: HashSet<&str> = written.iter().copied().collect();
        assert_eq!(written.len(), distinct.len(), "a write was done twice");
        for mark in &self.after {
            assert!(distinct.contains(&**mark), "{mark} was acknowledged");
        }
        let is_lost = |mark: &&String| !distinct.contains(&***mark);
        let lost = self.before.iter().filter(is_lost).count();
        println!(
            "{} written, {} unknown, {} failed, {} lost, the slowest took {:?}",
            written.len(),
            self.unknown,
            self.failed,
            lost,
            self.slowest
        );
        assert!(self.slowest < WAIT * 2 + SLACK, "{:?}", self.slowest);
        lost
    }
}

/// Whether nobody came in between.
async fn add_mark(cache: &RedisCache, name: &str, mark: &str) -> Result<bool, CacheError> {
    let Some(seen) = cache.get(name).await? else {
        let added = cache.add(name, mark.as_bytes().to_vec(), HOUR).await?;
        return Ok(added.is_some());
    };
    let value = [&seen.value, mark.as_bytes()].concat();
    let replaced = cache
        .replace(name, &seen.into_revision(), value, HOUR)
        .await?;
    Ok(matches!(replaced, Swapped::Done(_)))
}

/// Lets the writers run while `happens`, and says how many acknowledged writes are lost.
fn write_while(url: &str, name: &'static str, happens: impl FnOnce()) -> usize {
    block_on(async {
        let cache = Arc::new(cache(url));
        let is_over = Arc::new(AtomicBool::new(false));
        let writers = tokio::spawn(write_marks(cache.clone(), name, is_over.clone()));
        until(|| async { cache.get(name).await.unwrap().is_some() }).await;
        tokio::task::block_in_place(happens);
        // From here on, whatever is acknowledged stays.
        until(|| async { cache.get(name).await.is_ok() }).await;
        is_over.store(true, Ordering::SeqCst);
        let marks = writers.await.unwrap();
        let text = value(&cache, name).await.unwrap_or_default();
        marks.check(&String::from_utf8(text).unwrap())
    })
}

#[test]
fn a_restart_under_load_loses_nothing_and_does_nothing_twice() {
    let redis = Redis::durable().unwrap();
    let lost = write_while(&redis.url(), "name", || {
        for _ in 0..3 {
            redis.kill();
            redis.restart().unwrap();
        }
    });
    assert_eq!(lost, 0);
}

#[test]
fn sentinels_that_fail_over_under_load_are_followed_and_nothing_is_done_twice() {
    let redis = RedisSentinel::start().unwrap();
    write_while(&redis.url(), "name", || {
        let dead = redis.kill_master().unwrap();
        redis.wait_for_failover(dead).unwrap();
    });
}

#[test]
fn a_cluster_that_fails_over_under_load_is_followed_and_nothing_is_done_twice() {
    let cluster = RedisCluster::with_replicas().unwrap();
    let url = cluster.url();
    write_while(&url, "name", || {
        let dead = cluster.kill_master_of("name").unwrap();
        cluster.wait_until_whole().unwrap();
        cluster.restart_node(dead).unwrap();
        cluster.wait_until_whole().unwrap();
    });
}
