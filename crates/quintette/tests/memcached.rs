//! What is particular to Memcached: its flags, its keys, its limits, and its faults.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quintette::cache::{Cache, CacheError, Cached, MemcachedCache, NamedCache, Revision, Swapped};
use quintette::settings::{CacheBackend, CacheSettings, MemcachedClient, SecretUrl, Settings};
use quintette_testkit::servers::{Memcached, Proxy};

const HOUR: Duration = Duration::from_hours(1);

/// Longer than any answer takes on a busy machine.
const PATIENT: Duration = Duration::from_mins(1);

fn cache(address: SocketAddr, timeout: Duration) -> MemcachedCache {
    let settings = CacheSettings::from_url(&format!("memcached://{address}")).unwrap();
    MemcachedCache::new(&settings, timeout).unwrap()
}

fn fresh() -> (Memcached, MemcachedCache) {
    let server = Memcached::start().unwrap();
    let cache = cache(server.address(), PATIENT);
    (server, cache)
}

/// What another client would send, and the first line of the answer.
fn raw(server: &Memcached, command: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(command).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn put(server: &Memcached, name: &str, flags: u32, value: &[u8]) {
    let mut command = format!("set {name} {flags} 0 {}\r\n", value.len()).into_bytes();
    command.extend_from_slice(value);
    command.extend_from_slice(b"\r\n");
    assert_eq!(raw(server, &command), "STORED");
}

async fn value(cache: &MemcachedCache, name: &str) -> Option<Vec<u8>> {
    cache.get(name).await.unwrap().map(|cached| cached.value)
}

async fn seen(cache: &MemcachedCache, name: &str) -> Revision {
    cache.get(name).await.unwrap().unwrap().into_revision()
}

/// The first answer after a fault, however long the machine takes.
async fn recovered(cache: &MemcachedCache, name: &str) -> Option<Cached> {
    let begun = Instant::now();
    loop {
        match cache.get(name).await {
            Ok(cached) => return cached,
            Err(error) => assert!(begun.elapsed() < PATIENT, "still down: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// zlib's bytes for 2,000 times `x`.
const DEFLATED: &[u8] = b"x\x9c\xab\xa8\x18\x05\xa3`\x14\x8c\x82Q0\nF\xc1P\x07\x00\xcf@\xa9\xae";

#[tokio::test]
async fn what_is_written_carries_the_flag_of_a_pickle() {
    let (server, cache) = fresh();
    cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
    assert_eq!(raw(&server, b"get name\r\n"), "VALUE name 1 5");
}

#[tokio::test]
async fn a_pickle_is_read_plain_or_compressed() {
    let (server, cache) = fresh();
    put(&server, "plain", 1, b"pickle");
    put(&server, "compressed", 9, DEFLATED);
    assert_eq!(value(&cache, "plain").await.unwrap(), b"pickle");
    assert_eq!(value(&cache, "compressed").await.unwrap(), [b'x'; 2000]);
}

#[tokio::test]
async fn what_is_no_pickle_is_no_session() {
    let (server, cache) = fresh();
    // Bytes, an integer, a long, compressed bytes, text, and what no client writes; compressed, but not really.
    for flags in [0, 2, 4, 8, 16, 32, 0xffff_ffff, 9] {
        put(&server, "name", flags, b"12");
        assert_eq!(value(&cache, "name").await, None, "{flags}");
    }
}

#[tokio::test]
async fn a_compressed_value_that_never_ends_is_no_session() {
    let (server, cache) = fresh();
    // Blocks of zeros, compressed a thousandfold: 20 MiB.
    let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..20 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    put(&server, "name", 9, &bomb.finish().unwrap());
    assert_eq!(value(&cache, "name").await, None);
}

#[tokio::test]
async fn a_name_that_memcached_cannot_hold_is_unknown_and_injects_nothing() {
    let (server, cache) = fresh();
    cache.set("victim", b"value".to_vec(), HOUR).await.unwrap();
    let revision = seen(&cache, "victim").await;
    let long = "k".repeat(251);
    for name in [
        "",
        "a b",
        "victim\r\nmd victim",
        "x\r\nflush_all",
        "x\nflush_all\n",
        "a\tb",
        "a\0b",
        &long,
    ] {
        assert_eq!(value(&cache, name).await, None, "{name:?}");
        let value = || b"x".to_vec();
        assert!(cache.set(name, value(), HOUR).await.is_err());
        assert!(cache.add(name, value(), HOUR).await.is_err());
        let replaced = cache.replace(name, &revision, value(), HOUR).await;
        assert_eq!(replaced.unwrap(), Swapped::Missing);
        let touched = cache.touch(name, &revision, HOUR).await;
        assert_eq!(touched.unwrap(), Swapped::Missing);
        assert_eq!(cache.delete(name, None).await.unwrap(), Swapped::Missing);
    }
    assert_eq!(seen(&cache, "victim").await, revision);
    assert_eq!(raw(&server, b"get victim\r\n"), "VALUE victim 1 5");
}

#[tokio::test]
async fn names_of_any_language_are_names() {
    let (_server, cache) = fresh();
    for name in ["café:1:x", "세션:1:x", &"k".repeat(250), "-", "k;f1,q"] {
        cache.set(name, name.into(), HOUR).await.unwrap();
        assert_eq!(value(&cache, name).await.unwrap(), name.as_bytes());
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_is_refused_and_leaves_the_one_before() {
    let (_server, cache) = fresh();
    let mut refused = 0;
    // Memcached itself refuses somewhere among these, and then deletes what was there.
    for size in (1_048_376..=1_048_600).chain([2_000_000, 20_000_000]) {
        cache.set("name", b"before".to_vec(), HOUR).await.unwrap();
        let revision = seen(&cache, "name").await;
        match cache
            .replace("name", &revision, vec![b'x'; size], HOUR)
            .await
        {
            Ok(replaced) => assert!(matches!(replaced, Swapped::Done(_)), "{size}"),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("too large"), "{error}");
                assert!(!error.is_unknown());
                assert_eq!(value(&cache, "name").await.unwrap(), b"before", "{size}");
            }
        }
    }
    assert!((3..220).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_time_of_zero_is_over_and_a_long_one_is_not() {
    let (_server, cache) = fresh();
    cache
        .set("name", b"x".to_vec(), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(value(&cache, "name").await, None);
    let day = HOUR * 24;
    for days in [1, 30, 31, 365, 100_000] {
        let revision = cache.set("name", b"x".to_vec(), day * days).await.unwrap();
        let left = cache.get("name").await.unwrap().unwrap().ttl.unwrap();
        // Until 2038, as far as the server's clock goes.
        assert!(left > day * (days - 1).min(365), "{days}: {left:?}");
        assert!(left <= day * days);
        let touched = cache.touch("name", &revision, day * 40).await;
        assert_eq!(touched.unwrap(), Swapped::Done(()));
        assert_eq!(seen(&cache, "name").await, revision);
    }
    let revision = seen(&cache, "name").await;
    let touched = cache.touch("name", &revision, Duration::ZERO).await;
    assert_eq!(touched.unwrap(), Swapped::Done(()));
    assert_eq!(value(&cache, "name").await, None);
}

#[tokio::test]
async fn a_revision_from_before_a_restart_matches_nothing() {
    let (server, cache) = fresh();
    let old = cache.set("name", b"before".to_vec(), HOUR).await.unwrap();
    server.kill();
    server.restart().unwrap();
    assert_eq!(recovered(&cache, "name").await, None);
    // A server counts from 1 again: this value has the number of the one before.
    put(&server, "name", 1, b"after");
    assert_eq!(raw(&server, b"mg name c\r\n"), "HD c1");
    let swapped = cache.replace("name", &old, b"lost".to_vec(), HOUR).await;
    assert_eq!(swapped.unwrap(), Swapped::Conflict);
    let swapped = cache.touch("name", &old, HOUR).await;
    assert_eq!(swapped.unwrap(), Swapped::Conflict);
    let swapped = cache.delete("name", Some(&old)).await;
    assert_eq!(swapped.unwrap(), Swapped::Conflict);
    assert_eq!(value(&cache, "name").await.unwrap(), b"after");
    let new = seen(&cache, "name").await;
    let swapped = cache.replace("name", &new, b"next".to_vec(), HOUR).await;
    assert!(matches!(swapped.unwrap(), Swapped::Done(_)));
}

#[tokio::test]
async fn a_revision_of_another_cache_matches_nothing() {
    let (_server, cache) = fresh();
    cache.set("name", b"value".to_vec(), HOUR).await.unwrap();
    for foreign in [&b""[..], b"value", &[0; 15], &[0; 16], &[0; 17]] {
        let foreign = Revision::from(foreign.to_vec());
        let swapped = cache.replace("name", &foreign, b"x".to_vec(), HOUR).await;
        assert_eq!(swapped.unwrap(), Swapped::Conflict);
        let swapped = cache.delete("name", Some(&foreign)).await;
        assert_eq!(swapped.unwrap(), Swapped::Conflict);
    }
}

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

/// A server that greets with this and then says nothing.
fn says(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(answer);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told_so() {
    for greeting in [
        &b"VERSION 1.5.22\r\nEND\r\nERROR\r\n"[..],
        b"VERSION 1.6.9\r\nEND\r\nMN\r\n",
    ] {
        let cache = cache(says(greeting), PATIENT);
        let error = cache.get("name").await.unwrap_err().to_string();
        assert!(error.contains("1.6.10 or newer"), "{error}");
    }
}

#[tokio::test]
async fn garbage_from_a_server_is_an_error() {
    for garbage in [
        &b"VERSION 1.6.18\r\nEND\r\nMN\r\nHD c1\r\n"[..],
        b"VERSION 1.6.18\r\nEND\r\nMN\r\nVA 999999999999 c1\r\n",
        b"VERSION 1.6.18\r\nEND\r\nMN\r\n\xff\xff\xff\r\n",
        b"END\r\nMN\r\n",
        b"HD c1\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        &[b'x'; 5000],
    ] {
        let cache = cache(says(garbage), Duration::from_millis(500));
        assert!(cache.get("name").await.is_err(), "{garbage:?}");
    }
}

#[tokio::test]
async fn a_server_without_cas_numbers_is_told_so() {
    // Its answer waits for the question; the connection takes it for that all the same.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut stream = stream;
        while let Some(Ok(line)) = lines.next() {
            let answer: &[u8] = match line.as_str() {
                "version" => b"VERSION 1.6.18\r\n",
                "mn" => b"MN\r\n",
                line if line.starts_with("ms ") => b"HD c0\r\n",
                _ => continue,
            };
            stream.write_all(answer).unwrap();
        }
    });
    let error = cache(address, PATIENT)
        .set("name", b"x".to_vec(), HOUR)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("-C"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_keeps_its_names_to_itself() {
    let servers: Vec<Memcached> = (0..3).map(|_| Memcached::start().unwrap()).collect();
    for client in [MemcachedClient::Pymemcache, MemcachedClient::Pylibmc] {
        let mut settings = CacheSettings::new(CacheBackend::Memcached(client));
        let addresses = servers.iter().map(|server| server.address().to_string());
        settings.location = addresses.map(SecretUrl::new).collect();
        let cache = MemcachedCache::new(&settings, PATIENT).unwrap();
        let names: Vec<String> = (0..60).map(|n| format!("{client:?}-{n}")).collect();
        for name in &names {
            cache.set(name, b"value".to_vec(), HOUR).await.unwrap();
        }
        let on_first = |name: &&String| {
            raw(&servers[0], format!("get {name}\r\n").as_bytes()).starts_with("VALUE")
        };
        let (down, up): (Vec<&String>, Vec<&String>) = names.iter().partition(on_first);
        assert!(
            down.len() > 5 && up.len() > 20,
            "{} {}",
            down.len(),
            up.len()
        );
        servers[0].kill();
        for name in &up {
            assert_eq!(value(&cache, name).await.unwrap(), b"value");
        }
        for name in &down {
            assert!(cache.get(name).await.is_err());
            assert!(cache.add(name, b"x".to_vec(), HOUR).await.is_err());
        }
        servers[0].restart().unwrap();
        for name in down {
            assert_eq!(recovered(&cache, name).await, None);
        }
    }
}

#[tokio::test]
async fn the_settings_name_it() {
    let server = Memcached::start().unwrap();
    let mut settings = Settings::new("a secret that is for tests alone");
    let url = format!("pylibmc://{}", server.address());
    let mut cache = CacheSettings::from_url(&url).unwrap();
    assert_eq!(
        cache.backend,
        CacheBackend::Memcached(MemcachedClient::Pylibmc)
    );
    cache.key_prefix = "shop".to_owned();
    settings.caches.insert("default".to_owned(), cache.clone());
    let named = NamedCache::connect(&settings, "default").await.unwrap();
    let name = named.name("key");
    named
        .cache()
        .set(&name, b"value".to_vec(), HOUR)
        .await
        .unwrap();
    assert_eq!(raw(&server, b"get shop:1:key\r\n"), "VALUE shop:1:key 1 5");

    cache.options.insert("username".to_owned(), "django".into());
    settings.caches.insert("default".to_owned(), cache);
    let error = NamedCache::connect(&settings, "default").await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("default") && error.contains("SASL"),
        "{error}"
    );
}
