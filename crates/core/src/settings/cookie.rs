//! Names of cookies and `SameSite`, what browsers demand of a cookie, and the cookies that the settings describe.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::Settings;
use super::error::{Problem, SettingsError};
use crate::cookie::CookieAttributes;

/// Attributes of a cookie. Python's `http.cookies` refuses a cookie of such a name, so Django cannot set one.
const RESERVED_NAMES: [&str; 10] = [
    "comment",
    "domain",
    "expires",
    "httponly",
    "max-age",
    "partitioned",
    "path",
    "samesite",
    "secure",
    "version",
];

/// The name of a cookie, such as Django's `sessionid`.
///
/// It holds what Python's `http.cookies` takes: ASCII letters, digits and `` !#$%&'*+-.^_`|~: ``.
///
/// ```
/// use quintette_core::settings::CookieName;
///
/// let name: CookieName = "__Host-sessionid".parse()?;
/// assert!(name.requires_secure() && name.requires_host_only());
/// assert!("session id".parse::<CookieName>().is_err());
/// # Ok::<(), quintette_core::settings::SettingsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CookieName(String);

impl CookieName {
    /// Django's default for `SESSION_COOKIE_NAME`: `sessionid`.
    pub fn sessionid() -> Self {
        Self("sessionid".to_owned())
    }

    /// Django's default for `CSRF_COOKIE_NAME`: `csrftoken`.
    pub fn csrftoken() -> Self {
        Self("csrftoken".to_owned())
    }

    /// The name as it stands in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether browsers take a cookie of this name only with `Secure`.
    ///
    /// The prefixes `__Secure-` and `__Host-` of RFC 6265bis, section 4.1.3, compared without regard to case as browsers do.
    pub fn requires_secure(&self) -> bool {
        self.has_prefix("__Secure-") || self.requires_host_only()
    }

    /// Whether browsers take a cookie of this name only with `Secure`, `Path=/` and no `Domain`: the prefix `__Host-`.
    pub fn requires_host_only(&self) -> bool {
        self.has_prefix("__Host-")
    }

    fn has_prefix(&self, prefix: &str) -> bool {
        self.0
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:".contains(c);
        if text.is_empty() {
            return Err("a cookie needs a name, such as \"sessionid\"".to_owned());
        }
        if let Some(bad) = text.chars().find(|c| !legal(*c)) {
            return Err(format!(
                "a cookie's name cannot hold {bad:?}; use ASCII letters, digits, \"-\" and \"_\""
            ));
        }
        if RESERVED_NAMES
            .iter()
            .any(|name| text.eq_ignore_ascii_case(name))
        {
            return Err("that is the name of a cookie's attribute; take another".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for CookieName {
    type Err = SettingsError;

    /// # Errors
    ///
    /// An empty name, one with a character that a cookie's name cannot hold, and the name of a cookie's attribute (`path`).
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        Self::parse(text)
            .map_err(|advice| Problem::wrong("the cookie name", &Value::from(text), advice).into())
    }
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a cookie travels with requests that come from other sites: the attribute `SameSite`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// `"Strict"`: never from another site, not even when a link is followed.
    Strict,
    /// `"Lax"`, Django's default: when a link is followed, but not in forms and frames of other sites.
    #[default]
    Lax,
    /// `"None"`: always. Browsers take it only with `Secure`.
    None,
    /// `False`: the attribute is left out, and each browser does as it thinks best.
    Unset,
}

impl SameSite {
    /// The attribute's value, or `None` where the attribute is left out.
    pub fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Strict => Some("Strict"),
            Self::Lax => Some("Lax"),
            Self::None => Some("None"),
            Self::Unset => None,
        }
    }

    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let word = match value {
            // Django leaves the attribute out for whatever Python takes as false.
            Value::Bool(false) | Value::Null => "false".to_owned(),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            _ => String::from("?"),
        };
        match word.as_str() {
            "strict" => Ok(Self::Strict),
            "lax" => Ok(Self::Lax),
            "none" => Ok(Self::None),
            "false" | "null" | "" => Ok(Self::Unset),
            _ => Err(
                "write \"Strict\", \"Lax\", \"None\", or false to leave the attribute out"
                    .to_owned(),
            ),
        }
    }
}

impl Settings {
    /// The session's cookie, from `SESSION_COOKIE_*`.
    pub fn session_cookie(&self) -> CookieAttributes<'_> {
        CookieAttributes {
            name: self.session_cookie_name.as_str(),
            domain: self.session_cookie_domain.as_deref(),
            path: &self.session_cookie_path,
            secure: self.session_cookie_secure,
            http_only: self.session_cookie_httponly,
            same_site: self.session_cookie_samesite,
            partitioned: self.session_cookie_partitioned,
        }
    }

    /// The cookie of the CSRF secret, from `CSRF_COOKIE_*`.
    pub fn csrf_cookie(&self) -> CookieAttributes<'_> {
        CookieAttributes {
            name: self.csrf_cookie_name.as_str(),
            domain: self.csrf_cookie_domain.as_deref(),
            path: &self.csrf_cookie_path,
            secure: self.csrf_cookie_secure,
            http_only: self.csrf_cookie_httponly,
            same_site: self.csrf_cookie_samesite,
            partitioned: false,
        }
    }

    /// The cookie of messages: named `messages`, with the session cookie's attributes, as in Django.
    pub fn messages_cookie(&self) -> CookieAttributes<'_> {
        CookieAttributes {
            name: "messages",
            path: "/",
            ..self.session_cookie()
        }
    }
}

/// What browsers demand of a cookie for its name that this one lacks, if anything. Its settings begin with `prefix`.
pub(super) fn name_problem(prefix: &str, cookie: &CookieAttributes<'_>) -> Option<String> {
    let name = CookieName(cookie.name.to_owned());
    if name.requires_secure() && !cookie.secure {
        Some(format!(
            "browsers take a cookie of this name only with {prefix}_SECURE = true"
        ))
    } else if name.requires_host_only() && cookie.domain.is_some() {
        Some(format!(
            "browsers take a __Host- cookie only without {prefix}_DOMAIN; leave the domain out, or name it __Secure-"
        ))
    } else if name.requires_host_only() && cookie.path != "/" {
        Some(format!(
            "browsers take a __Host- cookie only with {prefix}_PATH = \"/\"; set that, or name it __Secure-"
        ))
    } else {
        None
    }
}

/// What keeps a cookie's domain from ever being accepted, if anything.
pub(super) fn domain_problem(domain: &str) -> Option<String> {
    let name = domain.strip_prefix('.').unwrap_or(domain);
    if name.contains(':') || name.contains('/') {
        return Some(
            "a cookie's domain has neither scheme, port nor path; write \"example.com\"".to_owned(),
        );
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))
    {
        return Some(format!(
            "a cookie's domain cannot hold {bad:?}; write a host name such as \"example.com\" (punycode where it is not ASCII)"
        ));
    }
    (name.is_empty() || name.starts_with('.') || name.contains("..")).then(|| {
        "that is no host name; write one such as \"example.com\", or leave it out for the host that was asked".to_owned()
    })
}

/// What keeps a cookie's path out of a `Set-Cookie` header, if anything.
pub(super) fn path_problem(path: &str) -> Option<String> {
    path.chars()
        .find(|c| !matches!(c, ' '..='~') || *c == ';')
        .map(|bad| {
            format!("a cookie's path cannot hold {bad:?}; percent-encode it, or write \"/\"")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_name_is_what_pythons_http_cookies_takes() {
        for good in ["sessionid", "s", "__Host-s", "a:b", "!#$%&'*+-.^_`|~:"] {
            assert_eq!(CookieName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "a b", "a=b", "a;b", "a,b", "a/b", "a\r\nb", "é", "(a)", "Path", "max-age",
        ] {
            assert!(CookieName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefixes_are_seen_in_any_case() {
        let name = |text: &str| CookieName::parse(text).unwrap();
        assert!(name("__host-x").requires_host_only());
        assert!(name("__SECURE-x").requires_secure());
        assert!(!name("__Secure-x").requires_host_only());
        assert!(!name("__Hos").requires_secure());
    }

    #[test]
    fn samesite_is_read_in_any_case_and_false_leaves_it_out() {
        for (given, read) in [
            (Value::from("strict"), SameSite::Strict),
            (Value::from("LAX"), SameSite::Lax),
            (Value::from("None"), SameSite::None),
            (Value::from("False"), SameSite::Unset),
            (Value::from(false), SameSite::Unset),
            (Value::Null, SameSite::Unset),
        ] {
            assert_eq!(SameSite::parse(&given), Ok(read), "{given}");
        }
        for wrong in [Value::from("Laxx"), Value::from(true), Value::from(1)] {
            assert!(SameSite::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_domain_is_a_host_name_with_or_without_a_leading_dot() {
        for good in [
            "example.com",
            ".example.com",
            "localhost",
            "a-b.example.com",
            "127.0.0.1",
        ] {
            assert_eq!(domain_problem(good), None, "{good}");
        }
        for bad in [
            "https://example.com",
            "example.com:8000",
            "example.com/",
            "a;b",
            "a=b",
            "a b",
            "ü.de",
            "",
            ".",
            "..com",
            "a\nb",
        ] {
            assert!(domain_problem(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_cannot_end_the_attribute_or_the_header() {
        for good in ["/", "", "/app/", "/a=b", "/caf%C3%A9"] {
            assert_eq!(path_problem(good), None, "{good}");
        }
        for bad in ["/;Secure", "/\r\n", "/é", "/\u{7f}"] {
            assert!(path_problem(bad).is_some(), "{bad:?}");
        }
    }
}
