use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;

use crate::json::{self, JsonError, RawJson};
use crate::pickle::{self, Decoded, MAX_EXPANDED, PickleError};
use crate::signing::MAX_DECOMPRESSED;

use super::{SessionError, SessionErrorKind};

/// The bounds of what is read, both in a signed text and in a pickle.
const MAX_SIZE: usize = if MAX_DECOMPRESSED < MAX_EXPANDED {
    MAX_DECOMPRESSED
} else {
    MAX_EXPANDED
};

/// What a session holds: keys in the order of their insertion, each with the raw text of its value.
///
/// Reading one key does not parse the others, and what nobody touched is written back as it came: `1e400`, 2⁷⁰ and
/// `0.1` survive.
///
/// A session from a Django cache may hold Python objects that JSON cannot carry. Such a value is *foreign*: its key is
/// there, and reading or saving it is an error that names the key and the Python type.
///
/// ```
/// use quintette_core::session::SessionData;
///
/// let data = SessionData::from_json(br#"{"n":1e400,"name":"\ud55c\uad6d"}"#)?;
/// assert_eq!(data.json("name").unwrap().deserialize::<String>()?, "한국");
/// assert_eq!(data.to_json()?, r#"{"n":1e400,"name":"\ud55c\uad6d"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct SessionData {
    /// By the key's escaped text, the one that is written: a Python key that is not Unicode (a lone surrogate)
    /// survives so, and an ASCII key is its own escaped text.
    entries: IndexMap<Box<str>, Decoded>,
}

impl SessionData {
    /// Reads a JSON object as Django's `JSONSerializer` does.
    ///
    /// # Errors
    ///
    /// Where Python would not read it, or it is no object.
    pub fn from_json(bytes: &[u8]) -> Result<Self, JsonError> {
        let members = json::parse_object(bytes)?;
        Ok(Self {
            entries: members
                .into_iter()
                .map(|(key, value)| (key, Decoded::Json(value)))
                .collect(),
        })
    }

    /// Reads a pickled dict, as Django's caches hold it. `None` where it is a pickled `None`. Nothing in it is run.
    ///
    /// # Errors
    ///
    /// Where it is no pickle, or a pickle of something else than a dict.
    pub fn from_pickle(bytes: &[u8]) -> Result<Option<Self>, PickleError> {
        Ok(pickle::decode_dict(bytes)?.map(|entries| Self { entries }))
    }

    /// Writes a JSON object as Django's `JSONSerializer` does.
    ///
    /// # Errors
    ///
    /// Where it holds a foreign value (the error names its key), or more than 16 MiB.
    pub fn to_json(&self) -> Result<String, SessionError> {
        self.check_writable()?;
        Ok(json::write_object(self.json_entries()))
    }

    /// Writes a pickled dict, as Django's caches hold it.
    ///
    /// # Errors
    ///
    /// Where it holds a foreign value (the error names its key), or more than 16 MiB.
    pub fn to_pickle(&self) -> Result<Vec<u8>, SessionError> {
        self.check_writable()?;
        Ok(pickle::encode_dict(self.json_entries()))
    }

    /// The value under `key`, where it is one that JSON carries.
    pub fn json(&self, key: &str) -> Option<&RawJson> {
        match self.entries.get(&*json::escape_key(key))? {
            Decoded::Json(raw) => Some(raw),
            Decoded::Foreign(_) => None,
        }
    }

    /// What the foreign value under `key` is in Python, such as `datetime.datetime`; `None` where JSON carries the value.
    pub fn foreign(&self, key: &str) -> Option<&str> {
        match self.entries.get(&*json::escape_key(key))? {
            Decoded::Json(_) => None,
            Decoded::Foreign(python_type) => Some(python_type),
        }
    }

    /// Whether there is a value under `key`, foreign ones included.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(&*json::escape_key(key))
    }

    /// The keys, in the order of their insertion.
    pub fn keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.entries.keys().map(|key| json::unescape_key(key))
    }

    /// Keys and values, in the order of their insertion; `None` where the value is foreign.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Option<&RawJson>)> {
        self.entries.iter().map(|(key, value)| {
            let raw = match value {
                Decoded::Json(raw) => Some(raw),
                Decoded::Foreign(_) => None,
            };
            (json::unescape_key(key), raw)
        })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts `value` under `key`: in its old place where the key is there already, else at the end.
    pub fn insert(&mut self, key: &str, value: RawJson) {
        self.entries
            .insert(json::escape_key(key).into(), Decoded::Json(value));
    }

    /// Takes `key` out and says whether it was there. The others keep their order.
    pub fn remove(&mut self, key: &str) -> bool {
        self.entries.shift_remove(&*json::escape_key(key)).is_some()
    }

    /// As [`json`](Self::json), but a foreign value is an error.
    pub(super) fn readable(&self, key: &str) -> Result<Option<&RawJson>, SessionError> {
        match self.entries.get(&*json::escape_key(key)) {
            None => Ok(None),
            Some(Decoded::Json(raw)) => Ok(Some(raw)),
            Some(Decoded::Foreign(python_type)) => Err(SessionError::foreign(key, python_type)),
        }
    }

    /// Why the value under `key` cannot be read.
    pub(super) fn unreadable(&self, key: &str) -> SessionError {
        SessionError::foreign(key, self.foreign(key).unwrap_or("an object"))
    }

    /// What cannot be read back may not be written.
    fn check_writable(&self) -> Result<(), SessionError> {
        let mut size = 0;
        for (key, value) in &self.entries {
            match value {
                Decoded::Json(raw) => size += key.len() + raw.as_str().len() + 4,
                Decoded::Foreign(python_type) => {
                    return Err(SessionError::foreign(&json::unescape_key(key), python_type));
                }
            }
        }
        if size > MAX_SIZE {
            return Err(SessionError::new(
                SessionErrorKind::TooLarge,
                format!(
                    "the session is not saved: it takes {size} bytes, and {MAX_SIZE} are the most. Keep the data \
                     elsewhere, and its key in the session"
                ),
            ));
        }
        Ok(())
    }

    fn json_entries(&self) -> impl Iterator<Item = (&str, &RawJson)> + Clone {
        self.entries.iter().filter_map(|(key, value)| match value {
            Decoded::Json(raw) => Some((&**key, raw)),
            Decoded::Foreign(_) => None,
        })
    }
}

/// Sessions hold what visitors told: `Debug` prints the keys alone.
impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}
