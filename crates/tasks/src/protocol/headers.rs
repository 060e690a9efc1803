use serde_json::{Map, Value};

/// The headers of a task's message, protocol 2.
///
/// What is not known is kept in [`extra`](Self::extra), and goes along with retries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskHeaders {
    /// The task's name.
    pub task: String,
    /// The id of this call.
    pub id: String,
    /// Another name for logs.
    pub shadow: Option<String>,
    /// Not before: ISO 8601 with an offset.
    pub eta: Option<String>,
    /// Not after: ISO 8601 with an offset.
    pub expires: Option<String>,
    /// The group that the task is part of.
    pub group: Option<String>,
    /// Its place in the group.
    pub group_index: Option<i64>,
    /// How often it has been tried before.
    pub retries: u32,
    /// Seconds: the hard limit and the soft one.
    pub timelimit: [Option<f64>; 2],
    /// The call that all this began with.
    pub root_id: Option<String>,
    /// The call that made this one.
    pub parent_id: Option<String>,
    /// The positional arguments as Python would print them.
    pub argsrepr: Option<String>,
    /// The keyword arguments as Python would print them.
    pub kwargsrepr: Option<String>,
    /// `gen<pid>@host` of the client.
    pub origin: Option<String>,
    /// Whether the result is not kept; where nothing is said, the task itself says it.
    pub ignore_result: Option<bool>,
    /// How often `replace` was called.
    pub replaced_task_nesting: i64,
    /// The names of headers that are stamps.
    pub stamped_headers: Option<Vec<String>>,
    /// The stamps.
    pub stamps: Map<String, Value>,
    /// The application's own, and whatever is new in a later Celery.
    pub extra: Map<String, Value>,
}

impl TaskHeaders {
    /// Reads the headers of a message.
    ///
    /// # Errors
    ///
    /// The name of the header that is missing or of another type.
    pub fn read(headers: Map<String, Value>) -> Result<Self, InvalidHeader> {
        let mut task = Self::default();
        for (name, value) in headers {
            if value.is_null() {
                continue;
            }
            task.take(&name, value).ok_or(InvalidHeader { name })?;
        }
        for (name, text) in [("task", &task.task), ("id", &task.id)] {
            if text.is_empty() {
                return Err(InvalidHeader {
                    name: name.to_owned(),
                });
            }
        }
        Ok(task)
    }

    fn take(&mut self, name: &str, value: Value) -> Option<()> {
        match name {
            "task" => self.task = text(value)?,
            "id" => self.id = text(value)?,
            "shadow" => self.shadow = Some(text(value)?),
            "eta" => self.eta = Some(text(value)?),
            "expires" => self.expires = Some(text(value)?),
            "group" => self.group = Some(text(value)?),
            "group_index" => self.group_index = Some(value.as_i64()?),
            "retries" => self.retries = value.as_u64()?.try_into().ok()?,
            "timelimit" => self.timelimit = limits(&value)?,
            "root_id" => self.root_id = Some(text(value)?),
            "parent_id" => self.parent_id = Some(text(value)?),
            "argsrepr" => self.argsrepr = Some(text(value)?),
            "kwargsrepr" => self.kwargsrepr = Some(text(value)?),
            "origin" => self.origin = Some(text(value)?),
            "ignore_result" => self.ignore_result = Some(value.as_bool()?),
            "replaced_task_nesting" => self.replaced_task_nesting = value.as_i64()?,
            "stamped_headers" => {
                let Value::Array(names) = value else {
                    return None;
                };
                self.stamped_headers = Some(names.into_iter().map(text).collect::<Option<_>>()?);
            }
            "stamps" => {
                let Value::Object(stamps) = value else {
                    return None;
                };
                self.stamps = stamps;
            }
            // What a retry sends is not compressed because this message was.
            "lang" | "compression" => {}
            _ => {
                self.extra.insert(name.to_owned(), value);
            }
        }
        Some(())
    }

    /// The headers as a message carries them: all of them, also those that are null.
    pub fn write(&self) -> Map<String, Value> {
        let mut headers = self.extra.clone();
        let entries: [(&str, Value); 19] = [
            ("lang", "py".into()),
            ("task", self.task.clone().into()),
            ("id", self.id.clone().into()),
            ("shadow", self.shadow.clone().into()),
            ("eta", self.eta.clone().into()),
            ("expires", self.expires.clone().into()),
            ("group", self.group.clone().into()),
            ("group_index", self.group_index.into()),
            ("retries", self.retries.into()),
            ("timelimit", self.timelimit.map(number).to_vec().into()),
            ("root_id", self.root_id.clone().into()),
            ("parent_id", self.parent_id.clone().into()),
            ("argsrepr", self.argsrepr.clone().into()),
            ("kwargsrepr", self.kwargsrepr.clone().into()),
            ("origin", self.origin.clone().into()),
            ("ignore_result", self.ignore_result.into()),
            ("replaced_task_nesting", self.replaced_task_nesting.into()),
            ("stamped_headers", self.stamped_headers.clone().into()),
            ("stamps", self.stamps.clone().into()),
        ];
        headers.extend(entries.map(|(name, value)| (name.to_owned(), value)));
        headers
    }
}

/// Whole seconds as Python mostly has them: without a point.
fn number(seconds: Option<f64>) -> Value {
    match seconds {
        #[expect(clippy::cast_possible_truncation, reason = "small enough to be exact")]
        Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => (whole as i64).into(),
        other => other.into(),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Hard and soft, in seconds; floats as well as integers, and either may be null.
fn limits(value: &Value) -> Option<[Option<f64>; 2]> {
    let [hard, soft] = value.as_array()?.as_slice() else {
        return None;
    };
    let one = |limit: &Value| {
        if limit.is_null() {
            Some(None)
        } else {
            limit.as_f64().map(Some)
        }
    };
    Some([one(hard)?, one(soft)?])
}

/// A header that a task's message must have, or that has a value of another type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {name:?} of the message is missing or of a wrong type")]
#[non_exhaustive]
pub struct InvalidHeader {
    /// The header's name.
    pub name: String,
}
