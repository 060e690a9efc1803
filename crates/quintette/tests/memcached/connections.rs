use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quintette::cache::{Cache, CacheError};
use quintette_testkit::servers::{Memcached, Proxy};

use super::{HOUR, PATIENT, cache, fresh, recovered, seen, value};

#[tokio::test]
async fn a_server_that_is_down_says_so_and_is_back_when_it_is() {
    let (server, cache) = fresh();
    cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
    server.kill();
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(!cache.get("name").await.unwrap_err().is_unknown());
        assert!(cache.add("name", b"x".to_vec(), HOUR).await.is_err());
    }
    assert!(begun.elapsed() < PATIENT, "nobody waited for the time-out");
    server.restart().unwrap();
    assert_eq!(recovered(&cache, "name").await, None);
    cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
}

#[tokio::test]
async fn a_server_that_restarted_unnoticed_is_asked_anew() {
    let (server, cache) = fresh();
    cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
    server.restart().unwrap();
    assert_eq!(value(&cache, "name").await, None);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    let cache = cache(proxy.address(), PATIENT);
    let unknown = |error: CacheError| assert!(error.is_unknown(), "{error}");
    cache.set("name", b"one".to_vec(), HOUR).await.unwrap();
    proxy.cut_before_answer_to("two");
    unknown(cache.set("name", b"two".to_vec(), HOUR).await.unwrap_err());
    assert_eq!(value(&cache, "name").await.unwrap(), b"two");
    let revision = seen(&cache, "name").await;
    proxy.cut_before_answer_to("three");
    let swapped = cache
        .replace("name", &revision, b"three".to_vec(), HOUR)
        .await;
    unknown(swapped.unwrap_err());
    proxy.cut_before_answer_to("added");
    unknown(cache.add("added", b"x".to_vec(), HOUR).await.unwrap_err());
    proxy.cut_before_answer_to("md name");
    unknown(cache.delete("name", None).await.unwrap_err());
    assert_eq!(value(&cache, "name").await, None);
    assert_eq!(proxy.answers_cut(), 4);
}

#[tokio::test]
async fn a_read_whose_answer_is_lost_is_read_again() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    let cache = cache(proxy.address(), PATIENT);
    cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
    proxy.cut_before_answer_to("mg name");
    assert_eq!(value(&cache, "name").await.unwrap(), b"value");
    assert_eq!(proxy.answers_cut(), 1);
}

#[tokio::test]
async fn of_a_server_that_hangs_only_the_first_waits() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    let timeout = Duration::from_secs(2);
    let cache = cache(proxy.address(), timeout);
    cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
    proxy.hang();
    let error = cache.set("name", b"lost".to_vec(), HOUR).await.unwrap_err();
    assert!(error.is_unknown(), "it was sent: {error}");
    // The connection is given up with it: what follows is told at once, and was not sent.
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(!cache.delete("name", None).await.unwrap_err().is_unknown());
    }
    assert!(begun.elapsed() < timeout * 100);
    proxy.heal();
    recovered(&cache, "name").await;
}

#[tokio::test]
async fn a_server_that_hangs_from_the_start_is_an_error_in_time() {
    // It accepts, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = cache(silent.local_addr().unwrap(), Duration::from_millis(200));
    let error = cache.set("name", b"x".to_vec(), HOUR).await.unwrap_err();
    assert!(!error.is_unknown(), "{error}");
    assert!(cache.get("name").await.is_err());
}

#[tokio::test]
async fn many_at_once_each_get_their_own_answer() {
    let (_server, cache) = fresh();
    let cache = Arc::new(cache);
    let tasks: Vec<_> = (0..200_usize)
        .map(|n| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let name = format!("name-{n}");
                let large = n.to_string().repeat(1 + n * 50).into_bytes();
                for _ in 0..5 {
                    let revision = cache.set(&name, large.clone(), HOUR).await.unwrap();
                    let cached = cache.get(&name).await.unwrap().unwrap();
                    assert_eq!(cached.value, large);
                    assert_eq!(cached.into_revision(), revision);
                    assert_eq!(value(&cache, &format!("none-{n}")).await, None);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn whoever_goes_away_leaves_the_answers_of_others_in_order() {
    let (_server, cache) = fresh();
    cache.set("kept", b"kept".to_vec(), HOUR).await.unwrap();
    for _ in 0..200 {
        // Polled once, so that it may be sent, and dropped.
        let gone = cache.set("gone", b"gone".to_vec(), HOUR);
        let _ = tokio::time::timeout(Duration::ZERO, gone).await;
        assert_eq!(value(&cache, "kept").await.unwrap(), b"kept");
    }
}

#[test]
fn it_outlives_the_runtime_that_first_used_it() {
    let (_server, cache) = fresh();
    for _ in 0..3 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let revision = cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
            assert_eq!(seen(&cache, "name").await, revision);
        });
    }
}
