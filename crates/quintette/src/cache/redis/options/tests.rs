use quintette_core::settings::{CacheBackend, CacheSettings};
use redis::ConnectionInfo;
use serde_json::{Value, json};

use super::super::place::Place;
use super::parse;
use crate::cache::values::{Compressor, Serializer, Values};

fn settings(backend: CacheBackend, location: &[&str], options: Value) -> CacheSettings {
    let url = location.first().copied().unwrap_or("redis://127.0.0.1");
    let mut settings = CacheSettings::from_url("redis://127.0.0.1").unwrap();
    settings.backend = backend;
    settings.location = location
        .iter()
        .map(|_| url)
        .map(|url| {
            CacheSettings::from_url(url).map_or_else(|_| panic!("{url}"), |s| s.location[0].clone())
        })
        .collect();
    settings.options = serde_json::from_value(options).unwrap();
    settings
}

fn django(url: &str, options: Value) -> Result<(Place, Values), String> {
    parse(&settings(CacheBackend::Redis, &[url], options))
}

fn django_redis(url: &str, options: Value) -> Result<(Place, Values), String> {
    parse(&settings(CacheBackend::DjangoRedis, &[url], options))
}

fn server(url: &str) -> ConnectionInfo {
    match Place::parse(url) {
        Ok(Place::Server(server)) => server,
        other => panic!("{other:?}"),
    }
}

/// Where, as whom, with which password, in which database.
fn told(server: &ConnectionInfo) -> (String, Option<&str>, Option<&str>, i64) {
    let settings = server.redis_settings();
    (
        server.addr().to_string(),
        settings.username(),
        settings.password(),
        settings.db(),
    )
}

#[test]
fn urls_are_read_as_redis_py_reads_them() {
    for (url, is) in [
        ("redis://localhost", ("localhost:6379", None, None, 0)),
        ("redis://h:1/2", ("h:1", None, None, 2)),
        ("redis://h?db=3", ("h:6379", None, None, 3)),
        ("redis://h/1?db=3", ("h:6379", None, None, 3)),
        ("redis://:p%40ss@h", ("h:6379", None, Some("p@ss"), 0)),
        (
            "redis://me:it@[::1]:1/4",
            ("::1:1", Some("me"), Some("it"), 4),
        ),
        (
            "redis://h?username=me&password=it",
            ("h:6379", Some("me"), Some("it"), 0),
        ),
        (
            "unix:///run/redis.sock?db=2",
            ("/run/redis.sock", None, None, 2),
        ),
        (
            "redis+unix:///run/redis.sock",
            ("/run/redis.sock", None, None, 0),
        ),
        (
            "unix://me:it@/run/redis.sock?db=2",
            ("/run/redis.sock", Some("me"), Some("it"), 2),
        ),
    ] {
        let server = server(url);
        let (addr, username, password, db) = told(&server);
        let addr = addr.replace(['[', ']'], "");
        assert_eq!((&*addr, username, password, db), is, "{url}");
    }
}

#[test]
fn a_cluster_is_named_by_its_nodes() {
    let url = "redis+cluster://me:it@a:1,b:2,[::1]:3";
    let Ok(Place::Cluster(seeds)) = Place::parse(url) else {
        panic!();
    };
    let ports: Vec<_> = seeds
        .iter()
        .map(|seed| super::super::place::address_of(seed).1)
        .collect();
    assert_eq!(ports, [1, 2, 3]);
    assert!(seeds.iter().all(|seed| told(seed).2 == Some("it")));

    let options = json!({ "cluster": true, "password": "it" });
    let (place, _) = django("redis://a:1", options).unwrap();
    assert_eq!(format!("{place:?}"), "cluster of a:1");
    for wrong in [
        "redis+cluster://",
        "redis+cluster://a:1/2",
        "redis+cluster://,",
    ] {
        assert!(Place::parse(wrong).is_err(), "{wrong}");
    }
    assert!(django("redis://a:1/1", json!({ "cluster": true })).is_err());
    assert!(django("unix:///run/redis.sock", json!({ "cluster": true })).is_err());
}

#[test]
fn a_master_is_named_by_its_sentinels() {
    let Ok(Place::Master(it)) = Place::parse("redis+sentinel://me:it@a,b:2/mymaster/3") else {
        panic!();
    };
    assert_eq!(it.name, "mymaster");
    assert_eq!(
        told(&it.addresses[0]),
        ("a:26379".to_owned(), None, None, 0)
    );
    assert_eq!(told(&it.addresses[1]), ("b:2".to_owned(), None, None, 0));
    let (_, username, password, db) = told(&it.login);
    assert_eq!((username, password, db), (Some("me"), Some("it"), 3));
    for wrong in [
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel:///mymaster",
    ] {
        assert!(Place::parse(wrong).is_err(), "{wrong}");
    }

    // As django-redis has it.
    let options = json!({
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "SENTINELS": [["127.0.0.1", 1], ["::1", "2"]],
        "SENTINEL_KWARGS": { "password": "sentinel", "socket_timeout": 1 },
        "PASSWORD": "it",
    });
    let (Place::Master(it), _) = django_redis("redis://mymaster/5", options).unwrap() else {
        panic!();
    };
    assert_eq!(it.name, "mymaster");
    let (addr, _, password, _) = told(&it.addresses[0]);
    assert_eq!((&*addr, password), ("127.0.0.1:1", Some("sentinel")));
    assert_eq!(
        super::super::place::address_of(&it.addresses[1]),
        ("::1".to_owned(), 2)
    );
    let (_, _, password, db) = told(&it.login);
    assert_eq!((password, db), (Some("it"), 5));
    let wrong = json!({ "SENTINELS": ["127.0.0.1:1"] });
    assert!(
        django_redis("redis://mymaster", wrong)
            .unwrap_err()
            .contains("SENTINELS")
    );
}

#[test]
fn options_say_how_to_log_in_where_the_url_does_not() {
    let options = json!({ "username": "me", "password": "it", "db": "4", "pool_class": "redis.BlockingConnectionPool" });
    let (Place::Server(it), values) = django("redis://h", options.clone()).unwrap() else {
        panic!();
    };
    assert_eq!(told(&it), ("h:6379".to_owned(), Some("me"), Some("it"), 4));
    assert_eq!(values, Values::Pickle);
    let (Place::Server(it), _) = django("redis://you:yours@h/5", options).unwrap() else {
        panic!();
    };
    assert_eq!(
        told(&it),
        ("h:6379".to_owned(), Some("you"), Some("yours"), 5)
    );

    let options = json!({ "PASSWORD": "it", "SOCKET_TIMEOUT": 5, "CONNECTION_POOL_KWARGS": { "db": 2, "max_connections": 9 } });
    let (Place::Server(it), _) = django_redis("redis://h", options).unwrap() else {
        panic!();
    };
    assert_eq!(told(&it), ("h:6379".to_owned(), None, Some("it"), 2));
}

#[test]
fn what_django_redis_writes_follows_its_options() {
    let (_, values) = django_redis("redis://h", json!({})).unwrap();
    assert_eq!(
        values,
        Values::DjangoRedis(Serializer::Pickle, Compressor::Identity)
    );
    let options = json!({
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
        "IGNORE_EXCEPTIONS": true,
    });
    let (_, values) = django_redis("redis://h", options).unwrap();
    assert_eq!(
        values,
        Values::DjangoRedis(Serializer::Json, Compressor::Zlib)
    );
}

#[test]
fn what_would_be_laid_out_otherwise_stops_the_program() {
    for (key, path) in [
        (
            "SERIALIZER",
            "django_redis.serializers.msgpack.MSGPackSerializer",
        ),
        ("COMPRESSOR", "shop.compressors.Brotli"),
        ("CLIENT_CLASS", "django_redis.client.HerdClient"),
        ("CLIENT_CLASS", "django_redis.client.ShardClient"),
        ("CONNECTION_FACTORY", "shop.pool.Factory"),
    ] {
        let error = django_redis("redis://h", json!({ key: path })).unwrap_err();
        assert!(error.contains(key) && error.contains(path), "{error}");
    }
    let options = json!({ "serializer": "shop.Serializer" });
    let error = django("redis://h", options).unwrap_err();
    assert!(error.contains("serializer"), "{error}");
}

#[test]
fn no_error_repeats_a_password() {
    for url in [
        "redis://:hunter2@h:port",
        "redis://:hunter2@h/db",
        "redis+cluster://:hunter2@h:port",
        "redis+cluster://:hunter2@h/7",
        "redis+sentinel://:hunter2@h",
        "unix://:hunter2@/run/redis.sock?db=x",
        "rediss://:hunter2@h#x",
        "hunter2",
    ] {
        let error = Place::parse(url).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let place = Place::parse("redis+sentinel://me:hunter2@h/mymaster").unwrap();
    assert!(!format!("{place:?}").contains("hunter2"));
}
