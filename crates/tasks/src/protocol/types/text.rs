//! The types as text: Python's `isoformat()` and `str()`.

use std::fmt;
use std::str::FromStr;

use chrono::{NaiveDate, NaiveTime, Timelike};

use super::{Date, DateTime, Decimal, NaiveDateTime, Time, TypeError, Uuid};

const DATE_AND_TIME: &str =
    "date and time of ISO 8601 with an offset, like 2025-03-31T08:30:00+00:00";
const NAIVE: &str = "date and time of ISO 8601 without an offset, like 2025-03-31T08:30:00";
const DATE: &str = "date of ISO 8601, like 2025-03-31";
const TIME: &str = "time of day of ISO 8601 without an offset, like 08:30:00";
const DECIMAL: &str = "decimal number, like 9.90";
const UUID: &str = "UUID, like 0f8fad5b-d9cb-469f-a165-70867728950e";

/// With microseconds if there are any, as Python writes them.
fn push_time(f: &mut fmt::Formatter<'_>, time: NaiveTime) -> fmt::Result {
    write!(f, "{}", time.format("%H:%M:%S"))?;
    match time.nanosecond() % 1_000_000_000 / 1000 {
        0 => Ok(()),
        microseconds => write!(f, ".{microseconds:06}"),
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.0.naive_local();
        write!(f, "{}T", local.date())?;
        push_time(f, local.time())?;
        write!(f, "{}", self.0.offset())
    }
}

impl FromStr for DateTime {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(Self)
            .map_err(|_| TypeError::new(DATE_AND_TIME, text))
    }
}

impl fmt::Display for NaiveDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T", self.0.date())?;
        push_time(f, self.0.time())
    }
}

impl FromStr for NaiveDateTime {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let parts = text.split_once(['T', ' ']);
        parts
            .and_then(|(date, time)| Some(parse_date(date)?.and_time(parse_time(time)?)))
            .map(Self)
            .ok_or_else(|| TypeError::new(NAIVE, text))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Date {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        // Python's decoder takes a datetime as well, and keeps its date.
        let date = text.split_once('T').map_or(text, |(date, _)| date);
        parse_date(date)
            .map(Self)
            .ok_or_else(|| TypeError::new(DATE, text))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        push_time(f, self.0)
    }
}

impl FromStr for Time {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        parse_time(text)
            .map(Self)
            .ok_or_else(|| TypeError::new(TIME, text))
    }
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let ten_digits = text.len() == 10 && !text.starts_with(['+', '-']);
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    date.filter(|_| ten_digits)
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S%.f", "%H:%M"]
        .into_iter()
        .find_map(|format| NaiveTime::parse_from_str(text, format).ok())
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Decimal {
    type Err = TypeError;

    /// What Python's `Decimal` takes, but for spaces and underscores.
    fn from_str(text: &str) -> Result<Self, TypeError> {
        if is_decimal(text) {
            Ok(Self(text.into()))
        } else {
            Err(TypeError::new(DECIMAL, text))
        }
    }
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if matches!(&*lower, "inf" | "infinity") {
        return true;
    }
    if let Some(payload) = lower.strip_prefix("nan").or(lower.strip_prefix("snan")) {
        return payload.bytes().all(|byte| byte.is_ascii_digit());
    }
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let something = !whole.is_empty() || !fraction.is_empty();
    something && !exponent.is_empty() && digits(whole) && digits(fraction) && digits(exponent)
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Uuid {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        uuid::Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| TypeError::new(UUID, text))
    }
}
