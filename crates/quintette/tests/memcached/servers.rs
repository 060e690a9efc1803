use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use quintette::cache::{Cache, MemcachedCache, NamedCache};
use quintette::settings::{CacheBackend, CacheSettings, MemcachedClient, SecretUrl, Settings};
use quintette_testkit::servers::Memcached;

use super::{HOUR, PATIENT, cache, raw, recovered, value};

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
