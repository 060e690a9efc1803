//! From what stands in a TOML file or in the environment to the types of the settings.
//!
//! Both become a JSON value first. Each function here takes one and answers with the setting's type, or with what would do.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;

use super::names::Form;

/// The longest time a setting may hold, either way: a thousand years. From any date this side of the year 8999, the sum is one that
/// Python's `datetime`, SQL's `DATETIME` (years 1000 to 9999) and chrono can all hold.
pub(super) const LONGEST_SECONDS: i64 = 1_000 * 31_556_952;

/// The longest that a request may be told to wait: an hour.
const LONGEST_WAIT: f64 = 3_600.0;

/// An environment variable's text, as JSON.
pub(super) fn from_environment(text: &str, form: Form) -> Value {
    let word = text.trim();
    match (form, word) {
        (Form::Plain, _) => Value::from(text),
        (Form::Json, "True") => Value::Bool(true),
        (Form::Json, "False") => Value::Bool(false),
        (Form::Json, "None") => Value::Null,
        (Form::Json, _) => serde_json::from_str(word).unwrap_or_else(|_| Value::from(text)),
    }
}

/// A TOML value, as JSON. The TOML parser has bounded the depth.
pub(super) fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        // JSON has neither infinities nor NaN, and no setting takes one: as text it is refused and shown.
        toml::Value::Float(number) if !number.is_finite() => Value::from(number.to_string()),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, from_toml(value)))
            .collect(),
    }
}

/// Whether an optional setting is given as nothing: JSON's `null`, Python's `None`, or an empty variable.
pub(super) fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "None" | "null"),
        _ => false,
    }
}

/// Makes a setting optional.
pub(super) fn optional<T>(
    parse: impl Fn(&Value) -> Result<T, String>,
) -> impl Fn(&Value) -> Result<Option<T>, String> {
    move |value| {
        if is_unset(value) {
            Ok(None)
        } else {
            parse(value).map(Some)
        }
    }
}

pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    let word = match value {
        Value::Bool(flag) => return Ok(*flag),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

pub(super) fn text(value: &Value) -> Result<String, String> {
    words(value).map(str::to_owned)
}

/// A string that is read further.
pub(super) fn words(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "write a string".to_owned())
}

pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    // A variable that is set to nothing is a list of nothing.
    if value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(Vec::new());
    }
    value
        .as_array()
        .and_then(|items| {
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        })
        .ok_or_else(|| "write a list of strings, such as [\"one\", \"two\"]".to_owned())
}

pub(super) fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
    .ok_or_else(|| "write a whole number".to_owned())
}

/// A number of seconds, as Django takes it: below zero as well.
pub(super) fn seconds(value: &Value) -> Result<TimeDelta, String> {
    integer(value)
        .ok()
        .filter(|seconds| (-LONGEST_SECONDS..=LONGEST_SECONDS).contains(seconds))
        .and_then(TimeDelta::try_seconds)
        .ok_or_else(|| {
            format!(
                "write a whole number of seconds, such as 1209600 for two weeks, at most {LONGEST_SECONDS} (a thousand years)"
            )
        })
}

/// How long to wait: seconds, in fractions as well, above zero.
pub(super) fn wait(value: &Value) -> Result<Duration, String> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|seconds| (0.001..=LONGEST_WAIT).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| {
            format!("write a number of seconds, such as 2 or 0.5, at most {LONGEST_WAIT}")
        })
}

/// A number of seconds that is a limit, and so not below zero.
pub(super) fn limit(value: &Value) -> Result<TimeDelta, String> {
    seconds(value).and_then(|limit| {
        if limit < TimeDelta::zero() {
            Err("write a whole number of seconds that is not below zero, such as 1800 for half an hour".to_owned())
        } else {
            Ok(limit)
        }
    })
}

/// A time that is one: of at least a second.
pub(super) fn duration(value: &Value) -> Result<TimeDelta, String> {
    seconds(value).and_then(|time| {
        if time < TimeDelta::seconds(1) {
            Err(
                "write a whole number of seconds above zero, such as 300 for five minutes"
                    .to_owned(),
            )
        } else {
            Ok(time)
        }
    })
}

pub(super) fn path(value: &Value) -> Result<PathBuf, String> {
    let text = words(value)?;
    if text.contains('\0') {
        return Err("a path cannot hold a NUL character".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(super) fn addresses(value: &Value) -> Result<Vec<IpAddr>, String> {
    texts(value)?
        .iter()
        .map(|text| {
            text.parse().map_err(|_| {
                format!(
                    "{text:?} is no IP address; write addresses such as [\"127.0.0.1\", \"::1\"]"
                )
            })
        })
        .collect()
}

pub(super) fn time_zone(value: &Value) -> Result<chrono_tz::Tz, String> {
    words(value)?.parse().map_err(|_| {
        "write a name of the IANA time zone database, such as \"UTC\" or \"Europe/Berlin\""
            .to_owned()
    })
}

/// A list that cannot be empty.
pub(super) fn some_texts(value: &Value) -> Result<Vec<String>, String> {
    let texts = texts(value)?;
    if texts.is_empty() {
        return Err("name at least one".to_owned());
    }
    Ok(texts)
}

/// How many of something: at least one. Zero, as a limit, is none at all: leave the setting out for that.
pub(super) fn count(value: &Value) -> Result<u32, String> {
    integer(value)
        .ok()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| "write a whole number above zero".to_owned())
}

/// A size in bytes.
pub(super) fn bytes(value: &Value) -> Result<usize, String> {
    integer(value)
        .ok()
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| "write a whole number of bytes, such as 2621440".to_owned())
}

/// Origins whose scheme is named, as Django's check `4_0.E001` demands.
pub(super) fn origins(value: &Value) -> Result<Vec<String>, String> {
    let origins = texts(value)?;
    match origins.iter().find(|origin| !origin.contains("://")) {
        Some(bad) => Err(format!(
            "{bad:?} has no scheme; write origins such as \"https://shop.example.com\" or \"https://*.example.com\""
        )),
        None => Ok(origins),
    }
}

/// A header as Django's `request.META` names it, with its name as HTTP has it: `HTTP_X_CSRFTOKEN` is `x-csrftoken`.
pub(super) fn header_name(value: &Value) -> Result<String, String> {
    words(value).ok().and_then(header_of_meta).ok_or_else(|| {
        "write a header as Django's request.META has it, such as \"HTTP_X_CSRFTOKEN\"".to_owned()
    })
}

fn header_of_meta(name: &str) -> Option<String> {
    let header = name.strip_prefix("HTTP_").filter(|rest| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })?;
    Some(header.to_ascii_lowercase().replace('_', "-"))
}

/// `SECURE_PROXY_SSL_HEADER`, with the header's name as HTTP has it: `HTTP_X_FORWARDED_PROTO` is `x-forwarded-proto`.
pub(super) fn proxy_header(value: &Value) -> Result<(String, String), String> {
    let wanted = || {
        "write [\"HTTP_X_FORWARDED_PROTO\", \"https\"]: the header as Django's request.META has it, and its value for https".to_owned()
    };
    let pair = texts(value).map_err(|_| wanted())?;
    let [name, secure] = pair.as_slice() else {
        return Err(wanted());
    };
    let header = header_of_meta(name).ok_or_else(wanted)?;
    Ok((header, secure.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_is_json_with_pythons_spellings_unless_the_setting_is_a_string() {
        assert_eq!(from_environment("True", Form::Json), json!(true));
        assert_eq!(from_environment(" None ", Form::Json), json!(null));
        assert_eq!(from_environment("[\"a\"]", Form::Json), json!(["a"]));
        assert_eq!(from_environment("yes", Form::Json), json!("yes"));
        assert_eq!(from_environment("12", Form::Plain), json!("12"));
        assert_eq!(from_environment(" [x", Form::Plain), json!(" [x"));
    }

    #[test]
    fn booleans_are_read_in_every_usual_spelling() {
        for yes in [
            json!(true),
            json!(1),
            json!("True"),
            json!("yes"),
            json!("ON"),
            json!("1"),
        ] {
            assert_eq!(boolean(&yes), Ok(true), "{yes}");
        }
        for no in [
            json!(false),
            json!(0),
            json!("False"),
            json!("no"),
            json!("off"),
            json!("0"),
        ] {
            assert_eq!(boolean(&no), Ok(false), "{no}");
        }
        for neither in [json!(""), json!(2), json!(null), json!([]), json!("maybe")] {
            assert!(boolean(&neither).is_err(), "{neither}");
        }
    }

    #[test]
    fn a_wait_may_be_a_fraction_of_a_second_and_ends() {
        assert_eq!(wait(&json!(2)), Ok(Duration::from_secs(2)));
        assert_eq!(wait(&json!("0.5")), Ok(Duration::from_millis(500)));
        for wrong in [
            json!(0),
            json!(-1),
            json!(1e9),
            json!("inf"),
            json!("NaN"),
            json!(true),
            json!(null),
        ] {
            assert!(wait(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_are_whole_and_fit_a_date() {
        assert_eq!(seconds(&json!(1_209_600)), Ok(TimeDelta::weeks(2)));
        assert_eq!(seconds(&json!("-5")), Ok(TimeDelta::seconds(-5)));
        for wrong in [
            json!(1.5),
            json!(1.0),
            json!(i64::MAX),
            json!(u64::MAX),
            json!("two weeks"),
            json!(true),
        ] {
            assert!(seconds(&wrong).is_err(), "{wrong}");
        }
        assert!(
            seconds(&json!(LONGEST_SECONDS)).is_ok()
                && seconds(&json!(LONGEST_SECONDS + 1)).is_err()
        );
        assert!(
            seconds(&json!(-LONGEST_SECONDS)).is_ok()
                && seconds(&json!(-LONGEST_SECONDS - 1)).is_err()
        );
        let furthest = chrono::NaiveDate::from_ymd_opt(8999, 1, 1).unwrap();
        assert!(
            furthest
                .checked_add_signed(TimeDelta::seconds(LONGEST_SECONDS))
                .is_some()
        );
        assert!(limit(&json!(-1)).is_err());
        assert_eq!(limit(&json!(0)), Ok(TimeDelta::zero()));
    }

    #[test]
    fn an_optional_setting_is_unset_by_nothing_none_and_null() {
        for nothing in [json!(null), json!(""), json!("None"), json!("null")] {
            assert_eq!(optional(text)(&nothing), Ok(None), "{nothing}");
        }
        assert_eq!(optional(text)(&json!("x")), Ok(Some("x".to_owned())));
    }

    #[test]
    fn a_list_is_not_a_string() {
        assert_eq!(
            texts(&json!(["a", "b"])),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(texts(&json!("")), Ok(vec![]));
        for wrong in [json!("a"), json!("['a']"), json!([1]), json!({})] {
            assert!(texts(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_proxy_header_is_named_as_django_names_it() {
        assert_eq!(
            proxy_header(&json!(["HTTP_X_FORWARDED_PROTO", "https"])),
            Ok(("x-forwarded-proto".to_owned(), "https".to_owned()))
        );
        for wrong in [
            json!(["X-Forwarded-Proto", "https"]),
            json!(["HTTP_", "x"]),
            json!(["HTTP_X"]),
            json!("https"),
        ] {
            assert!(proxy_header(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn infinities_in_toml_are_refused_and_shown() {
        let table: toml::Table = toml::from_str("a = inf\nb = nan\nc = 1.5").unwrap();
        assert_eq!(
            from_toml(toml::Value::Table(table)),
            json!({"a": "inf", "b": "NaN", "c": 1.5})
        );
    }

    #[test]
    fn zones_and_addresses_are_parsed() {
        assert_eq!(time_zone(&json!("Asia/Seoul")), Ok(chrono_tz::Asia::Seoul));
        assert!(time_zone(&json!("Seoul")).is_err());
        assert_eq!(
            addresses(&json!(["::1"])).unwrap(),
            [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]
        );
        assert!(addresses(&json!(["10.0.0.*"])).is_err());
    }
}
