//! What is particular to Memcached: its flags, its keys, its limits, and its faults.

mod connections;
mod servers;
mod values;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use quintette::cache::{Cache, Cached, MemcachedCache, Revision};
use quintette::settings::CacheSettings;
use quintette_testkit::servers::Memcached;

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
