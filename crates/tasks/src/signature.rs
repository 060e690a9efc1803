use std::fmt::Write as _;

use indexmap::IndexMap;
use quintette_core::json::{
    JsonError, RawJson, escape_key, parse_array, parse_object, unescape_key, write_array,
    write_object,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

mod calling;
mod options;

pub use calling::RetryPolicy;
pub use options::Options;

/// A call that has not been made: a task's name, arguments and options. Celery's `Signature`.
///
/// It is also what canvas is made of: a chain, a group or a chord is a signature of `celery.chain`, `celery.group` or `celery.chord`.
///
/// ```
/// use quintette_tasks::Signature;
///
/// let add = Signature::new("shop.add").args((2, 3))?.queue("slow");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// The task's name.
    pub task: String,
    /// Positional arguments.
    pub args: Vec<RawJson>,
    /// Keyword arguments.
    pub kwargs: IndexMap<String, RawJson>,
    /// What `apply_async` takes, by Celery's names.
    pub options: Options,
    /// Such as `chain`, `group` or `chord`.
    pub subtask_type: Option<String>,
    /// Whether the result of what came before is not put before the arguments. Celery's `.si()`.
    pub immutable: bool,
    /// Of a chord's body: the number of parts.
    pub chord_size: Option<u64>,
    /// What else Python wrote; it is written back.
    pub extra: IndexMap<String, RawJson>,
}

impl Signature {
    /// A call of `task` without arguments.
    pub fn new(task: impl Into<String>) -> Self {
        Self {
            task: task.into(),
            ..Self::default()
        }
    }

    /// Positional arguments: a tuple, an array or a vector.
    ///
    /// # Errors
    ///
    /// What cannot be written as JSON, and what is no sequence.
    pub fn args(mut self, args: impl Serialize) -> Result<Self, serde_json::Error> {
        self.args = crate::arguments::positional(&args)?;
        Ok(self)
    }

    /// A keyword argument.
    ///
    /// # Errors
    ///
    /// What cannot be written as JSON.
    pub fn kwarg(
        mut self,
        name: impl Into<String>,
        value: impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        self.kwargs
            .insert(name.into(), RawJson::from_value(&value)?);
        Ok(self)
    }

    /// An option, by the name that `apply_async` has for it. Whether it makes sense is told when the call is sent.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.set(name, &value.into());
        self
    }

    /// Takes no result of what came before. Celery's `.si()`.
    #[must_use]
    pub fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    /// Reads what Python wrote.
    ///
    /// # Errors
    ///
    /// What is no signature.
    pub fn from_json(json: &RawJson) -> Result<Self, serde_json::Error> {
        let custom = serde_json::Error::custom::<JsonError>;
        let mut signature = Self::default();
        let mut named = false;
        for (name, value) in parse_object(json.as_str().as_bytes()).map_err(custom)? {
            if value.as_str() == "null" {
                continue;
            }
            match &*name {
                "task" => {
                    signature.task = value.deserialize()?;
                    named = true;
                }
                "args" => {
                    signature.args = parse_array(value.as_str().as_bytes()).map_err(custom)?;
                }
                "kwargs" => signature.kwargs = unescaped(&value).map_err(custom)?,
                "options" => signature.options = Options::from(unescaped(&value).map_err(custom)?),
                "subtask_type" => signature.subtask_type = Some(value.deserialize()?),
                "immutable" => signature.immutable = value.deserialize()?,
                "chord_size" => signature.chord_size = Some(value.deserialize()?),
                other => {
                    let other = unescape_key(other).into_owned();
                    signature.extra.insert(other, value);
                }
            }
        }
        if named {
            Ok(signature)
        } else {
            Err(serde_json::Error::custom("a signature names no task"))
        }
    }

    /// The JSON that Python reads.
    ///
    /// # Errors
    ///
    /// Where it is nested more deeply than Python could read.
    pub fn to_json(&self) -> Result<RawJson, JsonError> {
        let mut text = format!(
            r#"{{"task":{},"args":{},"kwargs":{},"options":{},"subtask_type":{},"immutable":{}"#,
            RawJson::from(self.task.as_str()),
            write_array(self.args.iter()),
            escaped(&self.kwargs),
            self.options.to_text(),
            self.subtask_type
                .as_deref()
                .map_or_else(|| "null".to_owned(), |kind| RawJson::from(kind).to_string()),
            self.immutable,
        );
        if let Some(size) = self.chord_size {
            let _ = write!(text, r#","chord_size":{size}"#);
        }
        for (name, value) in &self.extra {
            let _ = write!(text, r#","{}":{value}"#, escape_key(name));
        }
        text.push('}');
        RawJson::parse(&text)
    }
}

fn unescaped(json: &RawJson) -> Result<IndexMap<String, RawJson>, JsonError> {
    let members = parse_object(json.as_str().as_bytes())?;
    Ok(members
        .into_iter()
        .map(|(name, value)| (unescape_key(&name).into_owned(), value))
        .collect())
}

fn escaped(members: &IndexMap<String, RawJson>) -> String {
    let keys: Vec<_> = members.keys().map(|name| escape_key(name)).collect();
    write_object(keys.iter().map(|key| &**key).zip(members.values()))
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json()
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&<RawJson as Deserialize>::deserialize(deserializer)?)
            .map_err(D::Error::custom)
    }
}
