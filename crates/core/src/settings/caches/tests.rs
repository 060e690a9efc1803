use serde_json::json;

use super::*;

fn revealed(cache: &CacheSettings) -> Vec<&str> {
    cache.location.iter().map(SecretUrl::reveal).collect()
}

#[test]
fn djangos_caches_carry_over() {
    let caches = parse_caches(&json!({
        "default": {
            "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
            "LOCATION": ["10.0.0.1:11211", "10.0.0.2:11211"],
            "TIMEOUT": null, "KEY_PREFIX": "shop", "VERSION": 2, "OPTIONS": {"no_delay": true},
        },
        "replicas": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://a:6379/0;redis://b:6379/0, redis://c",
        },
        "pages": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/var/a,b"},
    }))
    .unwrap();
    let default = &caches["default"];
    assert_eq!(
        default.backend,
        CacheBackend::Memcached(MemcachedClient::Pymemcache)
    );
    assert_eq!(revealed(default), ["10.0.0.1:11211", "10.0.0.2:11211"]);
    assert_eq!(
        (
            default.timeout,
            default.key_prefix.as_str(),
            default.version
        ),
        (None, "shop", 2)
    );
    assert_eq!(default.options["no_delay"], json!(true));
    assert_eq!(
        revealed(&caches["replicas"]),
        ["redis://a:6379/0", "redis://b:6379/0", "redis://c"]
    );
    assert_eq!(caches["replicas"].timeout, Some(TimeDelta::seconds(300)));
    assert_eq!(revealed(&caches["pages"]), ["/var/a,b"]);
}

#[test]
fn what_is_wrong_in_a_cache_is_named() {
    let locmem = "django.core.cache.backends.locmem.LocMemCache";
    for (caches, said) in [
        (json!([]), "table of caches"),
        (json!({"default": "locmem"}), "must be a table"),
        (json!({"default": {}}), "BACKEND"),
        (json!({"default": {"BACKEND": "shop.Cache"}}), "in code"),
        (
            json!({"default": {"BACKEND": locmem, "KEYPREFIX": "x"}}),
            "did you mean KEY_PREFIX?",
        ),
        (
            json!({"default": {"BACKEND": locmem, "SESSION_COOKIE_AGE": 1}}),
            "above the file's first [table]",
        ),
        (
            json!({"default": {"BACKEND": locmem, "TIMEOUT": "soon"}}),
            "TIMEOUT",
        ),
        (
            json!({"default": {"BACKEND": locmem, "VERSION": 1.5}}),
            "VERSION",
        ),
        (
            json!({"default": {"BACKEND": locmem, "OPTIONS": []}}),
            "OPTIONS",
        ),
        (
            json!({"default": {"BACKEND": locmem, "KEY_FUNCTION": "shop.key"}}),
            "KEY_FUNCTION",
        ),
        (
            json!({"x": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}),
            "LOCATION",
        ),
    ] {
        let error = parse_caches(&caches).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_url_is_a_cache() {
    for (url, backend, location) in [
        ("locmem://", CacheBackend::LocMem, vec![]),
        (
            "locmem://snowflake",
            CacheBackend::LocMem,
            vec!["snowflake"],
        ),
        ("rediss://h/1", CacheBackend::Redis, vec!["rediss://h/1"]),
        (
            "memcached://127.0.0.1:11211,h:11212",
            CacheBackend::Memcached(MemcachedClient::Pymemcache),
            vec!["127.0.0.1:11211", "h:11212"],
        ),
        (
            "file:///var/tmp/cache",
            CacheBackend::FileBased,
            vec!["/var/tmp/cache"],
        ),
        (
            "database://cache_table",
            CacheBackend::Database,
            vec!["cache_table"],
        ),
        ("dummy://", CacheBackend::Dummy, vec![]),
    ] {
        let cache = CacheSettings::parse_url(url).unwrap();
        assert_eq!(
            (cache.backend, revealed(&cache)),
            (backend, location),
            "{url}"
        );
    }
    for url in [
        "",
        "redis",
        "redis://",
        "memcached://",
        "file://",
        "http://hunter2@h",
    ] {
        let error = CacheSettings::from_url(url).unwrap_err().to_string();
        assert!(
            error.starts_with("CACHE_URL") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn no_password_is_printed() {
    let mut cache = CacheSettings::from_url("redis://:hunter2@h/0").unwrap();
    cache
        .options
        .insert("PASSWORD".to_owned(), json!("hunter2"));
    let printed = format!("{cache:?}");
    assert!(
        !printed.contains("hunter2") && printed.contains("PASSWORD"),
        "{printed}"
    );
}

#[test]
fn one_url_names_all_nodes_of_a_redis_cluster_or_all_sentinels() {
    for url in [
        "redis+cluster://127.0.0.1:7000,127.0.0.1:7001",
        "rediss+cluster://127.0.0.1:7000,127.0.0.1:7001",
        "redis+sentinel://127.0.0.1:26379,127.0.0.1:26380/mymaster/0",
    ] {
        let cache = CacheSettings::from_url(url).unwrap();
        assert_eq!(cache.backend, CacheBackend::Redis);
        let locations: Vec<&str> = cache.location.iter().map(SecretUrl::reveal).collect();
        assert_eq!(locations, [url]);
    }
    assert!(CacheSettings::from_url("redis+cluster://").is_err());
}
