//! Protocol 1: the whole task is a dict in the body.
//!
//! Celery 3 wrote it, and later ones do with `task_protocol = 1`. There is a hybrid as well, with the same dict and the headers of
//! protocol 2, which take precedence.
//!
//! Source: `as_task_v1` in `celery/app/amqp.py`, `celery/worker/strategy.py`, 5.7.

use indexmap::IndexMap;
use quintette_core::json::{JsonError, RawJson, parse_array, parse_object, write_object};
use serde_json::{Map, Value};

use super::body::{Body, Embed, InvalidBody};
use super::headers::{InvalidHeader, TaskHeaders};
use super::incoming::TaskMessage;
use super::repr::{args_repr, kwargs_repr};

/// What protocol 2 has as headers.
const HEADERS: [&str; 16] = [
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "meth",
];

/// What protocol 2 has at the end of its body.
const EMBED: [&str; 3] = ["callbacks", "errbacks", "chord"];

pub(super) fn read(headers: Map<String, Value>, body: &RawJson) -> Result<TaskMessage, InvalidV1> {
    let members = parse_object(body.as_str().as_bytes())?;
    let part = |name, what| match members.get(name) {
        Some(value) => Ok(value.as_str()),
        None => Ok(what),
    };
    let args = part("args", "[]")
        .and_then(|args| parse_array(args.as_bytes()).map_err(|_| InvalidV1::Args))?;
    let kwargs = part("kwargs", "{}")
        .and_then(|kwargs| parse_object(kwargs.as_bytes()).map_err(|_| InvalidV1::Kwargs))?;
    let embed = EMBED
        .iter()
        .filter_map(|name| Some((*name, members.get(*name)?)));
    let embed = RawJson::parse(&write_object(embed))?;
    let mut headers = TaskHeaders::read(all_headers(headers, &members)?)?;
    if headers.argsrepr.is_none() {
        headers.argsrepr = Some(args_repr(&args));
        let kwargs = kwargs.iter().map(|(name, value)| (&**name, value));
        headers.kwargsrepr = Some(kwargs_repr(kwargs));
    }
    if headers.root_id.is_none() {
        headers.root_id = Some(headers.id.clone());
    }
    Ok(TaskMessage {
        headers,
        body: Body {
            args,
            kwargs,
            embed: Embed::parse(&embed)?,
        },
    })
}

/// Those of the dict, and over them those of the message.
fn all_headers(
    headers: Map<String, Value>,
    members: &IndexMap<Box<str>, RawJson>,
) -> Result<Map<String, Value>, InvalidHeader> {
    let mut all = Map::new();
    for name in HEADERS {
        if let Some(value) = members.get(name) {
            all.insert(name.to_owned(), header(name, value)?);
        }
    }
    if let Some(group) = members.get("taskset") {
        all.insert("group".to_owned(), header("taskset", group)?);
    }
    if members.get("utc").is_none_or(|utc| utc.as_str() != "false") {
        for name in ["eta", "expires"] {
            if let Some(Value::String(time)) = all.get_mut(name)
                && chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.f").is_ok()
            {
                time.push_str("+00:00");
            }
        }
    }
    all.extend(headers);
    Ok(all)
}

fn header(name: &str, value: &RawJson) -> Result<Value, InvalidHeader> {
    value.deserialize().map_err(|_| InvalidHeader {
        name: name.to_owned(),
    })
}

/// A message of protocol 1 that is none: `InvalidTaskError` in Celery.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidV1 {
    /// `args` is no list.
    #[error("the task's arguments are not a list")]
    Args,
    /// `kwargs` is no dict.
    #[error("the task's keyword arguments are not a mapping")]
    Kwargs,
    /// A member that is missing or of a wrong type.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// What comes after the task cannot be read.
    #[error(transparent)]
    Body(#[from] InvalidBody),
    /// It is nested too deeply.
    #[error("the body is not what a task's is: {0}")]
    Json(#[from] JsonError),
}
