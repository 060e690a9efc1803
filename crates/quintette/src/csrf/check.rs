//! The checks, in Django's order.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use quintette_core::session::SessionError;

use super::body::{Reading, ReplayBody};
use super::failure::{CsrfFailure, CsrfReason};
use super::form::{Form, FormProblem};
use super::handle::Csrf;
use super::layer::Rules;
use super::token::Secret;
use crate::http::RequestHead;
use crate::sessions::response::{error_response, text_response};

/// Why a request does not get through.
enum Refusal {
    Forbidden(CsrfReason),
    Form(FormProblem),
    Session(SessionError),
}

impl From<CsrfReason> for Refusal {
    fn from(reason: CsrfReason) -> Self {
        Self::Forbidden(reason)
    }
}

/// Methods that change nothing, and so need no token (RFC 9110, section 9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// The request with its whole body, or the response that refuses it.
pub(super) async fn check<B: Body<Data = Bytes>>(
    request: Request<B>,
    rules: &Rules,
    csrf: &Csrf,
) -> Result<Request<ReplayBody<B>>, Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let mut body = Reading::new(body);
    match admit(&parts, &mut body, rules, csrf).await {
        Ok(()) => Ok(Request::from_parts(parts, body.into_body())),
        Err(refusal) => Err(refuse(&parts, &refusal, rules)),
    }
}

async fn admit<B: Body<Data = Bytes>>(
    parts: &Parts,
    body: &mut Reading<B>,
    rules: &Rules,
    csrf: &Csrf,
) -> Result<(), Refusal> {
    let head = RequestHead::from(parts);
    rules.trusted_origins.check(head, &rules.settings)?;
    let secret = csrf
        .sent(head)
        .await
        .map_err(Refusal::Session)?
        .map_err(CsrfReason::BadCookie)?
        .ok_or(CsrfReason::NoCookie)?;
    let (place, token) = token(head, body, rules, &secret).await?;
    secret
        .check(&token)
        .map_err(|problem| CsrfReason::BadToken { place, problem }.into())
}

/// The token and where it was, in Django's words: in the form, else in the header.
async fn token<B: Body<Data = Bytes>>(
    head: RequestHead<'_>,
    body: &mut Reading<B>,
    rules: &Rules,
    secret: &Secret,
) -> Result<(String, String), Refusal> {
    let settings = &rules.settings;
    let header = head.meta(settings.csrf_header_name.as_str());
    if let Some(form) = Form::of(head) {
        let limit = settings.data_upload_max_memory_size;
        let right = |token: &str| secret.check(token).is_ok();
        let form = form.map_err(Refusal::Form)?;
        let token = form.token(body, limit, right, header.is_some()).await;
        let token = token.map_err(Refusal::Form)?;
        if !token.is_empty() {
            return Ok(("POST".to_owned(), token));
        }
    }
    let token = header.ok_or(CsrfReason::NoToken)?;
    let name = title(&settings.csrf_header_name);
    Ok((format!("the '{name}' HTTP header"), token))
}

/// A header's name as Django prints it. Python's `str.title`.
fn title(name: &str) -> String {
    let mut starts = true;
    let letters = name.chars().map(|letter| {
        let letter = if starts {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        starts = !letter.is_ascii_alphabetic();
        letter
    });
    letters.collect()
}

fn refuse(parts: &Parts, refusal: &Refusal, rules: &Rules) -> Response<Full<Bytes>> {
    let head = RequestHead::from(parts);
    // Both quote what the visitor sent, which may want to look like further lines of the log.
    let path = head.path();
    let path = path.escape_debug();
    match refusal {
        Refusal::Forbidden(reason) => {
            let told = reason.to_string();
            tracing::warn!(target: "quintette::csrf", "Forbidden ({}): {path}", told.escape_debug());
            (rules.failure_response)(&CsrfFailure::new(head, reason, rules.settings.debug))
        }
        Refusal::Form(problem) => {
            tracing::warn!(target: "quintette::csrf", "Bad Request ({problem}): {path}");
            text_response(
                StatusCode::BAD_REQUEST,
                "The form is too large, or it is not well-formed.",
            )
        }
        Refusal::Session(error) => error_response(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_named_as_django_names_it() {
        assert_eq!(title("x-csrftoken"), "X-Csrftoken");
        assert_eq!(title("x-csrftoken-customized"), "X-Csrftoken-Customized");
        assert_eq!(title("x-2fa-token"), "X-2Fa-Token");
    }
}
