//! What does not matter, taken out: ids by the order in which they appear, points in time, and what Python writes for itself alone.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Options that say what their absence says.
const IDLE: [&str; 2] = ["add_to_parent", "origin"];

pub(super) fn normal(value: &Value) -> Value {
    Ids::default().value(&plain(value))
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let of_unlock = members.get("task").is_some_and(|task| {
                matches!(
                    task.as_str(),
                    Some("celery.chord_unlock" | "celery.map" | "celery.starmap")
                )
            });
            let kept = members.iter().filter(|(key, value)| {
                let printed = of_unlock && matches!(key.as_str(), "argsrepr" | "kwargsrepr");
                let nothing = value.is_null()
                    || value.as_array().is_some_and(Vec::is_empty) && *key != "args";
                !printed && !nothing && !IDLE.contains(&key.as_str())
            });
            let mut kept: Map<_, _> = kept
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect();
            if of_unlock && kept.contains_key("eta") {
                kept.insert("eta".to_owned(), "soon".into());
            }
            // Whose client knows the task says so, and who has only its name says nothing.
            if kept.get("ignore_result") == Some(&Value::Bool(false)) {
                kept.remove("ignore_result");
            }
            // Celery leaves it to kombu, whose priority is 0.
            if kept.get("priority").and_then(Value::as_f64) == Some(0.0) {
                kept.remove("priority");
            }
            Value::Object(kept)
        }
        Value::Array(elements) => Value::Array(elements.iter().map(plain).collect()),
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        other => other.clone(),
    }
}

#[derive(Default)]
struct Ids(HashMap<String, usize>);

impl Ids {
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let renamed = members.iter().map(|(key, value)| {
                    let value = self.value(value);
                    (self.text(key), value)
                });
                Value::Object(renamed.collect())
            }
            Value::Array(elements) => {
                Value::Array(elements.iter().map(|value| self.value(value)).collect())
            }
            Value::String(text) => Value::String(self.text(text)),
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        if uuid::Uuid::try_parse(text).is_err() {
            return text.to_owned();
        }
        let next = self.0.len();
        let number = *self.0.entry(text.to_owned()).or_insert(next);
        format!("id {number}")
    }
}

/// Where two values differ, by the path to it.
pub(super) fn compare(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let (ours, theirs) = (ours.get(key), theirs.get(key));
                let null = Value::Null;
                compare(
                    &format!("{path}.{key}"),
                    ours.unwrap_or(&null),
                    theirs.unwrap_or(&null),
                    found,
                );
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                compare(&format!("{path}[{index}]"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}
