use crate::http::RequestHead;

use super::token::TokenProblem;

/// Why a request was refused. Its text is Django's, to the letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrfReason {
    /// `Origin` is neither this site nor one of `CSRF_TRUSTED_ORIGINS`.
    #[error("Origin checking failed - {0} does not match any trusted origins.")]
    BadOrigin(String),
    /// Over https, there is neither `Origin` nor `Referer`.
    #[error("Referer checking failed - no Referer.")]
    NoReferer,
    /// `Referer` is no address.
    #[error("Referer checking failed - Referer is malformed.")]
    MalformedReferer,
    /// `Referer` is a page that did not come over https, while this request did.
    #[error("Referer checking failed - Referer is insecure while host is secure.")]
    InsecureReferer,
    /// `Referer` is a page neither of this site nor of `CSRF_TRUSTED_ORIGINS`.
    #[error("Referer checking failed - {0} does not match any trusted origins.")]
    BadReferer(String),
    /// The visitor has no secret: no cookie, or none in the session.
    #[error("CSRF cookie not set.")]
    NoCookie,
    /// The cookie holds what is no secret.
    #[error("CSRF cookie {0}.")]
    BadCookie(TokenProblem),
    /// There is no token in the form, nor in the header.
    #[error("CSRF token missing.")]
    NoToken,
    /// The token does not carry the visitor's secret.
    #[error("CSRF token from {place} {problem}.")]
    BadToken {
        /// Where the token was, in Django's words: `POST`, or `the 'X-Csrftoken' HTTP header`.
        place: String,
        /// What is wrong with it.
        problem: TokenProblem,
    },
}

/// A request that was refused, for whoever answers it. See
/// [`CsrfLayer::with_failure_response`](super::CsrfLayer::with_failure_response).
#[derive(Clone, Copy, Debug)]
pub struct CsrfFailure<'a> {
    request: RequestHead<'a>,
    reason: &'a CsrfReason,
    debug: bool,
}

impl<'a> CsrfFailure<'a> {
    pub(super) fn new(request: RequestHead<'a>, reason: &'a CsrfReason, debug: bool) -> Self {
        Self {
            request,
            reason,
            debug,
        }
    }

    /// Why. It may quote what the visitor sent: escape it in HTML, and show it to developers only.
    pub fn reason(&self) -> &'a CsrfReason {
        self.reason
    }

    /// The request, without its body.
    pub fn request(&self) -> RequestHead<'a> {
        self.request
    }

    /// `DEBUG`: whether the reason may be shown.
    pub fn debug(&self) -> bool {
        self.debug
    }
}
