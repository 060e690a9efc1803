//! What a plain scalar is to YAML 1.1.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quintette_core::json::RawJson;

use super::super::super::types::{Date, DateTime, NaiveDateTime, typed_bytes, typed_text};
use super::{ContentError, malformed};

/// The JSON of what is no string, `None` of a string.
pub(super) fn plain_json(text: &str) -> Result<Option<String>, ContentError> {
    let word = match text {
        "" | "~" | "null" | "Null" | "NULL" => "null",
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => "true",
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => "false",
        ".nan" | ".NaN" | ".NAN" => "NaN",
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => "Infinity",
        "-.inf" | "-.Inf" | "-.INF" => "-Infinity",
        "<<" | "=" => return Err(malformed("a merge or a default, which are not supported")),
        _ => "",
    };
    if !word.is_empty() {
        return Ok(Some(word.to_owned()));
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Ok(None);
    }
    if is_timestamp(text) {
        return timestamp_json(text).map(Some);
    }
    if is_sexagesimal(text) {
        return Err(malformed(
            "a number in base 60, which is not supported: quote it",
        ));
    }
    Ok(integer_json(text)?.or_else(|| float_json(text)))
}

fn integer_json(text: &str) -> Result<Option<String>, ContentError> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = if let Some(digits) = unsigned.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = unsigned.strip_prefix("0x") {
        (digits, 16)
    } else if unsigned.len() > 1 && unsigned.starts_with('0') {
        (&unsigned[1..], 8)
    } else {
        (unsigned, 10)
    };
    let plain = digits.replace('_', "");
    if plain.is_empty() || !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(None);
    }
    if !plain.chars().all(|digit| digit.is_digit(radix)) {
        return Ok(None);
    }
    if radix == 10 {
        return Ok(Some(format!("{sign}{plain}")));
    }
    u128::from_str_radix(&plain, radix)
        .map(|number| Some(format!("{sign}{number}")))
        .map_err(|_| malformed("an octal, binary or hexadecimal number of more than 128 bits"))
}

/// With a point, and a sign in the exponent: what has neither is a string.
fn float_json(text: &str) -> Option<String> {
    let plain = text.replace('_', "");
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.is_none_or(|exponent| {
        exponent
            .strip_prefix(['+', '-'])
            .is_some_and(|exponent| !exponent.is_empty() && digits(exponent))
    });
    if !exponent || !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty())
    {
        return None;
    }
    let float: f64 = plain.parse().ok()?;
    if float.is_infinite() {
        return Some(if float < 0.0 { "-Infinity" } else { "Infinity" }.to_owned());
    }
    Some(RawJson::from_value(&float).ok()?.as_str().to_owned())
}

fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.contains(':')
        && unsigned.starts_with(|first: char| first.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.' | b'_'))
}

/// Whether a text begins as a date: digits of a year, a month and a day.
fn is_timestamp(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut digits = |length| {
        parts.next().is_some_and(|part| {
            length == part.len() && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    digits(4)
        && digits(2)
        && parts.next().is_some_and(|day| {
            day.len() >= 2 && day.bytes().take(2).all(|byte| byte.is_ascii_digit())
        })
}

/// A date or a time as `safe_dump` writes it.
fn timestamp_json(text: &str) -> Result<String, ContentError> {
    if Date::from_str(text).is_ok() && text.len() == 10 {
        return Ok(typed_text("date", text));
    }
    if let Ok(at) = DateTime::from_str(text) {
        return Ok(typed_text("datetime", &at.to_string()));
    }
    if let Ok(at) = NaiveDateTime::from_str(text) {
        return Ok(typed_text("datetime", &at.to_string()));
    }
    Err(malformed(
        "a date or time in a form that is not supported: quote it",
    ))
}

/// What `!!binary` marks: base64, in lines.
pub(super) fn binary_json(text: &str) -> Result<String, ContentError> {
    let compact: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| malformed("what is marked as binary is no base64"))?;
    Ok(typed_bytes(&bytes))
}
