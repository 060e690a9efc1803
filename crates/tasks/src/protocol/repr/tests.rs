use quintette_core::json::parse_object;

use super::*;

/// Made by Celery: see `fixtures.py`.
const FIXTURES: &str = include_str!("../fixtures/repr.jsonl");

#[derive(serde::Deserialize)]
struct Fixture {
    argsrepr: String,
    kwargsrepr: String,
}

#[test]
fn arguments_print_as_celery_prints_them() {
    for line in FIXTURES.lines() {
        let row = RawJson::parse(line).unwrap();
        let members = parse_object(row.as_str().as_bytes()).unwrap();
        let expected: Fixture = row.deserialize().unwrap_or_else(|_| Fixture {
            argsrepr: members["argsrepr"].deserialize().unwrap(),
            kwargsrepr: members["kwargsrepr"].deserialize().unwrap(),
        });
        let whole = &members["args"];
        let args = items(whole);
        assert_eq!(args_repr(&args), expected.argsrepr, "{whole}");

        let one = RawJson::from(1);
        let kwargs = [(r"it's \u00e9\n", &one), ("a", whole)];
        assert_eq!(kwargs_repr(kwargs), expected.kwargsrepr, "{whole}");
    }
}

/// The items of an array, by way of its tokens: NaN is among them.
fn items(array: &RawJson) -> Vec<RawJson> {
    let mut items = Vec::new();
    let text = &array.as_str()[1..];
    let (mut start, mut depth, mut in_string, mut escaped) = (0, 0, false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '[' | '{' => depth += 1,
            ',' | ']' if depth == 0 => {
                if at > start {
                    items.push(RawJson::parse(&text[start..at]).unwrap());
                }
                start = at + 1;
            }
            ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    items
}

#[test]
fn a_lone_surrogate_prints_as_the_replacement() {
    let value = RawJson::parse(r#""\ud800""#).unwrap();
    assert_eq!(value_repr(&value), "'\u{fffd}'");
}

#[test]
fn what_is_printed_of_a_huge_value_is_short() {
    let value = RawJson::parse(&format!("[{}1]", r#""\ud83d\ude00","#.repeat(100_000))).unwrap();
    assert!(value_repr(&value).chars().count() < MAX_LENGTH + 20);
}
