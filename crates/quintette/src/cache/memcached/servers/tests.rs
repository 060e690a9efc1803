use quintette_core::settings::SecretUrl;
use serde_json::{Value, json};

use super::*;

/// Where pymemcache and pylibmc have put keys on real servers: see placements.py beside it.
const PLACEMENTS: &str = include_str!("../../../../tests/memcached/placements.json");

fn cache(client: MemcachedClient, locations: &[&str], options: &Value) -> CacheSettings {
    let mut cache = CacheSettings::new(quintette_core::settings::CacheBackend::Memcached(client));
    cache.location = locations.iter().copied().map(SecretUrl::new).collect();
    let options = options.as_object().expect("it is a table").clone();
    cache.options = options.into_iter().collect();
    cache
}

fn parsed(
    client: MemcachedClient,
    locations: &[&str],
    options: &Value,
) -> Result<(Vec<Address>, Placement), String> {
    parse(client, &cache(client, locations, options))
}

#[test]
fn keys_go_to_the_server_that_the_python_client_chooses() {
    let placements: Value = serde_json::from_str(PLACEMENTS).unwrap();
    let keys = placements["keys"].as_array().unwrap();
    let cases = placements["cases"].as_array().unwrap();
    assert_eq!((keys.len(), cases.len()), (120, 12));
    for case in cases {
        let client = match case["client"].as_str() {
            Some("pymemcache") => MemcachedClient::Pymemcache,
            _ => MemcachedClient::Pylibmc,
        };
        let servers = case["servers"].as_array().unwrap();
        let servers: Vec<&str> = servers.iter().map(|name| name.as_str().unwrap()).collect();
        let options = match client {
            MemcachedClient::Pymemcache => json!({}),
            MemcachedClient::Pylibmc => json!({"behaviors": case["behaviors"]}),
        };
        let (_, placement) = parsed(client, &servers, &options).unwrap();
        let placed: String = keys
            .iter()
            .map(|key| placement.of(key.as_str().unwrap()).to_string())
            .collect();
        assert_eq!(placed, case["placed"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn a_single_server_keeps_every_key() {
    for client in [MemcachedClient::Pymemcache, MemcachedClient::Pylibmc] {
        let (addresses, placement) = parsed(client, &["a:1"], &json!({})).unwrap();
        assert_eq!(addresses.len(), 1);
        assert_eq!(placement.of("any"), 0);
    }
}

#[test]
fn servers_are_read_as_the_python_clients_read_them() {
    let tcp = |host: &str, port| Ok(Address::Tcp(host.to_owned(), port));
    let unix = || Ok(Address::Unix("/run/memcached.sock".to_owned()));
    for (text, address) in [
        ("127.0.0.1:11211", tcp("127.0.0.1", 11211)),
        ("cache.example.com", tcp("cache.example.com", 11211)),
        ("cache:22122", tcp("cache", 22122)),
        ("cache:22122:1", tcp("cache", 22122)),
        ("[::1]:22122", tcp("::1", 22122)),
        ("[::1]", tcp("::1", 11211)),
        ("unix:/run/memcached.sock", unix()),
        ("/run/memcached.sock", unix()),
    ] {
        assert_eq!(Address::parse(text), address, "{text}");
    }
}

#[test]
fn what_is_no_server_says_what_would_be_one() {
    for text in [
        "",
        ":11211",
        "cache:",
        "cache:x",
        "cache:11211:2",
        "::1",
        "[::1",
        "inet6:[::1]:11211",
        "udp:cache:11211",
        "unix:memcached.sock",
        "cache:99999",
    ] {
        let error = Address::parse(text).unwrap_err();
        assert!(error.contains("host:port"), "{text}: {error}");
    }
    let error = Address::parse("user:secret@cache:11211").unwrap_err();
    assert!(
        error.contains("SASL") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn options_that_change_nothing_here_are_taken() {
    let options =
        json!({"connect_timeout": 2, "use_pooling": true, "ignore_exc": true, "key_prefix": ""});
    parsed(MemcachedClient::Pymemcache, &["a"], &options).unwrap();
    let options = json!({"binary": true, "username": null, "behaviors": {"tcp_nodelay": true, "ketama": false, "_sort_hosts": 0}});
    parsed(MemcachedClient::Pylibmc, &["a"], &options).unwrap();
}

#[test]
fn options_that_would_change_keys_or_values_are_refused_by_name() {
    for (client, options, name) in [
        (
            MemcachedClient::Pymemcache,
            json!({"tls_context": {"cafile": "x"}}),
            "tls_context",
        ),
        (
            MemcachedClient::Pymemcache,
            json!({"key_prefix": "x"}),
            "key_prefix",
        ),
        (MemcachedClient::Pymemcache, json!({"serde": "x"}), "serde"),
        (
            MemcachedClient::Pymemcache,
            json!({"hasher": "x"}),
            "hasher",
        ),
        (
            MemcachedClient::Pylibmc,
            json!({"username": "x"}),
            "username",
        ),
        (
            MemcachedClient::Pylibmc,
            json!({"behaviors": "x"}),
            "behaviors",
        ),
        (
            MemcachedClient::Pylibmc,
            json!({"behaviors": {"hash": "md5"}}),
            "hash",
        ),
        (
            MemcachedClient::Pylibmc,
            json!({"behaviors": {"ketama_weighted": true}}),
            "ketama_weighted",
        ),
        (
            MemcachedClient::Pylibmc,
            json!({"behaviors": {"distribution": "random"}}),
            "distribution",
        ),
        (
            MemcachedClient::Pylibmc,
            json!({"behaviors": {"namespace": "x"}}),
            "namespace",
        ),
        (
            MemcachedClient::Pylibmc,
            json!({"behaviors": {"_sort_hosts": true}}),
            "_sort_hosts",
        ),
    ] {
        let error = parsed(client, &["a"], &options).unwrap_err();
        assert!(error.contains(name), "{options}: {error}");
    }
}
