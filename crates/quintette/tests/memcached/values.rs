use std::io::Write;
use std::time::Duration;

use quintette::cache::{Cache, Revision, Swapped};

use super::{HOUR, fresh, put, raw, recovered, seen, value};

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
