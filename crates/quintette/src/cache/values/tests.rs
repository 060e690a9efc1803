//! Against what django-redis 7.0 writes on Python 3.11: `fixtures.json`, made by `fixtures.py`.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use quintette_core::pickle::MAX_EXPANDED;
use quintette_core::session::SessionData;
use serde::Deserialize;

use super::{Compressor, Serializer, ValueError, Values};

#[derive(Deserialize)]
struct Fixture {
    serializer: String,
    compressor: String,
    session: String,
    short: String,
    none: String,
    /// More than 16 MiB of spaces.
    bomb: Option<String>,
}

fn fixtures() -> Vec<(Values, Fixture)> {
    let fixtures: Vec<Fixture> = serde_json::from_str(include_str!("fixtures.json")).unwrap();
    let known = fixtures.into_iter().filter_map(|fixture| {
        let serializer = match fixture.serializer.rsplit('.').next()? {
            "PickleSerializer" => Serializer::Pickle,
            "JSONSerializer" => Serializer::Json,
            other => panic!("{other}"),
        };
        let compressor = match fixture.compressor.rsplit('.').next()? {
            "IdentityCompressor" => Compressor::Identity,
            "ZlibCompressor" => Compressor::Zlib,
            "GzipCompressor" => Compressor::Gzip,
            #[cfg(feature = "redis-compressors")]
            "Lz4Compressor" => Compressor::Lz4,
            #[cfg(feature = "redis-compressors")]
            "LzmaCompressor" => Compressor::Lzma,
            #[cfg(feature = "redis-compressors")]
            "ZStdCompressor" => Compressor::Zstd,
            _ => return None,
        };
        Some((Values::DjangoRedis(serializer, compressor), fixture))
    });
    known.collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// The session of `fixtures.py`.
fn session() -> SessionData {
    let text = "to be repeated, ".repeat(20);
    let json = format!(
        r#"{{"_auth_user_id":"1","cart":[{{"sku":"book","price":0.1}},null,true],"name":"\ud55c\uad6d","large":1180591620717411303424,"text":"{text}"}}"#
    );
    SessionData::from_json(json.as_bytes()).unwrap()
}

#[track_caller]
fn assert_same(one: &SessionData, other: &SessionData) {
    let compact = |data: &SessionData| {
        data.to_json()
            .unwrap()
            .replace(": ", ":")
            .replace(", ", ",")
    };
    assert_eq!(compact(one), compact(other));
}

#[test]
fn what_django_redis_writes_is_read() {
    for (values, fixture) in fixtures() {
        let read = values.decode(&bytes(&fixture.session)).unwrap();
        assert_same(&read.unwrap(), &session());
        let short = values.decode(&bytes(&fixture.short)).unwrap();
        assert!(short.unwrap().is_empty(), "{values:?}");
        assert!(values.decode(&bytes(&fixture.none)).unwrap().is_none());
    }
}

#[test]
fn what_is_written_is_read_and_compressed_where_it_is_long() {
    let (empty, long) = (SessionData::default(), session());
    for (values, fixture) in fixtures() {
        let written = values.encode(&long).unwrap();
        assert_same(&values.decode(&written).unwrap().unwrap(), &long);
        if !fixture.compressor.ends_with("IdentityCompressor") {
            let python = bytes(&fixture.session);
            assert!(written.len() < 2 * python.len(), "{values:?}");
            // Each format begins alike; what follows is the compressor's choice.
            assert_eq!(written[..2], python[..2], "{values:?}");
        }
        let short = values.encode(&empty).unwrap();
        assert!(short.len() <= 15, "it is not compressed: {short:?}");
        assert!(values.decode(&short).unwrap().unwrap().is_empty());
    }
}

#[test]
fn what_is_longer_than_the_shortest_is_read_without_compression() {
    for (values, _) in fixtures() {
        let Values::DjangoRedis(serializer, _) = values else {
            panic!("{values:?}");
        };
        let plain = serializer.encode(&session()).unwrap();
        assert_same(&values.decode(&plain).unwrap().unwrap(), &session());
    }
}

#[test]
fn json_is_kept_to_the_digit() {
    let values = Values::DjangoRedis(Serializer::Json, Compressor::Zlib);
    let json = r#"{"huge":1e400,"exact":0.10,"large":1180591620717411303424}"#;
    let data = SessionData::from_json(json.as_bytes()).unwrap();
    let read = values.decode(&values.encode(&data).unwrap()).unwrap();
    assert_eq!(read.unwrap().to_json().unwrap(), json);
}

#[test]
fn a_marker_is_none_and_like_no_other() {
    for (values, _) in fixtures() {
        let marker = values.marker(b"0123456789abcdef");
        assert!(values.decode(&marker).unwrap().is_none());
        assert_ne!(marker, values.marker(b"0123456789abcdeg"));
    }
    let marker = Values::DjangoRedis(Serializer::Json, Compressor::Identity).marker(&[0xa5; 16]);
    let value: Option<u8> = serde_json::from_slice(&marker).unwrap();
    assert_eq!(value, None);
}

#[test]
fn what_is_no_session_is_an_error() {
    for (values, fixture) in fixtures() {
        let session = bytes(&fixture.session);
        for broken in [
            &b""[..],
            b"12",
            b"[1]",
            b"\x80",
            &session[..session.len() / 2],
        ] {
            assert!(values.decode(broken).is_err(), "{values:?}: {broken:?}");
        }
    }
}

#[test]
fn what_expands_beyond_all_bounds_is_an_error() {
    let bomb = vec![b' '; MAX_EXPANDED + 1];
    for (values, fixture) in fixtures() {
        let Values::DjangoRedis(Serializer::Json, compressor) = values else {
            continue;
        };
        // The best compression takes its time.
        let compressed = match (compressor, fixture.bomb) {
            (Compressor::Identity, _) => continue,
            (Compressor::Gzip, _) => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&bomb).unwrap();
                encoder.finish().unwrap()
            }
            (_, Some(compressed)) => bytes(&compressed),
            (compressor, None) => compressor.compress(bomb.clone()),
        };
        assert!(compressed.len() < bomb.len() / 10, "{values:?}");
        let decoded = values.decode(&compressed);
        assert!(matches!(decoded, Err(ValueError::TooLarge)), "{values:?}");
    }
}
