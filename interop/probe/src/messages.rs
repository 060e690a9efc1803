//! `/messages/*`.

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use quintette::messages::{Message, Messages};
use quintette::sessions::SessionError;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Added {
    level: i64,
    message: String,
    #[serde(default)]
    extra_tags: String,
}

pub(crate) async fn add(
    messages: Messages,
    body: Bytes,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let list: Vec<Added> = serde_json::from_slice(&body).map_err(|error| {
        let error = json!({ "error": error.to_string() });
        (StatusCode::BAD_REQUEST, Json(error))
    })?;
    for added in list {
        messages.add_with_tags(added.level, added.message, added.extra_tags);
    }
    Ok(Json(json!({})))
}

pub(crate) async fn list(messages: Messages) -> Result<Json<Value>, SessionError> {
    let list: Vec<Value> = messages.take().await?.iter().map(shown).collect();
    Ok(Json(json!({ "messages": list })))
}

pub(crate) async fn ignore() -> Json<Value> {
    Json(json!({}))
}

fn shown(message: &Message) -> Value {
    json!({
        "level": message.level().get(),
        "level_tag": message.level_tag(),
        "tags": message.tags(),
        "message": message.message(),
    })
}
