//! `/csrf/*`.

use axum::Json;
use quintette::csrf::Csrf;
use quintette::sessions::SessionError;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Token {
    token: String,
}

pub(crate) async fn token(csrf: Csrf) -> Result<Json<Token>, SessionError> {
    let token = csrf.token().await?;
    Ok(Json(Token { token }))
}

pub(crate) async fn ok() -> &'static str {
    "ok"
}
