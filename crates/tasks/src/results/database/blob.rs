//! What stands in a binary column: JSON from Celery 5.7 on, a pickle before.

use quintette_core::json::RawJson;
use quintette_core::pickle::{Decoded, decode_value, encode_value};

use crate::results::{ResultError, ResultErrorKind};

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Pickle,
}

impl Form {
    pub(super) fn write(self, value: &RawJson) -> Vec<u8> {
        match self {
            Self::Json => value.as_str().as_bytes().to_vec(),
            Self::Pickle => encode_value(value),
        }
    }
}

/// Reads either: no pickle is JSON.
///
/// A value that JSON cannot hold is an error, unless it is of a failure: then the exception is known by its class.
pub(super) fn read(bytes: &[u8], is_failure: bool) -> Result<RawJson, ResultError> {
    let text = std::str::from_utf8(bytes).ok();
    if let Some(json) = text.and_then(|text| RawJson::parse(text).ok()) {
        return Ok(json);
    }
    let corrupt = |what: String| ResultError::new(ResultErrorKind::Corrupt, what);
    match decode_value(bytes) {
        Ok(Decoded::Json(json)) => Ok(json),
        Ok(Decoded::Foreign(class)) if is_failure => Ok(exception(&class)),
        Ok(Decoded::Foreign(class)) => Err(corrupt(format!(
            "the result is a pickle that holds {class}, which JSON cannot hold; return plain values from the task, or set result_serializer to json"
        ))),
        Err(error) => Err(corrupt(format!(
            "the result is neither JSON nor a pickle of plain values ({error}); is result_compression set?"
        ))),
    }
}

/// A pickled exception, of which nothing is rebuilt.
fn exception(class: &str) -> RawJson {
    let (module, name) = class.rsplit_once('.').unwrap_or(("builtins", class));
    let exception = serde_json::json!({
        "exc_type": name,
        "exc_message": ["the exception is pickled, and only Python reads its arguments"],
        "exc_module": module,
    });
    RawJson::from_value(&exception).unwrap_or_else(|_| RawJson::from(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_either_form_is_read() {
        let value = RawJson::parse(r#"{"a":[1,2.5,"é",null,true]}"#).unwrap();
        for form in [Form::Json, Form::Pickle] {
            let again = read(&form.write(&value), false).unwrap();
            let values = [&value, &again].map(|it| it.deserialize::<serde_json::Value>().unwrap());
            assert_eq!(values[0], values[1]);
        }
    }

    #[test]
    fn a_pickled_exception_is_known_by_its_class() {
        // pickle.dumps(ValueError("no"))
        let pickle = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94\x8c\nValueError\x94\x93\x94\x8c\x02no\x94\x85\x94R\x94.";
        let json = read(pickle, true).unwrap();
        assert!(json.as_str().contains("ValueError"), "{json:?}");
        let error = read(pickle, false).unwrap_err();
        assert_eq!(error.kind(), ResultErrorKind::Corrupt);
    }
}
