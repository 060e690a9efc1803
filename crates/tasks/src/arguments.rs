//! Arguments as Python passes them, and as Rust takes them.

use indexmap::IndexMap;
use quintette_core::json::{RawJson, parse_array, write_array, write_object};
use serde::de::DeserializeOwned;
use serde::ser::Serialize;
use serde_json::Error;

/// Positional arguments from a tuple, an array or a vector; none from `()`.
pub(crate) fn positional<T: Serialize + ?Sized>(args: &T) -> Result<Vec<RawJson>, Error> {
    let json = RawJson::from_value(args)?;
    match json.as_str().as_bytes() {
        b"null" => Ok(Vec::new()),
        [b'[', ..] => {
            parse_array(json.as_str().as_bytes()).map_err(<Error as serde::de::Error>::custom)
        }
        _ => Err(<Error as serde::ser::Error>::custom(
            "positional arguments are a tuple, such as (1,), an array or a vector",
        )),
    }
}

/// The arguments of a task that is called by anybody: `*args, **kwargs`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// Positional.
    pub args: Vec<RawJson>,
    /// By name.
    pub kwargs: IndexMap<Box<str>, RawJson>,
}

impl Arguments {
    /// The arguments as the tuple (or `()`) that a handler takes, by the names of its parameters, in which a trailing `?` marks
    /// one that may be absent.
    ///
    /// # Errors
    ///
    /// What Python calls a `TypeError`: too many, a missing one, an unknown name, another type.
    pub fn bind<T: DeserializeOwned>(&self, task: &str, parameters: &[&str]) -> Result<T, Error> {
        let bound = self.in_order(task, parameters)?;
        if parameters.is_empty() {
            return serde_json::from_str("null").or_else(|_| serde_json::from_str("[]"));
        }
        RawJson::parse(&write_array(bound.iter()))
            .map_err(<Error as serde::de::Error>::custom)?
            .deserialize()
    }

    fn in_order(&self, task: &str, parameters: &[&str]) -> Result<Vec<RawJson>, Error> {
        let wrong = |what: String| <Error as serde::de::Error>::custom(format!("{task}() {what}"));
        if self.args.len() > parameters.len() {
            let (takes, given) = (parameters.len(), self.args.len());
            return Err(wrong(format!(
                "takes {takes} positional arguments but {given} were given"
            )));
        }
        let names = || parameters.iter().map(|name| name.trim_end_matches('?'));
        for name in self.kwargs.keys() {
            match names().position(|known| known == &**name) {
                None => {
                    return Err(wrong(format!(
                        "got an unexpected keyword argument '{name}'"
                    )));
                }
                Some(place) if place < self.args.len() => {
                    return Err(wrong(format!("got multiple values for argument '{name}'")));
                }
                Some(_) => {}
            }
        }
        let mut bound = self.args.clone();
        for (parameter, name) in parameters.iter().zip(names()).skip(self.args.len()) {
            match self.kwargs.get(name) {
                Some(value) => bound.push(value.clone()),
                None if parameter.ends_with('?') => {
                    bound
                        .push(RawJson::parse("null").map_err(<Error as serde::de::Error>::custom)?);
                }
                None => {
                    return Err(wrong(format!(
                        "missing 1 required positional argument: '{name}'"
                    )));
                }
            }
        }
        Ok(bound)
    }

    /// Both, as Python's repr would not print them but JSON does: for logs.
    pub fn to_json(&self) -> String {
        let kwargs = write_object(self.kwargs.iter().map(|(name, value)| (&**name, value)));
        format!("{} {kwargs}", write_array(self.args.iter()))
    }
}

/// JSON's null.
pub(crate) fn null() -> RawJson {
    RawJson::parse("null").expect("null is JSON")
}

/// A JSON list of what is JSON already; null where it would be nested too deeply to be read.
pub(crate) fn list(elements: &[RawJson]) -> RawJson {
    RawJson::parse(&write_array(elements)).unwrap_or_else(|_| null())
}
