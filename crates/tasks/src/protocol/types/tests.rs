use std::fmt::Debug;

use quintette_core::json::RawJson;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

/// Made by kombu: see `fixtures.py`.
const FIXTURES: &str = include_str!("../fixtures/types.json");

#[derive(serde::Deserialize)]
struct Fixture {
    python: String,
    json: String,
}

fn comes_back<T: Serialize + DeserializeOwned>(json: &RawJson) {
    let value: T = json.deserialize().unwrap();
    assert_eq!(&RawJson::from_value(&value).unwrap(), json);
}

#[test]
fn each_type_is_read_and_written_to_the_byte_as_kombu_does() {
    let fixtures: Vec<Fixture> = serde_json::from_str(FIXTURES).unwrap();
    for Fixture { python, json } in fixtures {
        let json = RawJson::parse(&json).unwrap();
        match &*python {
            date_time if date_time.contains("tzinfo") => comes_back::<DateTime>(&json),
            naive if naive.starts_with("datetime") => comes_back::<NaiveDateTime>(&json),
            date if date.starts_with("date") => comes_back::<Date>(&json),
            time if time.starts_with("time") => comes_back::<Time>(&json),
            decimal if decimal.starts_with("Decimal") => comes_back::<Decimal>(&json),
            uuid if uuid.starts_with("UUID") => comes_back::<Uuid>(&json),
            _ => comes_back::<Bytes>(&json),
        }
    }
}

fn read<T: DeserializeOwned + Debug>(json: &str) -> Result<T, String> {
    let json = RawJson::parse(json).unwrap();
    json.deserialize().map_err(|error| error.to_string())
}

#[test]
fn what_kombu_wrote_as_mere_strings_before_is_read() {
    let at: DateTime = read(r#""2025-03-31T08:30:00Z""#).unwrap();
    assert_eq!(at.to_string(), "2025-03-31T08:30:00+00:00");
    assert_eq!(read::<Decimal>(r#""9.90""#).unwrap().as_str(), "9.90");
    assert!(read::<Uuid>(r#""0f8fad5b-d9cb-469f-a165-70867728950e""#).is_ok());
}

#[test]
fn another_type_is_an_error_that_names_both() {
    let error = read::<Date>(r#"{"__type__": "time", "__value__": "08:30:00"}"#).unwrap_err();
    assert!(
        error.contains("\"date\"") && error.contains("\"time\""),
        "{error}"
    );
    let error = read::<DateTime>(r#"{"__type__": "datetime", "__value__": "2025-03-31T08:30:00"}"#);
    assert!(error.unwrap_err().contains("with an offset"));
    let error = read::<Bytes>("12").unwrap_err();
    assert!(error.contains("__type__"), "{error}");
    assert!(read::<Decimal>(r#"{"__type__": "decimal", "__value__": "ten"}"#).is_err());
    assert!(read::<Date>(r#"{"__type__": "date", "__value__": "2025-03-31", "x": 1}"#).is_err());
    assert!(read::<Bytes>(r#"{"__type__": "base64", "__value__": "%"}"#).is_err());
}

#[test]
fn what_python_has_no_place_for_is_not_written() {
    let year = Date(chrono::NaiveDate::from_ymd_opt(-5, 1, 1).unwrap());
    assert!(RawJson::from_value(&year).is_err());
    let leap = chrono::NaiveTime::from_hms_nano_opt(23, 59, 59, 1_500_000_000).unwrap();
    assert!(RawJson::from_value(&Time(leap)).is_err());
}
