//! The types as kombu's JSON has them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{Datelike, Timelike};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{self, Serialize, SerializeStruct, Serializer};

use super::{Bytes, Date, DateTime, Decimal, NaiveDateTime, Time, TypeError, Uuid};

/// What may stand for a value of one of the types.
#[derive(serde::Deserialize)]
#[serde(
    untagged,
    expecting = "expected one of Celery's typed objects, {\"__type__\": …, \"__value__\": …}"
)]
enum Wire {
    Typed(Typed),
    Text(String),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[serde(rename = "__type__")]
    kind: String,
    #[serde(rename = "__value__")]
    value: Value,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Uuid { hex: String },
}

fn serialize<S: Serializer, V: Serialize>(
    kind: &'static str,
    value: V,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct("Typed", 2)?;
    object.serialize_field("__type__", kind)?;
    object.serialize_field("__value__", &value)?;
    object.end()
}

fn deserialize<'de, D, T>(kind: &'static str, deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = TypeError>,
{
    let text = match Wire::deserialize(deserializer)? {
        Wire::Text(text) => text,
        Wire::Typed(Typed {
            kind: found,
            value: Value::Text(text) | Value::Uuid { hex: text },
        }) if found == kind => text,
        Wire::Typed(Typed { kind: found, .. }) => return Err(wrong_kind(kind, &found)),
    };
    text.parse().map_err(de::Error::custom)
}

fn wrong_kind<E: de::Error>(expected: &str, found: &str) -> E {
    let found: String = found.chars().take(100).collect();
    E::custom(format_args!(
        "expected Celery's type {expected:?}, found {found:?}"
    ))
}

/// Python knows the years 1 to 9999, and no leap seconds.
fn python_date(date: chrono::NaiveDate, kind: &str) -> Result<(), impl fmt::Display> {
    if (1..=9999).contains(&date.year()) {
        Ok(())
    } else {
        Err(format!("Python's {kind} has no year {}", date.year()))
    }
}

fn python_time(time: chrono::NaiveTime, kind: &str) -> Result<(), impl fmt::Display> {
    if time.nanosecond() < 1_000_000_000 {
        Ok(())
    } else {
        Err(format!("Python's {kind} has no leap seconds"))
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let local = self.0.naive_local();
        python_date(local.date(), "datetime").map_err(ser::Error::custom)?;
        python_time(local.time(), "datetime").map_err(ser::Error::custom)?;
        serialize("datetime", self.to_string(), serializer)
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize("datetime", deserializer)
    }
}

impl Serialize for NaiveDateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        python_date(self.0.date(), "datetime").map_err(ser::Error::custom)?;
        python_time(self.0.time(), "datetime").map_err(ser::Error::custom)?;
        serialize("datetime", self.to_string(), serializer)
    }
}

impl<'de> Deserialize<'de> for NaiveDateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize("datetime", deserializer)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        python_date(self.0, "date").map_err(ser::Error::custom)?;
        serialize("date", self.to_string(), serializer)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize("date", deserializer)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        python_time(self.0, "time").map_err(ser::Error::custom)?;
        serialize("time", self.to_string(), serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize("time", deserializer)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize("decimal", self.as_str(), serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize("decimal", deserializer)
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Hex {
            hex: String,
        }
        let hex = self.0.simple().to_string();
        serialize("uuid", Hex { hex }, serializer)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize("uuid", deserializer)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serialize("bytes", text, serializer),
            Err(_) => serialize("base64", STANDARD.encode(&self.0), serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire::Typed(Typed {
                kind,
                value: Value::Text(text),
            }) => match &*kind {
                "bytes" => Ok(Self(text.into_bytes())),
                "base64" => STANDARD.decode(text).map(Self).map_err(de::Error::custom),
                other => Err(wrong_kind("bytes", other)),
            },
            Wire::Typed(Typed { kind, .. }) => Err(wrong_kind("bytes", &kind)),
            Wire::Text(_) => Err(de::Error::custom(
                "expected Celery's type \"bytes\", found a plain string",
            )),
        }
    }
}

/// Bytes as the JSON text of a typed object.
#[cfg(any(feature = "msgpack", feature = "yaml"))]
pub(in crate::protocol) fn typed_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => typed_text("bytes", text),
        Err(_) => typed_text("base64", &STANDARD.encode(bytes)),
    }
}

/// A text as the JSON text of a typed object.
#[cfg(any(feature = "msgpack", feature = "yaml"))]
pub(in crate::protocol) fn typed_text(kind: &str, text: &str) -> String {
    let text = quintette_core::json::escape_key(text);
    format!(r#"{{"__type__":"{kind}","__value__":"{text}"}}"#)
}
