use proptest::prelude::*;
use serde_json::{Map, json};

use super::super::compression::Compression;
use super::super::serializer::{AcceptContent, Serializer};
use super::*;

/// Made by Celery: see `fixtures.py`.
const MESSAGES: &str = include_str!("../fixtures/messages.json");

fn celerys(version: &str) -> Message {
    let messages: Value = serde_json::from_str(MESSAGES).unwrap();
    let message = &messages[version];
    Message {
        headers: message["headers"].as_object().unwrap().clone(),
        ..Message::json(message["body"].as_str().unwrap().to_owned())
    }
}

fn read(message: &Message) -> Result<TaskMessage, InvalidMessage> {
    TaskMessage::read(message, &ContentPolicy::default())
}

#[test]
fn protocol_1_is_read_as_the_same_task_of_protocol_2() {
    let old = read(&celerys("v1")).unwrap();
    let new = read(&celerys("v2")).unwrap();
    assert_eq!(old.body, new.body);
    let expected = TaskHeaders {
        // Protocol 1 knows nothing of these; its times are UTC, and do not say so.
        root_id: Some("1".to_owned()),
        parent_id: None,
        origin: None,
        ignore_result: None,
        eta: Some("2025-03-31T08:30:00+00:00".to_owned()),
        ..new.headers
    };
    assert_eq!(old.headers, expected);
    assert_eq!(old.headers.timelimit, [Some(10.5), Some(5.0)]);
    assert_eq!(old.body.embed.callbacks[0].task, "shop.log");
    assert!(old.body.embed.chord.unwrap().immutable);
}

#[test]
fn the_headers_of_a_hybrid_message_take_precedence() {
    let mut message = celerys("v1");
    message.headers = celerys("v2").headers;
    message.headers["id"] = "2".into();
    let task = read(&message).unwrap();
    assert_eq!(task.headers.id, "2");
    assert_eq!(task.headers.parent_id.as_deref(), Some("8"));
    assert_eq!(task.body, read(&celerys("v2")).unwrap().body);
}

#[test]
fn a_task_of_protocol_1_may_say_little() {
    let task = read(&Message::json(r#"{"task": "t", "id": "1"}"#)).unwrap();
    assert_eq!(task.body, Body::default());
    assert_eq!(task.headers.kwargsrepr.as_deref(), Some("{}"));

    let local = r#"{"task": "t", "id": "1", "utc": false, "eta": "2025-03-31T08:30:00"}"#;
    let task = read(&Message::json(local)).unwrap();
    assert_eq!(task.headers.eta.as_deref(), Some("2025-03-31T08:30:00"));
}

#[test]
fn a_compressed_body_in_another_format_is_read() {
    let mut message = celerys("v2");
    let body = RawJson::parse(std::str::from_utf8(&message.body).unwrap()).unwrap();
    let expected = read(&message).unwrap();
    let pickle = Serializer::Pickle.encode(&body).unwrap();
    message.body = Compression::Gzip.compress(&pickle).unwrap().into();
    message.content_type = Serializer::Pickle.content_type().into();
    message
        .headers
        .insert("compression".to_owned(), "application/x-gzip".into());

    assert!(matches!(
        read(&message),
        Err(InvalidMessage::Content(ContentError::Disallowed { .. }))
    ));
    let policy = ContentPolicy {
        accept: AcceptContent::from_names(["pickle"]).unwrap(),
        ..ContentPolicy::default()
    };
    let task = TaskMessage::read(&message, &policy).unwrap();
    // And what is sent on a retry does not claim to be compressed.
    assert_eq!(task, expected);
}

#[test]
fn messages_that_are_no_tasks_are_errors_that_say_why() {
    let with = |headers: Value, body: &'static str| Message {
        headers: headers.as_object().unwrap().clone(),
        ..Message::json(body)
    };
    let named = || json!({"task": "t", "id": "1"});
    for (message, what) in [
        (with(json!({}), "[[], {}, {}]"), "\"task\""),
        (with(named(), "[[], {}]"), "list of arguments"),
        (with(named(), "null"), "not a JSON array"),
        (with(named(), "[{}, {}, {}]"), "array"),
        (with(named(), "[[], [], {}]"), "object"),
        (with(named(), "not json"), "json"),
        (
            with(named(), r#"[[], {}, {"chain": [[]]}]"#),
            "after the task",
        ),
        (with(json!({"compression": 1}), "[]"), "compression"),
        (with(json!({}), "{}"), "\"task\""),
        (with(named(), r#"{"args": 1}"#), "not a list"),
        (with(named(), r#"{"kwargs": [1]}"#), "not a mapping"),
        (with(json!({}), r#"{"task": 1, "id": "1"}"#), "\"task\""),
        (with(named(), r#"{"retries": NaN}"#), "\"retries\""),
    ] {
        let error = read(&message).unwrap_err().to_string();
        assert!(error.contains(what), "{message:?}: {error}");
    }
}

#[test]
fn a_body_nested_without_end_is_an_error() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"chord\":", "}")] {
        let deep = format!("{}1{}", open.repeat(50_000), close.repeat(50_000));
        let mut message = celerys("v2");
        message.body = deep.into();
        assert!(read(&message).is_err());
    }
    // As deep as JSON may be, in each part.
    let deep = format!("{}{}", "[".repeat(890), "]".repeat(890));
    let mut message = celerys("v2");
    message.body = format!("[[{deep}], {{\"k\": {deep}}}, {{}}]").into();
    assert!(read(&message).is_ok());
    message.body = format!("[[], {{}}, {{\"callbacks\": {deep}}}]").into();
    assert!(read(&message).is_err());
}

fn anything() -> impl Strategy<Value = Message> {
    let headers = prop::collection::hash_map(
        prop::sample::select(vec![
            "task",
            "id",
            "eta",
            "retries",
            "timelimit",
            "compression",
            "stamps",
        ]),
        prop_oneof![
            Just(json!("application/x-gzip")),
            Just(json!("x")),
            Just(json!(3)),
            Just(json!([1.5, null])),
            Just(Value::Null),
        ],
        0..6,
    );
    let content_type = prop::sample::select(vec![
        "application/json",
        "application/x-python-serialize",
        "application/x-msgpack",
        "application/x-yaml",
    ]);
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}:,\"a1 &*!\n-]{0,120}".prop_map(String::into_bytes),
        r#"(\[\[|\{"task":"t","id":|"a"|,|\{\}|\]|\}|"chord":|"args":|null|1e9){0,20}"#
            .prop_map(String::into_bytes),
    ];
    (headers, content_type, body).prop_map(|(headers, content_type, body)| Message {
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
        content_type: content_type.into(),
        ..Message::json(body)
    })
}

proptest! {
    #[test]
    fn whatever_comes_in_is_a_task_or_an_error(message in anything()) {
        let mut names = vec!["json", "pickle"];
        if cfg!(feature = "msgpack") {
            names.push("msgpack");
        }
        if cfg!(feature = "yaml") {
            names.push("yaml");
        }
        let policy = ContentPolicy {
            accept: AcceptContent::from_names(names).unwrap(),
            max_expanded: 1000,
        };
        if let Ok(task) = TaskMessage::read(&message, &policy) {
            let again = Message {
                headers: task.headers.write(),
                ..Message::json(task.body.to_json().unwrap().as_str().to_owned())
            };
            prop_assert_eq!(TaskMessage::read(&again, &policy).unwrap(), task);
        }
    }
}

#[test]
fn what_was_read_can_be_written_however_deep_it_is() {
    for depth in [100, 200, 880] {
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!(r#"[[],{{}},{{"callbacks":[{{"task":"a","args":{deep}}}]}}]"#);
        let body = Body::parse(&RawJson::parse(&text).unwrap()).unwrap();
        let again = body
            .to_json()
            .unwrap_or_else(|error| panic!("{depth}: {error}"));
        assert_eq!(Body::parse(&again).unwrap(), body);
    }
}
