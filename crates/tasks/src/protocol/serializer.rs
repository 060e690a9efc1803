//! Bodies as bytes, and back: the content types of `task_serializer` and `accept_content`.
//!
//! | content type | name | what is read | needs the feature |
//! | --- | --- | --- | --- |
//! | `application/json` | `json` | all that Python reads | |
//! | `application/x-python-serialize` | `pickle` | plain values; nothing is ever looked up or called | |
//! | `application/x-msgpack` | `msgpack` | all but extension types | `msgpack` |
//! | `application/x-yaml` | `yaml` | one document of plain values, as `PyYAML`'s `safe_load` | `yaml` |
//!
//! Whatever came in, a body is JSON from here on. Dates and bytes of YAML, and bytes of msgpack, become the typed objects in which
//! Celery has them in JSON (see [`types`](super::types)). What has no place in JSON at all is an error.
//!
//! Source: `kombu/serialization.py` of kombu 5.7.

use quintette_core::json::{JsonError, RawJson};
use quintette_core::pickle::{Decoded, PickleError, decode_value, encode_value};

use crate::settings::TaskSettings;

use super::compression::{Compression, CompressionError, MAX_EXPANDED};

#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(test)]
mod tests;
#[cfg(feature = "yaml")]
mod yaml;

/// How deep values may nest: as deep as in JSON, so that what would be refused in the end does not fill the memory before.
#[cfg(any(feature = "msgpack", feature = "yaml"))]
const MAX_DEPTH: usize = 900;

/// A way to write bodies that Celery knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Serializer {
    /// `json`, the default.
    #[default]
    Json,
    /// `pickle`.
    Pickle,
    /// `msgpack`.
    Msgpack,
    /// `yaml`.
    Yaml,
}

const ALL: [Serializer; 4] = [
    Serializer::Json,
    Serializer::Pickle,
    Serializer::Msgpack,
    Serializer::Yaml,
];

impl Serializer {
    /// The serializer of a name or a content type.
    ///
    /// ```
    /// use quintette_tasks::protocol::serializer::Serializer;
    ///
    /// assert_eq!(Serializer::from_name("json"), Some(Serializer::Json));
    /// assert_eq!(Serializer::from_name("application/x-yaml"), Some(Serializer::Yaml));
    /// assert_eq!(Serializer::from_name("xml"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter()
            .find(|known| known.name() == name || known.content_type() == name)
    }

    /// The name in Celery's settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Pickle => "pickle",
            Self::Msgpack => "msgpack",
            Self::Yaml => "yaml",
        }
    }

    /// The content type of what it writes.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Pickle => "application/x-python-serialize",
            Self::Msgpack => "application/x-msgpack",
            Self::Yaml => "application/x-yaml",
        }
    }

    /// The content encoding of what it writes.
    pub fn content_encoding(self) -> &'static str {
        match self {
            Self::Json | Self::Yaml => "utf-8",
            Self::Pickle | Self::Msgpack => "binary",
        }
    }

    /// A value as the bytes of a body.
    ///
    /// ```
    /// use quintette_core::json::RawJson;
    /// use quintette_tasks::protocol::serializer::Serializer;
    ///
    /// let body = RawJson::parse("[[2, 3], {}, {}]")?;
    /// assert_eq!(Serializer::Json.encode(&body)?, b"[[2,3],{},{}]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the format has no place for the value, or needs a feature that is off.
    pub fn encode(self, value: &RawJson) -> Result<Vec<u8>, ContentError> {
        match self {
            Self::Json => Ok(value.as_str().as_bytes().to_vec()),
            Self::Pickle => Ok(encode_value(value)),
            #[cfg(feature = "msgpack")]
            Self::Msgpack => msgpack::encode(value),
            #[cfg(feature = "yaml")]
            Self::Yaml => Ok(yaml::encode(value).into_bytes()),
            #[cfg(not(all(feature = "msgpack", feature = "yaml")))]
            other => Err(ContentError::NotBuilt(other.name())),
        }
    }

    /// The value that the bytes of a body hold.
    ///
    /// # Errors
    ///
    /// If the bytes are not of this format, hold what JSON has no place for or too much, or the format needs a feature that
    /// is off.
    pub fn decode(self, body: &[u8]) -> Result<RawJson, ContentError> {
        self.decode_within(body, MAX_EXPANDED)
    }

    fn decode_within(self, body: &[u8], limit: usize) -> Result<RawJson, ContentError> {
        // Pickle has a limit of its own, and the others expand nothing.
        #[cfg(not(feature = "yaml"))]
        let _ = limit;
        match self {
            Self::Json => {
                let text =
                    std::str::from_utf8(body).map_err(|_| self.malformed("it is not UTF-8"))?;
                Ok(RawJson::parse(text)?)
            }
            Self::Pickle => match decode_value(body)? {
                Decoded::Json(value) => Ok(value),
                Decoded::Foreign(what) => Err(ContentError::Foreign(what)),
            },
            #[cfg(feature = "msgpack")]
            Self::Msgpack => msgpack::decode(body),
            #[cfg(feature = "yaml")]
            Self::Yaml => yaml::decode(body, limit),
            #[cfg(not(all(feature = "msgpack", feature = "yaml")))]
            other => Err(ContentError::NotBuilt(other.name())),
        }
    }

    fn malformed(self, problem: impl Into<Box<str>>) -> ContentError {
        ContentError::Malformed {
            serializer: self,
            problem: problem.into(),
        }
    }
}

/// What may be read: `accept_content` and `result_accept_content` in Celery's settings.
///
/// The default is JSON and nothing else, as in Celery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptContent(Vec<Serializer>);

impl Default for AcceptContent {
    fn default() -> Self {
        Self(vec![Serializer::Json])
    }
}

impl AcceptContent {
    /// These names and content types.
    ///
    /// ```
    /// use quintette_tasks::protocol::serializer::{AcceptContent, Serializer};
    ///
    /// let accept = AcceptContent::from_names(["json", "application/x-msgpack"])?;
    /// assert!(accept.accepts(Serializer::Msgpack));
    /// assert!(!accept.accepts(Serializer::Pickle));
    /// # Ok::<(), quintette_tasks::protocol::serializer::ContentError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such serializer.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ContentError> {
        let serializers = names.into_iter().map(|name| {
            Serializer::from_name(name)
                .ok_or_else(|| ContentError::UnknownSerializer(shortened(name)))
        });
        serializers.collect::<Result<_, _>>().map(Self)
    }

    /// Whether what this serializer wrote may be read.
    pub fn accepts(&self, serializer: Serializer) -> bool {
        self.0.contains(&serializer)
    }

    /// The serializer of a content type, if it may be read.
    ///
    /// # Errors
    ///
    /// [`ContentError::Disallowed`], which Celery has as `ContentDisallowed`.
    pub fn serializer(&self, content_type: &str) -> Result<Serializer, ContentError> {
        let known = Serializer::from_name(content_type)
            .filter(|known| known.content_type() == content_type);
        match known {
            Some(serializer) if self.accepts(serializer) => Ok(serializer),
            _ => Err(ContentError::Disallowed {
                name: known.map_or_else(|| shortened(content_type), |known| known.name().into()),
                content_type: shortened(content_type),
            }),
        }
    }
}

/// How a body is to be read: what is accepted, and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentPolicy {
    /// `accept_content`.
    pub accept: AcceptContent,
    /// How much a compressed body may expand to, in bytes.
    pub max_expanded: usize,
}

impl Default for ContentPolicy {
    fn default() -> Self {
        Self {
            accept: AcceptContent::default(),
            max_expanded: MAX_EXPANDED,
        }
    }
}

impl ContentPolicy {
    /// What the settings say: `accept_content` and `max_body_size`.
    ///
    /// # Errors
    ///
    /// If `accept_content` names what is no serializer.
    pub fn of(settings: &TaskSettings) -> Result<Self, ContentError> {
        let names = settings.accept_content.iter().map(String::as_str);
        Ok(Self {
            accept: AcceptContent::from_names(names)?,
            max_expanded: settings.max_body_size,
        })
    }

    /// The value of a body, by its content type and the header `compression`.
    ///
    /// Nothing is expanded or read of a content type that is not accepted.
    ///
    /// ```
    /// use quintette_tasks::protocol::serializer::ContentPolicy;
    ///
    /// let policy = ContentPolicy::default();
    /// let body = policy.decode(b"[[2, 3], {}, {}]", "application/json", None)?;
    /// assert_eq!(body.as_str(), "[[2,3],{},{}]");
    ///
    /// let error = policy.decode(b"N.", "application/x-python-serialize", None).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "Refusing to deserialize untrusted content of type pickle (application/x-python-serialize)",
    /// );
    /// # Ok::<(), quintette_tasks::protocol::serializer::ContentError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the content type is not accepted, the compression unknown, or the body broken or too large.
    pub fn decode(
        &self,
        body: &[u8],
        content_type: &str,
        compression: Option<&str>,
    ) -> Result<RawJson, ContentError> {
        let serializer = self.accept.serializer(content_type)?;
        match compression.filter(|name| !name.is_empty()) {
            None => serializer.decode_within(body, self.max_expanded),
            Some(name) => {
                let compression = Compression::from_name(name)?;
                let body = compression.decompress(body, self.max_expanded)?;
                serializer.decode_within(&body, self.max_expanded)
            }
        }
    }
}

/// A body that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// A content type that `accept_content` does not name: `ContentDisallowed` in kombu.
    #[error("Refusing to deserialize untrusted content of type {name} ({content_type})")]
    Disallowed {
        /// The serializer's name, or its content type again if it has none.
        name: Box<str>,
        /// The content type.
        content_type: Box<str>,
    },
    /// A setting that names no serializer.
    #[error("no serializer {0:?}: there are json, pickle, msgpack and yaml")]
    UnknownSerializer(Box<str>),
    /// A serializer that this program was built without.
    #[error("{0} is not built in: enable the feature `{0}` of quintette-tasks")]
    NotBuilt(&'static str),
    /// A body that is not of its content type: `DecodeError` in kombu.
    #[error("the body is no {}: {problem}", serializer.name())]
    Malformed {
        /// What it should be.
        serializer: Serializer,
        /// What is wrong with it.
        problem: Box<str>,
    },
    /// A body that is no JSON.
    #[error("the body is no json: {0}")]
    Json(#[from] JsonError),
    /// A pickle that cannot be read.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// A value that JSON has no place for.
    #[error(
        "the body holds {0}, for which JSON has no place: send it as a type that Celery's json knows"
    )]
    Foreign(Box<str>),
    /// A value that the format has no place for.
    #[error("{serializer} has no place for {what}", serializer = serializer.name())]
    Unrepresentable {
        /// The format.
        serializer: Serializer,
        /// The value.
        what: &'static str,
    },
    /// A body that cannot be expanded.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// As much of a stranger's text as an error needs.
fn shortened(text: &str) -> Box<str> {
    text.chars().take(100).collect()
}
