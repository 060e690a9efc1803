//! The formats that need a feature each, beside what kombu writes.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Made by kombu: see `fixtures.py`.
const BODIES: &str = include_str!("../../fixtures/bodies.json");

/// What `fixtures.py` has checked that Python reads.
const WRITTEN_YAML: &str = include_str!("../../fixtures/written.yaml");

#[derive(serde::Deserialize)]
struct Body {
    json: String,
    pickle: String,
    msgpack: String,
    yaml: String,
}

fn bodies() -> Vec<Body> {
    serde_json::from_str(BODIES).unwrap()
}

#[test]
fn what_kombu_wrote_in_any_format_is_the_same_value() {
    for body in bodies() {
        let expected = RawJson::parse(&body.json).unwrap();
        for (serializer, written) in [
            (Serializer::Pickle, &body.pickle),
            (Serializer::Msgpack, &body.msgpack),
            (Serializer::Yaml, &body.yaml),
        ] {
            let written = STANDARD.decode(written).unwrap();
            let read = serializer.decode(&written).unwrap();
            assert_eq!(read, expected, "{serializer:?}");
        }
    }
}

#[test]
fn msgpack_is_written_to_the_byte_as_python_writes_it() {
    for body in bodies() {
        let value = RawJson::parse(&body.json).unwrap();
        let written = Serializer::Msgpack.encode(&value).unwrap();
        assert_eq!(STANDARD.encode(written), body.msgpack);
    }
}

#[test]
fn yaml_is_written_so_that_python_reads_it() {
    let values = bodies()
        .into_iter()
        .map(|body| RawJson::parse(&body.json).unwrap());
    let written: Vec<u8> = values
        .flat_map(|value| Serializer::Yaml.encode(&value).unwrap())
        .collect();
    assert_eq!(String::from_utf8(written).unwrap(), WRITTEN_YAML);
}

fn yaml(text: &str) -> Result<String, String> {
    let read = Serializer::Yaml.decode(text.as_bytes());
    read.map(|value| value.as_str().to_owned())
        .map_err(|error| error.to_string())
}

#[test]
fn plain_scalars_are_what_they_are_in_yaml_1_1() {
    for (text, json) in [
        ("", "null"),
        ("[yes, Off, ~, null]", "[true,false,null,null]"),
        (
            "[010, 0x1F, 0b11, 1_000, +5, -7, 08]",
            r#"[8,31,3,1000,5,-7,"08"]"#,
        ),
        (
            "[1.5, 1.0e+3, 1e3, 1.0e3, .5, -.inf, 6.]",
            r#"[1.5,1000.0,"1e3","1.0e3",0.5,-Infinity,6.0]"#,
        ),
        ("'yes'", r#""yes""#),
        ("!!str 12", r#""12""#),
        ("- &a [1]\n- *a\n", "[[1],[1]]"),
        (
            "2025-03-31",
            r#"{"__type__":"date","__value__":"2025-03-31"}"#,
        ),
        (
            "2025-03-31 08:30:00.500000+00:00",
            r#"{"__type__":"datetime","__value__":"2025-03-31T08:30:00.500000+00:00"}"#,
        ),
        (
            "2025-03-31 08:30:00",
            r#"{"__type__":"datetime","__value__":"2025-03-31T08:30:00"}"#,
        ),
        (
            "!!binary |\n  iVBO\n  Rw==\n",
            r#"{"__type__":"base64","__value__":"iVBORw=="}"#,
        ),
    ] {
        assert_eq!(yaml(text).as_deref(), Ok(json), "{text}");
    }
}

#[test]
fn yaml_makes_no_objects_and_no_bombs() {
    for (text, problem) in [
        ("!!python/object/apply:os.system ['true']", "python"),
        ("!!set {a, b}", "set"),
        ("{1: 2}", "key"),
        ("{[a]: 2}", "key"),
        ("{<<: {a: 1}}", "merge"),
        ("12:30:45", "base 60"),
        ("--- 1\n--- 2\n", "more than one document"),
        ("&a [*a]", "alias"),
        ("[", "yaml"),
    ] {
        let error = yaml(text).unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let one = format!("*a{}", level - 1);
        let all = [&*one; 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{all}]").unwrap();
    }
    assert!(yaml(&bomb).unwrap_err().contains("aliases"));
    let small = ContentPolicy {
        accept: AcceptContent::from_names(["yaml"]).unwrap(),
        max_expanded: 100,
    };
    let repeated = |times| format!("[&a xxxxxxxxxx{}]", ", *a".repeat(times));
    for (times, fits) in [(5, true), (20, false)] {
        let read = small.decode(repeated(times).as_bytes(), "application/x-yaml", None);
        assert_eq!(read.is_ok(), fits, "{read:?}");
    }
    assert!(yaml(&"[".repeat(100_000)).is_err());
    let deep = format!("{}1", "- ".repeat(1000));
    assert!(yaml(&deep).unwrap_err().contains("too deep"));
}

#[test]
fn msgpack_that_is_broken_is_an_error() {
    for body in [
        &b""[..],
        b"\xc1",
        b"\x92\x01",
        b"\xdd\xff\xff\xff\xff\x01",
        b"\xdf\xff\xff\xff\xff\xa1a",
        b"\x81\x01\x02",
        b"\xa2\xff\xff",
        b"\xd4\x01\x00",
        b"\x01\x01",
        b"\xc6\xff\xff\xff\xff",
    ] {
        assert!(Serializer::Msgpack.decode(body).is_err(), "{body:?}");
    }
    let deep = vec![0x91; 100_000];
    let error = Serializer::Msgpack.decode(&deep).unwrap_err().to_string();
    assert!(error.contains("too deep"), "{error}");
    let huge = RawJson::parse("[18446744073709551616]").unwrap();
    assert!(Serializer::Msgpack.encode(&huge).is_err());
}

#[test]
fn bytes_of_msgpack_are_the_bytes_of_celerys_json() {
    let value = Serializer::Msgpack
        .decode(b"\x92\xc4\x02ab\xc4\x01\xff")
        .unwrap();
    assert_eq!(
        value.as_str(),
        r#"[{"__type__":"bytes","__value__":"ab"},{"__type__":"base64","__value__":"/w=="}]"#
    );
}
