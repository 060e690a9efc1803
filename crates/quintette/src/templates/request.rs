use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, Request};
use quintette_core::session::Session;

use crate::http::RequestHead;

/// The request that a page answers: what context processors see. A cheap handle, and an axum extractor that never fails.
///
/// ```
/// use quintette::templates::TemplateRequest;
///
/// let request = http::Request::get("/orders?page=2").body(()).unwrap();
/// assert_eq!(TemplateRequest::from(&request).head().path(), "/orders");
/// ```
/// `Debug` shows method and path: cookies are nobody else's.
#[derive(Clone)]
pub struct TemplateRequest {
    parts: Arc<Parts>,
}

impl From<Parts> for TemplateRequest {
    fn from(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }
}

impl From<&Parts> for TemplateRequest {
    fn from(parts: &Parts) -> Self {
        Self::from(parts.clone())
    }
}

impl<B> From<&Request<B>> for TemplateRequest {
    fn from(request: &Request<B>) -> Self {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = request.method().clone();
        parts.uri = request.uri().clone();
        parts.version = request.version();
        parts.headers = request.headers().clone();
        parts.extensions = request.extensions().clone();
        Self::from(parts)
    }
}

impl TemplateRequest {
    /// Path, host, headers: what the request says of itself.
    pub fn head(&self) -> RequestHead<'_> {
        RequestHead::from(&*self.parts)
    }

    /// What layers have added to the request.
    pub fn extensions(&self) -> &Extensions {
        &self.parts.extensions
    }

    /// The visitor's session, behind a `SessionLayer`.
    pub fn session(&self) -> Option<&Session> {
        self.extensions().get()
    }
}

impl fmt::Debug for TemplateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.head();
        write!(f, "TemplateRequest({} {:?})", head.method(), head.path())
    }
}
