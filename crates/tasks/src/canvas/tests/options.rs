//! Options, and what a message has of them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::{add, app, planned};
use crate::canvas::{Given, Node, Planner};
use crate::{App, Options, SendError, Signature};

fn with(options: Value) -> Signature {
    let Value::Object(options) = options else {
        panic!("options are an object");
    };
    Signature {
        options: Options::from(options),
        ..add(1, 2)
    }
}

fn message(app: &App, signature: &Signature) -> Result<crate::protocol::Message, SendError> {
    let mut planner = Planner::new(app);
    let node = Node::read(signature.clone()).unwrap();
    planner.apply(node, &Given::default(), &Options::default())?;
    Ok(planner.finish().calls.remove(0).message)
}

#[test]
fn a_countdown_is_an_absolute_time_with_microseconds_and_an_offset() {
    let message = message(
        &app(true),
        &add(1, 2).countdown(Duration::from_millis(90_500)),
    )
    .unwrap();
    let text = message.headers["eta"].as_str().unwrap();
    let eta = DateTime::parse_from_rfc3339(text).unwrap();
    let ahead = eta.to_utc() - Utc::now();
    assert!(
        ahead > TimeDelta::seconds(60) && ahead < TimeDelta::seconds(91),
        "{text}"
    );
    assert!(text.ends_with("+00:00"), "{text}");
    assert_eq!(
        text.len(),
        "2030-01-31T08:30:00.123456+00:00".len(),
        "{text}"
    );
}

#[test]
fn times_are_in_the_zone_of_the_settings() {
    let mut settings = crate::TaskSettings::default();
    settings.timezone = chrono_tz::Asia::Seoul;
    let app = App::with(settings, app(true).broker().clone(), None);
    let message = message(&app, &add(1, 2).expires_in(Duration::from_mins(1))).unwrap();
    assert!(
        message.headers["expires"]
            .as_str()
            .unwrap()
            .ends_with("+09:00")
    );
    assert_eq!(message.properties.expiration, Some(60_000));
}

#[test]
fn a_time_may_be_a_text_or_a_datetime_of_celerys_json() {
    let typed = json!({"__type__": "datetime", "__value__": "2030-01-31T08:30:00+09:00"});
    for eta in [json!("2030-01-31T08:30:00+09:00"), typed] {
        let message = message(&app(true), &with(json!({"eta": eta}))).unwrap();
        assert_eq!(message.headers["eta"], "2030-01-31T08:30:00+09:00");
    }
    let message = message(&app(true), &with(json!({"expires": "2000-01-01T00:00:00"}))).unwrap();
    assert_eq!(message.headers["expires"], "2000-01-01T00:00:00");
    assert_eq!(message.properties.expiration, Some(0));
}

#[test]
fn an_option_that_makes_no_sense_is_named() {
    let wrong = [
        ("countdown", json!("soon")),
        ("countdown", json!(1e300)),
        ("countdown", json!(true)),
        ("eta", json!("tomorrow")),
        ("eta", json!(5)),
        ("expires", json!([1])),
        ("expires", json!("later")),
        ("priority", json!(256)),
        ("priority", json!(-1)),
        ("priority", json!("high")),
        ("queue", json!(5)),
        ("queue", json!("")),
        ("queue", json!("q".repeat(256))),
        ("exchange", json!({})),
        ("exchange_type", json!("headers")),
        ("routing_key", json!(1)),
        ("task_id", json!(7)),
        ("task_id", json!("")),
        ("shadow", json!([])),
        ("headers", json!("x")),
        ("time_limit", json!(-1)),
        ("time_limit", json!("long")),
        ("soft_time_limit", json!({"soft": 1})),
        ("ignore_result", json!("yes")),
        ("retries", json!(-1)),
        ("retry", json!("no")),
        ("retry_policy", json!({"max_retries": -1})),
        ("retry_policy", json!({"interval_max": "x"})),
        ("serializer", json!("xml")),
        ("compression", json!("rar")),
        ("link", json!("shop.add")),
        ("link_error", json!([5])),
        ("chord", json!([{"task": "a"}, {"task": "b"}])),
        ("chain", json!([{}])),
        ("group_index", json!("first")),
        ("root_id", json!(1)),
        ("reply_to", json!(1)),
    ];
    for (name, value) in wrong {
        let mut options = Map::new();
        options.insert(name.to_owned(), value.clone());
        match message(&app(true), &with(Value::Object(options))) {
            Err(SendError::Option { name: named, .. }) => assert_eq!(named, name, "{value}"),
            other => panic!("{name} = {value}: {other:?}"),
        }
    }
}

#[test]
fn what_is_null_is_not_said() {
    let names = [
        "countdown",
        "eta",
        "expires",
        "priority",
        "queue",
        "headers",
        "link",
        "ignore_result",
        "serializer",
    ];
    let options: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), Value::Null))
        .collect();
    let ours = planned(&app(true), &with(Value::Object(options)));
    assert_eq!(ours["sent"][0]["queue"], "celery");
    assert_eq!(ours["sent"][0]["headers"]["eta"], Value::Null);
}

#[test]
fn a_route_says_what_a_call_does_not() {
    let mut settings = crate::TaskSettings::default();
    settings.task_routes = vec![
        ("shop.mul".to_owned(), route(json!({"queue": "exact"}))),
        (
            "shop.*".to_owned(),
            route(json!({"queue": "routed", "priority": 4})),
        ),
    ];
    let app = App::with(settings, app(true).broker().clone(), None);
    let sent = |signature: &Signature| planned(&app, signature)["sent"][0].clone();
    assert_eq!(sent(&add(1, 2))["queue"], "routed");
    assert_eq!(sent(&add(1, 2))["priority"], 4);
    assert_eq!(sent(&add(1, 2).queue("own"))["queue"], "own");
    assert_eq!(sent(&Signature::new("shop.mul"))["queue"], "exact");
    assert_eq!(sent(&Signature::new("other"))["queue"], "celery");
}

fn route(options: Value) -> Map<String, Value> {
    match options {
        Value::Object(options) => options,
        _ => Map::new(),
    }
}

#[test]
fn stamps_go_along_with_everything() {
    let canvas = crate::canvas::chain([add(1, 2).link(&Signature::new("shop.echo")), add(3, 4)]);
    let stamped = canvas.unwrap().stamp("shop", "south");
    let ours = planned(&app(true), &stamped);
    let first = &ours["sent"][0];
    assert_eq!(first["headers"]["stamps"], json!({"shop": "south"}));
    assert_eq!(first["body"][2]["callbacks"][0]["options"]["shop"], "south");
    assert_eq!(
        first["body"][2]["chain"][0]["options"]["stamped_headers"],
        json!(["shop"])
    );
}
