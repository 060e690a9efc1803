use std::collections::HashMap;

use indexmap::IndexMap;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::scan::{MAX_DEPTH, MAX_INTEGER_DIGITS};
use super::*;

fn parse(text: &str) -> String {
    RawJson::parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .to_string()
}

fn refused(text: &str) -> JsonErrorKind {
    match RawJson::parse(text) {
        Err(error) => error.kind(),
        Ok(value) => panic!("{value} was taken"),
    }
}

#[test]
fn numbers_keep_their_text() {
    for number in [
        "0",
        "-0",
        "0.10",
        "1e400",
        "1E5",
        "1180591620717411303424",
        "-1.5e-07",
    ] {
        assert_eq!(parse(number), number);
    }
}

#[test]
fn the_words_of_python_are_values() {
    assert_eq!(parse("[NaN,Infinity,-Infinity,null,true,false]").len(), 40);
    for text in [
        "nan",
        "-NaN",
        "+Infinity",
        "Inf",
        "-I",
        "nul",
        "truth",
        "None",
    ] {
        assert!(RawJson::parse(text).is_err(), "{text}");
    }
}

#[test]
fn spaces_go_and_other_scripts_are_escaped() {
    assert_eq!(
        parse(" {\"a b\" :\t[ 1 ,\r\n\"é 😀 \\\" \"] } "),
        r#"{"a b":[1,"\u00e9 \ud83d\ude00 \" "]}"#
    );
    assert_eq!(parse(r#""\u00E9 \/ \ud800""#), r#""\u00E9 \/ \ud800""#);
}

#[test]
fn what_python_refuses_is_refused() {
    use JsonErrorKind::{
        ControlCharacter, InvalidEscape, TrailingText, UnexpectedByte, UnexpectedEnd,
    };
    let texts = [
        ("", UnexpectedEnd),
        (" ", UnexpectedEnd),
        ("[1,]", UnexpectedByte),
        ("[,1]", UnexpectedByte),
        ("[1 2]", UnexpectedByte),
        ("[1}", UnexpectedByte),
        ("{\"a\":1,}", UnexpectedByte),
        ("{\"a\" 1}", UnexpectedByte),
        ("{1:1}", UnexpectedByte),
        ("{\"a\":}", UnexpectedByte),
        ("01", TrailingText),
        ("1 1", TrailingText),
        ("-", UnexpectedEnd),
        ("1.", UnexpectedEnd),
        (".5", UnexpectedByte),
        ("+1", UnexpectedByte),
        ("1e", UnexpectedEnd),
        ("\"\t\"", ControlCharacter),
        ("\"\0\"", ControlCharacter),
        ("\"\\x\"", InvalidEscape),
        ("\"\\u12g4\"", InvalidEscape),
        ("\"\\u+123\"", InvalidEscape),
        ("\"\\", UnexpectedEnd),
        ("'a'", UnexpectedByte),
        ("\u{feff}1", UnexpectedByte),
        ("1\u{a0}", TrailingText),
        ("\u{b}1", UnexpectedByte),
    ];
    for (text, kind) in texts {
        assert_eq!(refused(text), kind, "{text:?}");
    }
}

#[test]
fn an_integer_ends_where_python_stops_converting() {
    let longest = "9".repeat(MAX_INTEGER_DIGITS);
    assert_eq!(parse(&format!("-{longest}")).len(), longest.len() + 1);
    assert_eq!(
        refused(&format!("{longest}0")),
        JsonErrorKind::IntegerTooLong
    );
    assert!(RawJson::parse(&format!("{longest}0.0")).is_ok());
    assert!(RawJson::parse(&format!("{longest}0e1")).is_ok());
}

#[test]
fn depth_ends_before_python_runs_out_of_stack() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(RawJson::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(refused(&nested(MAX_DEPTH + 1)), JsonErrorKind::TooDeep);
    assert_eq!(refused(&"[".repeat(1 << 20)), JsonErrorKind::TooDeep);
    let object = |depth| format!("{{\"a\":{}}}", nested(depth));
    assert!(parse_object(object(MAX_DEPTH - 1).as_bytes()).is_ok());
    assert!(parse_object(object(MAX_DEPTH).as_bytes()).is_err());
}

#[test]
fn objects_and_arrays_may_take_turns_all_the_way_down() {
    let text = r#"{"a":["#.repeat(400) + "0" + &"]}".repeat(400);
    assert_eq!(parse(&text), text);
    assert!(RawJson::parse(&text.replace("]}]", "]]]")).is_err());
}

#[test]
fn floats_are_written_as_python_does() {
    let known = [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (5.0, "5.0"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (123_456.789, "123456.789"),
        (0.0001, "0.0001"),
        (0.000_123_4, "0.0001234"),
        (0.000_01, "1e-05"),
        (1e-7, "1e-07"),
        (1.5e-10, "1.5e-10"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1e22, "1e+22"),
        (1.234_567_890_123_456_7e16, "1.2345678901234568e+16"),
        (9_007_199_254_740_993.0, "9007199254740992.0"),
        // The exact value ends in .25: Python takes the even digit.
        (1_222_707_470_173_380.5 / 2.0, "611353735086690.2"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
    ];
    for (float, text) in known {
        assert_eq!(RawJson::from_value(&float).expect("a float").as_str(), text);
    }
    assert_eq!(
        RawJson::from_value(&0.1_f32).expect("a float").as_str(),
        "0.1"
    );
}

#[test]
fn strings_are_written_as_python_does() {
    let string = "\0\u{8}\t\n\u{b}\u{c}\r\u{1f} ~\u{7f}\u{80}\"\\/é\u{ffff}😀";
    assert_eq!(
        RawJson::from_value(string).expect("a string").as_str(),
        r#""\u0000\b\t\n\u000b\f\r\u001f ~\u007f\u0080\"\\/\u00e9\uffff\ud83d\ude00""#
    );
}

#[test]
fn raw_values_come_out_compact_and_escaped() {
    #[derive(Serialize)]
    struct Both {
        theirs: Box<RawValue>,
        ours: RawJson,
        spaced: RawJson,
    }
    let both = Both {
        theirs: RawValue::from_string(r#"[ 1e400, "é" ]"#.to_owned()).expect("JSON"),
        ours: RawJson::parse("[1E5,-Infinity,\"Infinity\"]").expect("JSON"),
        spaced: parse_object(b"{\"a\": [1, 2]}").expect("an object")["a"].clone(),
    };
    assert_eq!(
        RawJson::from_value(&both).expect("JSON").as_str(),
        r#"{"theirs":[1e400,"\u00e9"],"ours":[1E5,-1e999,"Infinity"],"spaced":[1,2]}"#
    );
}

#[test]
fn infinity_is_written_for_others_as_a_number_that_overflows() {
    let infinite = RawJson::parse(r#"{"NaN\"":[Infinity,-Infinity,"NaN"]}"#).expect("JSON");
    assert_eq!(
        serde_json::to_string(&infinite).expect("JSON"),
        r#"{"NaN\"":[1e999,-1e999,"NaN"]}"#
    );
}

#[test]
fn nan_cannot_be_written_for_others() {
    let nan = RawJson::parse("[NaN]").expect("JSON");
    assert!(serde_json::to_string(&nan).is_err());
    assert!(RawJson::from_value(&nan).is_err());
    assert!(nan.deserialize::<Value>().is_err());
}

#[test]
fn a_value_python_could_not_read_is_not_written() {
    let mut deep = json!(0);
    for _ in 0..=MAX_DEPTH {
        deep = json!([deep]);
    }
    assert!(RawJson::from_value(&deep).is_err());
    let long = RawValue::from_string("9".repeat(MAX_INTEGER_DIGITS + 1)).expect("JSON");
    assert!(RawJson::from_value(&long).is_err());
    assert!(RawJson::from_value(&HashMap::from([((1, 2), 3)])).is_err());
}

#[test]
fn numbers_that_fit_no_rust_type_can_be_had_as_text() {
    for number in ["1e400", "1180591620717411303424", "-Infinity"] {
        let raw = RawJson::parse(number).expect("JSON");
        let value: Box<RawValue> = raw.deserialize().expect("a raw value");
        assert_eq!(value.get(), number.replace("Infinity", "1e999"));
    }
    let raw: RawJson = serde_json::from_str("[1e400, 2]").expect("JSON");
    assert_eq!(raw.as_str(), "[1e400,2]");
}

#[test]
fn a_float_is_read_as_the_nearest_there_is() {
    // Fast and careless parsing is off by one unit in the last place here.
    let raw = RawJson::parse("1.2345678901234567e-290").expect("JSON");
    assert_eq!(
        raw.deserialize::<f64>().ok(),
        "1.2345678901234567e-290".parse().ok()
    );
}

#[test]
fn a_lone_surrogate_is_no_string_and_no_panic() {
    let raw = RawJson::parse(r#""\ud800""#).expect("JSON for Python");
    assert!(raw.deserialize::<String>().is_err());
    assert!(raw.deserialize::<Box<RawValue>>().is_ok());
}

#[test]
fn members_keep_their_order_and_their_text() {
    let bytes = b" { \"b\" : [ 1, 2.50 ] , \"a\":{\"x\": \"\\u00E9\"}} ";
    let members = parse_object(bytes).expect("an object");
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| (&**key, value.as_str()))
        .collect();
    assert_eq!(members, [("b", "[ 1, 2.50 ]"), ("a", r#"{"x": "\u00E9"}"#)]);
}

#[test]
fn bytes_are_characters_of_latin_1() {
    let members = parse_object("{\"é\": \"é \"}".as_bytes()).expect("an object");
    assert_eq!(members[r"\u00c3\u00a9"].as_str(), r#""\u00c3\u00a9 ""#);
}

#[test]
fn keys_are_equal_however_they_were_escaped() {
    let text = br#"{"a/":1,"z":2,"\u0061\/":3,"\uD83D\uDE00":4,"\ud83d\ude00":5,"\uD800":6}"#;
    let members = parse_object(text).expect("an object");
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| (&**key, value.as_str()))
        .collect();
    assert_eq!(
        members,
        [
            ("a/", "3"),
            ("z", "2"),
            (r"\ud83d\ude00", "5"),
            (r"\ud800", "6")
        ]
    );
    assert_eq!(unescape_key(r"\ud800"), "\u{fffd}");
}

#[test]
fn only_a_whole_object_is_an_object() {
    for text in ["[]", "1", "null", "\"a\""] {
        let error = parse_object(text.as_bytes()).expect_err("no object");
        assert_eq!(error.kind(), JsonErrorKind::NotAnObject);
    }
    for text in [
        "",
        "{",
        "{\"a\"",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{} {}",
        "{}x",
    ] {
        assert!(parse_object(text.as_bytes()).is_err(), "{text}");
    }
    assert!(parse_object(b" { } ").expect("an object").is_empty());
}

#[test]
fn an_error_says_where() {
    let error = parse_object(b"{\"a\": x}").expect_err("no value");
    assert_eq!(error.offset(), 6);
    assert_eq!(
        error.to_string(),
        "a byte that JSON does not allow here at byte 6"
    );
}

#[test]
fn a_backslash_that_escapes_nothing_stands_for_itself() {
    for key in [r"\", r"\x", r"\u12", r"\u12é4", r"\😀"] {
        assert_eq!(unescape_key(key), key);
    }
}

/// Any value of JSON that Rust can hold.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_survives(value in values()) {
        let raw = RawJson::from_value(&value).expect("JSON");
        prop_assert!(raw.as_str().is_ascii());
        prop_assert_eq!(&RawJson::parse(raw.as_str()).expect("JSON"), &raw);
        prop_assert_eq!(raw.deserialize::<Value>().expect("JSON"), value);
    }

    #[test]
    fn any_float_survives(float in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
        let raw = RawJson::from_value(&float).expect("JSON");
        prop_assert_eq!(raw.as_str().parse::<f64>().expect("a number").to_bits(), float.to_bits());
    }

    #[test]
    fn any_key_survives(key: String) {
        let escaped = escape_key(&key);
        prop_assert!(escaped.is_ascii());
        prop_assert_eq!(unescape_key(&escaped), key.as_str());
    }

    #[test]
    fn any_object_survives(members: HashMap<String, i32>) {
        let entries: IndexMap<Box<str>, RawJson> = members
            .iter()
            .map(|(key, value)| (escape_key(key).into(), RawJson::from_value(value).expect("JSON")))
            .collect();
        let text = write_object(entries.iter().map(|(key, value)| (&**key, value)));
        prop_assert_eq!(parse_object(text.as_bytes()).expect("an object"), entries);
        prop_assert_eq!(serde_json::from_str::<HashMap<String, i32>>(&text).expect("JSON"), members);
    }

    #[test]
    fn what_serde_json_reads_is_read(text in r#"[\[\]{}",:0-9eE.+\-ntrufalsé\\ ]{0,30}"#) {
        if let Ok(raw) = serde_json::from_str::<Box<RawValue>>(&text) {
            prop_assert!(RawJson::parse(raw.get()).is_ok());
        } else {
            // The text holds none of the words that only Python knows.
            prop_assert!(RawJson::parse(&text).is_err());
        }
    }

    #[test]
    fn any_text_is_a_value_or_an_error(text: String, bytes: Vec<u8>) {
        let _ = RawJson::parse(&text);
        let _ = RawJson::parse_bytes(&bytes);
        let _ = parse_object(&bytes);
        let _ = unescape_key(&text);
    }
}
