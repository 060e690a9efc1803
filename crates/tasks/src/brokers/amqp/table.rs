//! Headers as `py-amqp` writes and reads them.
//!
//! Source: `amqp/serialization.py` of py-amqp 5.3.

use chrono::DateTime;
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable, LongString, ShortString};
use serde_json::{Map, Number, Value};

/// How deeply tables may be nested.
const MAX_DEPTH: usize = 64;

/// Headers as a table.
pub(super) fn write(headers: &Map<String, Value>) -> Result<FieldTable, String> {
    table(headers, MAX_DEPTH)
}

fn table(members: &Map<String, Value>, depth: usize) -> Result<FieldTable, String> {
    let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
    let mut table = FieldTable::default();
    for (name, value) in members {
        let key = ShortString::try_new(name.as_str())
            .map_err(|_| format!("the name {name:.20}… is longer than 255 bytes"))?;
        let value = to_amqp(value, depth).map_err(|what| format!("{name}: {what}"))?;
        table.insert(key, value);
    }
    Ok(table)
}

fn to_amqp(value: &Value, depth: usize) -> Result<AMQPValue, String> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(bool) => AMQPValue::Boolean(*bool),
        Value::Number(number) => number_to_amqp(number)?,
        Value::String(text) => AMQPValue::LongString(LongString::from(text.as_str())),
        Value::Array(values) => {
            let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
            let values = values.iter().map(|value| to_amqp(value, depth));
            AMQPValue::FieldArray(FieldArray::from(values.collect::<Result<Vec<_>, _>>()?))
        }
        Value::Object(members) => AMQPValue::FieldTable(table(members, depth)?),
    })
}

fn number_to_amqp(number: &Number) -> Result<AMQPValue, String> {
    if let Some(integer) = number.as_i64() {
        return Ok(
            short_integer(integer).map_or(AMQPValue::LongLongInt(integer), AMQPValue::LongInt)
        );
    }
    if number.is_u64() {
        return Err(format!(
            "{number} is beyond the integers of AMQP, which end at 2^63"
        ));
    }
    number
        .as_f64()
        .map(AMQPValue::Double)
        .ok_or_else(|| format!("{number} is no number of AMQP"))
}

/// How many bytes headers take in a frame.
pub(super) fn length(headers: &Map<String, Value>) -> usize {
    let member = |(name, value): (&String, &Value)| 1 + name.len() + length_of(value);
    4 + headers.iter().map(member).sum::<usize>()
}

fn length_of(value: &Value) -> usize {
    1 + match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(number) => match number.as_i64().and_then(short_integer) {
            Some(_) => 4,
            None => 8,
        },
        Value::String(text) => 4 + text.len(),
        Value::Array(values) => 4 + values.iter().map(length_of).sum::<usize>(),
        Value::Object(members) => length(members),
    }
}

/// One that py-amqp writes in four bytes: -2^31 itself is a long one there.
fn short_integer(integer: i64) -> Option<i32> {
    i32::try_from(integer)
        .ok()
        .filter(|short| *short != i32::MIN)
}

/// A table as headers.
pub(super) fn read(table: &FieldTable) -> Result<Map<String, Value>, &'static str> {
    from_table(table, MAX_DEPTH)
}

fn from_table(table: &FieldTable, depth: usize) -> Result<Map<String, Value>, &'static str> {
    let depth = depth
        .checked_sub(1)
        .ok_or("its headers are nested too deeply")?;
    let members = table.inner().iter();
    members
        .map(|(name, value)| Ok((name.as_str().to_owned(), from_amqp(value, depth)?)))
        .collect()
}

fn from_amqp(value: &AMQPValue, depth: usize) -> Result<Value, &'static str> {
    Ok(match value {
        AMQPValue::Boolean(value) => (*value).into(),
        AMQPValue::ShortShortInt(value) => (*value).into(),
        AMQPValue::ShortShortUInt(value) => (*value).into(),
        AMQPValue::ShortInt(value) => (*value).into(),
        AMQPValue::ShortUInt(value) => (*value).into(),
        AMQPValue::LongInt(value) => (*value).into(),
        AMQPValue::LongUInt(value) => (*value).into(),
        AMQPValue::LongLongInt(value) => (*value).into(),
        AMQPValue::Float(value) => f64::from(*value).into(),
        AMQPValue::Double(value) => (*value).into(),
        AMQPValue::DecimalValue(value) => decimal(*value).into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        AMQPValue::ByteArray(bytes) => String::from_utf8_lossy(bytes.as_slice()).into(),
        AMQPValue::Timestamp(seconds) => timestamp(*seconds),
        AMQPValue::FieldArray(values) => {
            let depth = depth
                .checked_sub(1)
                .ok_or("its headers are nested too deeply")?;
            let values = values.as_slice().iter();
            Value::Array(
                values
                    .map(|value| from_amqp(value, depth))
                    .collect::<Result<_, _>>()?,
            )
        }
        AMQPValue::FieldTable(table) => Value::Object(from_table(table, depth)?),
        AMQPValue::Void => Value::Null,
    })
}

/// Python reads the value as signed.
fn decimal(decimal: DecimalValue) -> f64 {
    f64::from(decimal.value.cast_signed()) / 10f64.powi(decimal.scale.into())
}

/// As `isoformat()` of the naive datetime that Python makes of it.
fn timestamp(seconds: u64) -> Value {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    match time {
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S").to_string().into(),
        None => seconds.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(headers) => headers,
            _ => panic!("no object"),
        }
    }

    #[test]
    fn every_type_of_json_returns_as_it_was() {
        let sent = headers(json!({
            "null": null, "yes": true, "no": false, "zero": 0, "minus": -5, "short": 2_147_483_647,
            "shortest": -2_147_483_648_i64, "long": 2_147_483_648_i64, "max": i64::MAX, "min": i64::MIN,
            "float": 5.5, "text": "é", "empty": "", "timelimit": [null, 5.5], "list": [], "table": {},
            "nested": {"a": [{"b": [1, null, "c"]}]},
        }));
        assert_eq!(read(&write(&sent).unwrap()).unwrap(), sent);
    }

    #[test]
    fn the_length_of_a_table_is_that_of_its_bytes() {
        let sent = headers(json!({
            "null": null, "yes": true, "long": 2_147_483_648_i64, "float": 5.5, "text": "é", "list": [null, "a", [1.5]], "table": {"a": {}}, "short": -5,
            "shortest": -2_147_483_648_i64,
        }));
        assert_eq!(length(&sent), bytes(&write(&sent).unwrap()).len());
    }

    /// The table of bytes in hexadecimal.
    fn parsed(bytes: &str) -> FieldTable {
        let bytes = from_hex(bytes);
        let (rest, table) = lapin::types::parsing::parse_field_table(&*bytes).unwrap();
        assert!(rest.is_empty());
        table
    }

    fn from_hex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    }

    fn bytes(table: &FieldTable) -> Vec<u8> {
        let written = lapin::types::generation::gen_field_table(table)(Vec::new().into()).unwrap();
        written.into_inner().0
    }

    #[test]
    fn tables_are_those_of_py_amqp() {
        let fixtures: Value = serde_json::from_str(include_str!("table/fixtures.json")).unwrap();
        for kind in ["both", "long", "read"] {
            for fixture in fixtures[kind].as_array().unwrap() {
                let hex = fixture["bytes"].as_str().unwrap();
                let expected = headers(fixture["headers"].clone());
                assert_eq!(read(&parsed(hex)).unwrap(), expected);
                match kind {
                    "both" => assert_eq!(bytes(&write(&expected).unwrap()), from_hex(hex)),
                    "long" => {
                        // Another letter before them, which Python reads alike.
                        let ours = bytes(&write(&expected).unwrap());
                        let theirs = from_hex(hex);
                        let other = ours.iter().zip(&theirs).filter(|(our, their)| our != their);
                        assert!(
                            other
                                .map(|pair| (*pair.0, *pair.1))
                                .all(|pair| pair == (b'l', b'L'))
                        );
                        assert_eq!(ours.len(), theirs.len());
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn integers_have_the_size_that_py_amqp_gives_them() {
        let sent = headers(json!({"a": -2_147_483_647, "b": -2_147_483_648_i64, "c": 1.0}));
        let table = write(&sent).unwrap();
        let values: Vec<_> = table.inner().values().collect();
        assert!(matches!(
            values[..],
            [
                AMQPValue::LongInt(_),
                AMQPValue::LongLongInt(_),
                AMQPValue::Double(_)
            ]
        ));
    }

    #[test]
    fn what_amqp_cannot_hold_is_an_error_that_names_the_header() {
        let big = write(&headers(json!({"big": u64::MAX}))).unwrap_err();
        assert!(big.starts_with("big: 18446744073709551615"), "{big}");
        let long = Map::from_iter([("n".repeat(256), Value::Null)]);
        assert!(write(&long).is_err());
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(write(&headers(json!({"deep": deep}))).is_err());
    }

    #[test]
    fn types_that_json_lacks_are_read_as_python_would_print_them() {
        let mut table = FieldTable::default();
        table.insert("t".into(), AMQPValue::Timestamp(1_700_000_000));
        table.insert(
            "d".into(),
            AMQPValue::DecimalValue(DecimalValue {
                scale: 2,
                value: 125,
            }),
        );
        table.insert(
            "x".into(),
            AMQPValue::LongString(LongString::from(vec![0xff])),
        );
        let read = Value::Object(read(&table).unwrap());
        assert_eq!(
            read,
            json!({"t": "2023-11-14T22:13:20", "d": 1.25, "x": "\u{fffd}"})
        );
        let deep = (0..100).fold(FieldTable::default(), |inner, _| {
            let mut outer = FieldTable::default();
            outer.insert("k".into(), AMQPValue::FieldTable(inner));
            outer
        });
        assert!(super::read(&deep).is_err());
    }
}
