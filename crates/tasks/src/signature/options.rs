use indexmap::IndexMap;
use quintette_core::json::RawJson;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What `apply_async` takes beside the arguments, by Celery's names: `queue`, `countdown`, `link` and so on.
///
/// Values stay text until somebody asks for them, so that what Python wrote is written back as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options(IndexMap<String, RawJson>);

impl Options {
    /// An option's value; `None` where it is absent or null.
    pub fn get(&self, name: &str) -> Option<&RawJson> {
        self.0.get(name).filter(|value| value.as_str() != "null")
    }

    /// An option's value, where it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.read(name).ok().flatten()
    }

    /// An option's value as `serde_json` has it: where numbers of any size need not be kept.
    pub fn value(&self, name: &str) -> Option<Value> {
        self.read(name).ok().flatten()
    }

    /// An option's value as a type of the caller's.
    ///
    /// # Errors
    ///
    /// A value of another type.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, serde_json::Error> {
        self.get(name).map(RawJson::deserialize).transpose()
    }

    /// Sets an option. What cannot be written as JSON is null.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: impl Into<String>, value: &T) {
        let value = RawJson::from_value(value).unwrap_or_else(|_| crate::arguments::null());
        self.set_json(name, value);
    }

    /// Sets an option to what is JSON already.
    pub fn set_json(&mut self, name: impl Into<String>, value: RawJson) {
        self.0.insert(name.into(), value);
    }

    /// Takes an option away.
    pub fn remove(&mut self, name: &str) -> Option<RawJson> {
        self.0.shift_remove(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawJson)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The values of a list, or the one value that stands for a list of one (Celery's `maybe_list`).
    pub(crate) fn list(&self, name: &str) -> Vec<RawJson> {
        self.get(name).map(maybe_list).unwrap_or_default()
    }

    /// Adds to a list that has it not yet.
    pub(crate) fn append(&mut self, name: &str, value: RawJson) {
        let mut list = self.list(name);
        if !list.contains(&value) {
            list.push(value);
        }
        self.set_json(name, crate::arguments::list(&list));
    }

    /// The options of a call over those of a signature. A group that is set stays, and so do stamps: to change them would stall
    /// what waits for them.
    pub(crate) fn merge(&mut self, call: &Self) {
        let stamps = self.stamp_names();
        for (name, value) in call.iter().filter(|(_, value)| value.as_str() != "null") {
            let fixed = name == "group_id"
                || name == "stamped_headers"
                || stamps.iter().any(|stamp| stamp == name);
            if !(fixed && self.0.contains_key(name)) {
                self.0.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// The options of a call instead of a signature's.
    pub(crate) fn update(&mut self, call: &Self) {
        for (name, value) in call.iter().filter(|(_, value)| value.as_str() != "null") {
            self.0.insert(name.to_owned(), value.clone());
        }
    }

    /// The names of the options that are stamps.
    pub(crate) fn stamp_names(&self) -> Vec<String> {
        self.read("stamped_headers")
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// The same without some.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let kept = self
            .0
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()));
        Self(
            kept.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    pub(crate) fn to_text(&self) -> String {
        super::escaped(&self.0)
    }
}

/// A JSON list's elements, or the value itself where it is no list.
fn maybe_list(value: &RawJson) -> Vec<RawJson> {
    if value.as_str().starts_with('[') {
        quintette_core::json::parse_array(value.as_str().as_bytes()).unwrap_or_default()
    } else {
        vec![value.clone()]
    }
}

impl Serialize for Options {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl From<IndexMap<String, RawJson>> for Options {
    fn from(options: IndexMap<String, RawJson>) -> Self {
        Self(options)
    }
}

impl From<Map<String, Value>> for Options {
    fn from(map: Map<String, Value>) -> Self {
        let mut options = Self::default();
        for (name, value) in map {
            options.set(name, &value);
        }
        options
    }
}
