//! What a request says of itself, as Django understands it, and where a visitor may be sent: `django.http.HttpRequest` and
//! `django.utils.http`.
//!
//! ```
//! use quintette::http::RequestHead;
//! use quintette::settings::Settings;
//!
//! let mut settings = Settings::new("a secret");
//! settings.allowed_hosts = vec![".example.com".to_owned()];
//! settings.secure_proxy_ssl_header = Some(("x-forwarded-proto".to_owned(), "https".to_owned()));
//!
//! let request = http::Request::get("/orders/7?page=2")
//!     .header("host", "shop.example.com")
//!     .header("x-forwarded-proto", "https")
//!     .body(())?;
//! let head = RequestHead::from(&request);
//! assert_eq!(head.absolute_uri(&settings)?, "https://shop.example.com/orders/7?page=2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod host;
mod login_url;
mod path;
mod path_patterns;
mod redirect;
mod vary;

use std::fmt;

use http::header::AsHeaderName;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Uri};

pub use address::ClientAddress;
pub use host::{DisallowedHost, OverHttps, is_same_domain};
pub use redirect::{redirect, url_has_allowed_host_and_scheme};

pub(crate) use login_url::login_url_with_next;
#[cfg(feature = "templates")]
pub(crate) use path::quote;
pub(crate) use path_patterns::PathPatterns;
pub(crate) use vary::vary_on_cookie;

/// A request without its body: what Django's `HttpRequest` tells of host, scheme, path and address. A borrowed view.
///
/// `Debug` shows method and path: cookies, and the tokens that links carry, are not for logs.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }
}

impl<'a> RequestHead<'a> {
    /// The method. Django's `request.method`.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The header, where there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The header as Django's `request.META` has it: of any bytes, several of them joined by commas.
    pub(crate) fn meta(&self, name: impl AsHeaderName) -> Option<String> {
        let mut values = self.headers.get_all(name).iter();
        let latin1 = |value: &HeaderValue| -> String {
            value.as_bytes().iter().copied().map(char::from).collect()
        };
        let first = latin1(values.next()?);
        Some(values.fold(first, |text, value| text + "," + &latin1(value)))
    }

    /// All headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHead({} {:?})", self.method, self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_debugs_as_holds_no_secret() {
        let request = Request::get("/reset?token=hush")
            .header("cookie", "sessionid=hush")
            .body(())
            .unwrap();
        let text = format!("{:?}", RequestHead::from(&request));
        assert_eq!(text, "RequestHead(GET \"/reset\")");
    }
}
