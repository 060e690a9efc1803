//! The token in a form: a bounded look at a body that the handler is still to get.

mod multipart;
mod parameters;
mod urlencoded;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use http_body::Body;

use self::multipart::Scan;
use super::body::Reading;
use crate::http::RequestHead;

/// The name of the field, as Django's `{% csrf_token %}` writes it.
pub(super) const FIELD: &str = "csrfmiddlewaretoken";

/// A form that may hold a token. Only a POST has one, as in Django.
#[derive(Debug)]
pub(super) enum Form {
    UrlEncoded,
    Multipart(Scan),
}

/// What keeps a form from being read. Django answers both with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormProblem {
    #[error(
        "the form is larger than DATA_UPLOAD_MAX_MEMORY_SIZE, and its token was not found before that"
    )]
    TooLarge,
    #[error("the multipart form has no boundary")]
    NoBoundary,
}

impl Form {
    /// The request's form; `None` where there is none to look at.
    pub(super) fn of(head: RequestHead<'_>) -> Option<Result<Self, FormProblem>> {
        if head.method() != Method::POST {
            return None;
        }
        let content_type = head.meta(CONTENT_TYPE)?;
        let (kind, _) = content_type.split_once(';').unwrap_or((&content_type, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Some(Ok(Self::UrlEncoded)),
            "multipart/form-data" => Some(
                Scan::new(&content_type)
                    .map(Self::Multipart)
                    .ok_or(FormProblem::NoBoundary),
            ),
            _ => None,
        }
    }

    /// The form's token. Empty where it has none, or breaks off.
    ///
    /// An urlencoded form is read whole. A multipart one, which may carry large files, is read up to the first token that
    /// is `right`: what comes behind it is the handler's. Where the limit comes first, there is no token if another place
    /// may have one.
    pub(super) async fn token<B: Body<Data = Bytes>>(
        self,
        body: &mut Reading<B>,
        limit: Option<usize>,
        right: impl Fn(&str) -> bool,
        has_other_place: bool,
    ) -> Result<String, FormProblem> {
        match self {
            Self::UrlEncoded => {
                read_whole(body, limit).await?;
                if body.has_failed() {
                    return Ok(String::new());
                }
                Ok(urlencoded::field(body.read(), FIELD))
            }
            Self::Multipart(mut scan) => {
                let mut token = String::new();
                while body.more().await {
                    while let Some(found) = scan.next_field(body.read(), FIELD) {
                        token = found;
                        if right(&token) {
                            return Ok(token);
                        }
                    }
                    if limit.is_some_and(|limit| body.read().len() > limit) {
                        return if token.is_empty() && !has_other_place {
                            Err(FormProblem::TooLarge)
                        } else {
                            Ok(token)
                        };
                    }
                }
                Ok(if body.has_failed() {
                    String::new()
                } else {
                    token
                })
            }
        }
    }
}

async fn read_whole<B: Body<Data = Bytes>>(
    body: &mut Reading<B>,
    limit: Option<usize>,
) -> Result<(), FormProblem> {
    loop {
        if limit.is_some_and(|limit| body.least_size() > limit as u64) {
            return Err(FormProblem::TooLarge);
        }
        if !body.more().await {
            return Ok(());
        }
    }
}
