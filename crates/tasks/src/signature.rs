use indexmap::IndexMap;
use quintette_core::json::RawJson;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// The task's name.
    pub task: String,
    /// Positional arguments.
    #[serde(default, deserialize_with = "or_default")]
    pub args: Vec<RawJson>,
    /// Keyword arguments.
    #[serde(default, deserialize_with = "or_default")]
    pub kwargs: IndexMap<String, RawJson>,
    /// What `apply_async` takes, by Celery's names.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
    /// Such as `chain`, `group` or `chord`.
    #[serde(default)]
    pub subtask_type: Option<String>,
    /// Whether the result of what came before is not put before the arguments. Celery's `.si()`.
    #[serde(default)]
    pub immutable: bool,
    /// Of a chord's body: the number of parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chord_size: Option<u64>,
}

/// Python writes `None` where there is nothing.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Signature {
    /// A call of `task` without arguments.
    pub fn new(task: impl Into<String>) -> Self {
        Self {
            task: task.into(),
            args: Vec::new(),
            kwargs: IndexMap::new(),
            options: Map::new(),
            subtask_type: None,
            immutable: false,
            chord_size: None,
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

    /// An option, by the name that `apply_async` has for it.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// The queue.
    #[must_use]
    pub fn queue(self, name: impl Into<String>) -> Self {
        self.option("queue", name.into())
    }

    /// Takes no result of what came before. Celery's `.si()`.
    #[must_use]
    pub fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }
}
