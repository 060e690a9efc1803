//! The types that Celery's JSON has and JSON has not: dates, decimals, UUIDs, bytes.
//!
//! Celery writes them as `{"__type__": T, "__value__": v}`. A task that takes or returns one has it in its signature by the type
//! of this module. Where kombu before 5.3 wrote mere strings (of dates, decimals and UUIDs), those are read as well.
//!
//! ```
//! use quintette_core::json::RawJson;
//! use quintette_tasks::protocol::types::{Date, Decimal};
//!
//! let args = RawJson::parse(
//!     r#"[{"__type__": "date", "__value__": "2025-03-31"}, {"__type__": "decimal", "__value__": "9.90"}]"#,
//! )?;
//! let (day, price): (Date, Decimal) = args.deserialize()?;
//! assert_eq!(day.to_string(), "2025-03-31");
//! assert_eq!(price.as_str(), "9.90");
//! assert_eq!(RawJson::from_value(&(day, price))?, args);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: `kombu/utils/json.py` of kombu 5.7.

use chrono::FixedOffset;

mod json;
#[cfg(test)]
mod tests;
mod text;

#[cfg(any(feature = "msgpack", feature = "yaml"))]
pub(super) use json::typed_bytes;
#[cfg(feature = "yaml")]
pub(super) use json::typed_text;

/// A `datetime` with an offset from UTC.
///
/// Python has microseconds, so what is finer is cut off.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_tasks::protocol::types::DateTime;
///
/// let at: DateTime = "2025-03-31T08:30:00+09:00".parse()?;
/// assert_eq!(
///     RawJson::from_value(&at)?.as_str(),
///     r#"{"__type__":"datetime","__value__":"2025-03-31T08:30:00+09:00"}"#,
/// );
/// assert_eq!(at.0.timestamp(), 1_743_377_400);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(pub chrono::DateTime<FixedOffset>);

/// A `datetime` without an offset, which Python calls naive.
///
/// ```
/// use quintette_tasks::protocol::types::NaiveDateTime;
///
/// let at: NaiveDateTime = "2025-03-31T08:30:00.500000".parse()?;
/// assert_eq!(at.to_string(), "2025-03-31T08:30:00.500000");
/// # Ok::<(), quintette_tasks::protocol::types::TypeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NaiveDateTime(pub chrono::NaiveDateTime);

/// A `date`.
///
/// ```
/// use quintette_tasks::protocol::types::Date;
///
/// assert_eq!("2025-03-31".parse::<Date>()?.to_string(), "2025-03-31");
/// # Ok::<(), quintette_tasks::protocol::types::TypeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub chrono::NaiveDate);

/// A `time` of day, without an offset.
///
/// ```
/// use quintette_tasks::protocol::types::Time;
///
/// assert_eq!("08:30".parse::<Time>()?.to_string(), "08:30:00");
/// # Ok::<(), quintette_tasks::protocol::types::TypeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub chrono::NaiveTime);

/// A `decimal.Decimal` as its text, for whatever crate of decimals a program uses.
///
/// Two are equal when their texts are: `1.0` and `1.00` are two.
///
/// ```
/// use quintette_tasks::protocol::types::Decimal;
///
/// assert_eq!("9.90".parse::<Decimal>()?.as_str(), "9.90");
/// assert!("9,90".parse::<Decimal>().is_err());
/// # Ok::<(), quintette_tasks::protocol::types::TypeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(Box<str>);

/// A `uuid.UUID`.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_tasks::protocol::types::Uuid;
///
/// let id: Uuid = "0f8fad5b-d9cb-469f-a165-70867728950e".parse()?;
/// assert_eq!(
///     RawJson::from_value(&id)?.as_str(),
///     r#"{"__type__":"uuid","__value__":{"hex":"0f8fad5bd9cb469fa16570867728950e"}}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub uuid::Uuid);

/// `bytes`: as text where they are UTF-8, in base64 where not.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_tasks::protocol::types::Bytes;
///
/// let png = Bytes(b"\x89PNG".to_vec());
/// assert_eq!(
///     RawJson::from_value(&png)?.as_str(),
///     r#"{"__type__":"base64","__value__":"iVBORw=="}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

/// A text that is none of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {expected}")]
pub struct TypeError {
    expected: &'static str,
    text: Box<str>,
}

impl TypeError {
    fn new(expected: &'static str, text: &str) -> Self {
        Self {
            expected,
            text: text.chars().take(100).collect(),
        }
    }
}

impl Decimal {
    /// The text, as Python's `str` of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
