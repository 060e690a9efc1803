use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::AuthError;
use crate::sessions::response::text_response;

/// The response that a layer gives in place of the handler's.
pub(super) fn error_response(error: &AuthError) -> Response<Full<Bytes>> {
    error.log();
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = text_response(status, error.public_message());
    if let Some(wait) = error.retry_after() {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
