//! `/signing/*`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use quintette::json::RawJson;
use quintette::signing::{self, Keys, SignatureError};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize)]
pub(crate) struct Dumps {
    obj: RawJson,
    salt: String,
    #[serde(default)]
    compress: bool,
}

#[derive(Deserialize)]
pub(crate) struct Loads {
    value: String,
    salt: String,
    max_age: Option<f64>,
}

#[derive(Serialize)]
pub(crate) struct Dumped {
    value: String,
}

#[derive(Serialize)]
pub(crate) struct Loaded {
    obj: RawJson,
}

type Rejection = (StatusCode, Json<serde_json::Value>);

pub(crate) async fn dumps(
    State(keys): State<Keys>,
    body: Bytes,
) -> Result<Json<Dumped>, Rejection> {
    let Dumps {
        obj,
        salt,
        compress,
    } = serde_json::from_slice(&body).map_err(|error| reject(&error.to_string()))?;
    let value =
        signing::dumps(&keys, &salt, &obj, compress).map_err(|error| reject(&error.to_string()))?;
    Ok(Json(Dumped { value }))
}

pub(crate) async fn loads(
    State(keys): State<Keys>,
    body: Bytes,
) -> Result<Json<Loaded>, Rejection> {
    let Loads {
        value,
        salt,
        max_age,
    } = serde_json::from_slice(&body).map_err(|error| reject(&error.to_string()))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the contract's seconds are few"
    )]
    let max_age = max_age.map(|seconds| TimeDelta::milliseconds((seconds * 1e3) as i64));
    match signing::loads(&keys, &salt, &value, max_age) {
        Ok(obj) => Ok(Json(Loaded { obj })),
        Err(SignatureError::Expired { .. }) => Err(reject("SignatureExpired")),
        Err(_) => Err(reject("BadSignature")),
    }
}

fn reject(error: &str) -> Rejection {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error })))
}
