//! JSON as Django's `JSONSerializer` writes and reads it.
//!
//! Django writes `json.dumps(obj, separators=(",", ":"))` and reads what it finds decoded as Latin-1. So what is
//! written here is ASCII: compact, in the order of insertion, everything else as `\uXXXX` in lower-case hexadecimal, and floats as
//! Python's `repr`. And what Python reads is read here: `NaN`, `Infinity` and `-Infinity` are values, numbers have no
//! limits but that integers end at 4300 digits, and a surrogate may stand alone.
//!
//! Values stay text until somebody asks for them, so what nobody asked for is written back as it came.
//!
//! Source: `django/core/signing.py`, and `json/scanner.py` and `json/encoder.py` of Python 3.11.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::ser::{self, Serialize, Serializer};
use serde_json::value::RawValue;

mod array;
mod object;
mod scan;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod write;

pub use array::{parse_array, write_array};
pub use object::{parse_object, write_object};
use scan::Scanner;
pub use scan::{JsonError, JsonErrorKind};
pub(crate) use scan::{MAX_DEPTH, MAX_INTEGER_DIGITS};
pub use text::{escape_key, unescape_key};
pub(crate) use text::{push_units, units};
pub(crate) use write::python_repr;

/// One JSON value as text: valid for Python, in ASCII, and otherwise as it came.
///
/// Clones share the text. Two are equal when their texts are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawJson(Arc<str>);

impl RawJson {
    /// Takes a text after checking that Python could read it. White space between tokens is dropped, and what is not ASCII escaped.
    ///
    /// Numbers are not converted: `1e400`, `-0` and an integer of any size keep their text.
    ///
    /// ```
    /// use quintette_core::json::RawJson;
    ///
    /// assert_eq!(RawJson::parse(r#"{ "name": "é" }"#)?.as_str(), r#"{"name":"\u00e9"}"#);
    /// # Ok::<(), quintette_core::json::JsonError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where Python's `json.loads` would fail.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text.as_bytes());
        scan_whole(&mut scanner)?;
        Ok(if scanner.take_spaces() || scanner.take_non_ascii() {
            Self(text::to_ascii(text.chars(), false, text.len()).into())
        } else {
            Self(text.into())
        })
    }

    /// Takes what Django's `JSONSerializer.loads` is given: bytes, decoded as Latin-1.
    ///
    /// # Errors
    ///
    /// Where Python's `json.loads` would fail.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, JsonError> {
        scan_whole(&mut Scanner::new(bytes))?;
        Ok(Self::from_latin1(bytes, false))
    }

    /// The text of a value, as Python would write it.
    ///
    /// Floats that are not finite become `null`, as everywhere with `serde_json`.
    ///
    /// ```
    /// use quintette_core::json::RawJson;
    ///
    /// assert_eq!(RawJson::from_value(&(1e16, 5.0, "é"))?.as_str(), r#"[1e+16,5.0,"\u00e9"]"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised (a map whose keys are not strings, say), or holds what Python could not read
    /// back: more than 900 levels, or integers of more than 4300 digits.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        let mut out = Vec::with_capacity(64);
        let mut serializer =
            serde_json::Serializer::with_formatter(&mut out, write::PythonFormatter);
        value.serialize(&mut serializer)?;
        scan_whole(&mut Scanner::new(&out)).map_err(ser::Error::custom)?;
        let text = String::from_utf8(out).map_err(ser::Error::custom)?;
        Ok(Self(text.into()))
    }

    /// The value as a type of the caller's.
    ///
    /// ```
    /// use quintette_core::json::RawJson;
    ///
    /// let cart = RawJson::parse("[3, 5]")?;
    /// assert_eq!(cart.deserialize::<Vec<u32>>()?, [3, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value has another shape, or cannot be held by the type: a lone surrogate by a `String`, 2^70 by a `u64`,
    /// `NaN` by anything.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let text = text::to_standard(&self.0)
            .ok_or_else(|| <serde_json::Error as de::Error>::custom(NAN))?;
        serde_json::from_str(&text)
    }

    /// Takes a text that is known to be valid, in ASCII.
    pub(crate) fn from_valid(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A text that is known to be valid, decoded as Latin-1.
    fn from_latin1(bytes: &[u8], keep_spaces: bool) -> Self {
        let chars = bytes.iter().copied().map(char::from);
        Self(text::to_ascii(chars, keep_spaces, bytes.len()).into())
    }
}

const NAN: &str = "NaN has no place in standard JSON";

fn scan_whole(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    scanner.skip_spaces();
    scanner.value(0)?;
    scanner.end()
}

/// A JSON string.
impl From<&str> for RawJson {
    fn from(text: &str) -> Self {
        Self(format!("\"{}\"", escape_key(text)).into())
    }
}

impl From<i64> for RawJson {
    fn from(number: i64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawJson").field(&self.as_str()).finish()
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `serde_json` writes the text as it is, but that `Infinity` becomes `1e999`: a number which overflows to infinity in
/// Python and `JavaScript`, where the word would be no JSON. `NaN` is an error.
impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = text::to_standard(&self.0).ok_or_else(|| ser::Error::custom(NAN))?;
        serde_json::from_str::<&RawValue>(&text)
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

/// `serde_json` takes the value's text without converting it.
impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).map_err(de::Error::custom)
    }
}
