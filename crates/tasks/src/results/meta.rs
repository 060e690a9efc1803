use std::fmt;

use quintette_core::json::{RawJson, escape_key, parse_object, write_object};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Exception;

/// The state of a task, by Celery's names (`celery/states.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum State {
    /// Not known.
    Pending,
    /// A worker has it.
    Received,
    /// A worker runs it.
    Started,
    /// It returned.
    Success,
    /// It failed.
    Failure,
    /// It was revoked, or it had expired.
    Revoked,
    /// Its message was rejected.
    Rejected,
    /// It will be tried again.
    Retry,
    /// It is of no interest.
    Ignored,
    /// A state of the application's own.
    #[serde(other)]
    Custom,
}

impl State {
    /// Celery's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Received => "RECEIVED",
            Self::Started => "STARTED",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Revoked => "REVOKED",
            Self::Rejected => "REJECTED",
            Self::Retry => "RETRY",
            Self::Ignored => "IGNORED",
            Self::Custom => "CUSTOM",
        }
    }

    /// Whether nothing more is to come. Celery's `READY_STATES`.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Revoked)
    }

    /// Whether the result is an exception. Celery's `PROPAGATE_STATES`.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::Revoked)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a backend keeps of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskMeta {
    /// The task's id.
    pub task_id: String,
    /// Its state.
    pub status: State,
    /// Its name, where `status` is [`State::Custom`].
    pub custom_status: Option<String>,
    /// What it returned; of a failure, the exception: `{"exc_type", "exc_message", "exc_module"}`.
    pub result: RawJson,
    /// Python's, or what a Rust error says of its causes.
    pub traceback: Option<String>,
    /// The tasks that it began, as Celery writes results: `[[id, parent], children]`.
    pub children: Vec<Value>,
    /// When it was stored: ISO 8601, UTC.
    pub date_done: Option<String>,
    /// The group it is part of.
    pub group_id: Option<String>,
    /// The task that began it.
    pub parent_id: Option<String>,
    /// With `result_extended`: `name`, `args`, `kwargs`, `worker`, `retries`, `queue`; and what a later Celery adds.
    pub extra: Map<String, Value>,
}

impl TaskMeta {
    /// What a task returned.
    pub fn success(task_id: impl Into<String>, result: RawJson) -> Self {
        Self::new(task_id, State::Success, result)
    }

    /// How a task failed, in the shape that Python rebuilds.
    pub fn failure(task_id: impl Into<String>, state: State, exception: &Exception) -> Self {
        let mut meta = Self::new(task_id, state, exception.to_json());
        // Celery has one of each task that failed, and Flower shows it.
        let told = (state == State::Failure).then(|| exception.to_string());
        meta.traceback = exception.traceback.clone().or(told);
        meta
    }

    /// A state with its result.
    pub fn new(task_id: impl Into<String>, status: State, result: RawJson) -> Self {
        Self {
            task_id: task_id.into(),
            status,
            custom_status: None,
            result,
            traceback: None,
            children: Vec::new(),
            date_done: None,
            group_id: None,
            parent_id: None,
            extra: Map::new(),
        }
    }
}

impl TaskMeta {
    /// The JSON that Celery stores: of a key in Redis, of an RPC reply.
    pub fn to_json(&self) -> RawJson {
        let mut fields: Vec<(&str, RawJson)> = vec![
            ("status", RawJson::from(self.status_name())),
            ("result", self.result.clone()),
            ("traceback", text_or_null(self.traceback.as_deref())),
            ("children", json(&self.children)),
            ("date_done", text_or_null(self.date_done.as_deref())),
        ];
        if let Some(group) = &self.group_id {
            fields.push(("group_id", RawJson::from(group.as_str())));
        }
        if let Some(parent) = &self.parent_id {
            fields.push(("parent_id", RawJson::from(parent.as_str())));
        }
        let extra: Vec<_> = self
            .extra
            .iter()
            .map(|(name, value)| (escape_key(name), json(value)))
            .collect();
        fields.extend(extra.iter().map(|(name, value)| (&**name, value.clone())));
        fields.push(("task_id", RawJson::from(self.task_id.as_str())));
        let text = write_object(fields.iter().map(|(name, value)| (*name, value)));
        RawJson::parse(&text).unwrap_or_else(|_| null())
    }

    /// Reads what Celery stored.
    ///
    /// # Errors
    ///
    /// What is no result.
    pub fn from_json(json: &RawJson) -> Result<Self, serde_json::Error> {
        let members = parse_object(json.as_str().as_bytes()).map_err(serde_json::Error::custom)?;
        let mut meta = Self::new("", State::Pending, null());
        for (name, value) in members {
            match &*name {
                "task_id" => meta.task_id = value.deserialize()?,
                "status" => meta.set_status(value.deserialize()?),
                "result" => meta.result = value,
                "traceback" => meta.traceback = value.deserialize()?,
                // Python nests those of a long chain more deeply than is read here, and they are no reason to have no result.
                "children" => {
                    let children = value.deserialize::<Option<_>>();
                    meta.children = children.ok().flatten().unwrap_or_default();
                }
                "date_done" => meta.date_done = value.deserialize()?,
                "group_id" => meta.group_id = value.deserialize()?,
                "parent_id" => meta.parent_id = value.deserialize()?,
                _ => {
                    let value = value.deserialize().unwrap_or(Value::Null);
                    meta.extra.insert(name.into_string(), value);
                }
            }
        }
        Ok(meta)
    }

    /// The state's name, also of one that only the application knows.
    pub fn status_name(&self) -> &str {
        self.custom_status.as_deref().unwrap_or(self.status.name())
    }

    /// Takes a state by its name.
    pub fn set_status(&mut self, name: String) {
        self.status = serde_json::from_value(Value::String(name.clone())).unwrap_or(State::Custom);
        self.custom_status = (self.status == State::Custom).then_some(name);
    }

    /// The exception of a failure.
    pub fn exception(&self) -> Option<Exception> {
        self.status.is_failure().then(|| {
            let mut exception = Exception::from_json(&self.result);
            exception.traceback.clone_from(&self.traceback);
            exception
        })
    }
}

pub(super) fn null() -> RawJson {
    RawJson::parse("null").expect("null is JSON")
}

fn text_or_null(text: Option<&str>) -> RawJson {
    text.map_or_else(null, RawJson::from)
}

fn json(value: &impl Serialize) -> RawJson {
    RawJson::from_value(value).unwrap_or_else(|_| null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_however_deep_its_children_are_nested() {
        let deep = format!("{}1{}", "[".repeat(400), "]".repeat(400));
        let text = format!(
            r#"{{"status":"SUCCESS","result":{deep},"task_id":"1","children":[{deep}],"args":{deep}}}"#
        );
        let meta = TaskMeta::from_json(&RawJson::parse(&text).unwrap()).unwrap();
        assert_eq!(
            (meta.status, meta.result.as_str()),
            (State::Success, &*deep)
        );
        assert!(meta.children.is_empty());
    }
}
