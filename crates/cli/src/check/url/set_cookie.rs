//! `Set-Cookie`, read as browsers read it (RFC 6265, section 5.2).

use http::HeaderMap;
use http::header::SET_COOKIE;

/// A cookie as a response sets it.
pub(super) struct SetCookie {
    pub(super) name: String,
    /// A credential; never printed.
    pub(super) value: String,
    /// All that follows the value, as it came.
    pub(super) attributes: String,
    pub(super) domain: Option<String>,
    pub(super) path: Option<String>,
    pub(super) max_age: Option<i64>,
    pub(super) same_site: Option<String>,
    pub(super) secure: bool,
}

impl SetCookie {
    /// The cookie of this name; the last one, where there are several, as in browsers.
    pub(super) fn find(headers: &HeaderMap, name: &str) -> Option<Self> {
        headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|header| Self::parse(&String::from_utf8_lossy(header.as_bytes())))
            .rfind(|cookie| cookie.name == name)
    }

    fn parse(header: &str) -> Option<Self> {
        let end = header.find(';').unwrap_or(header.len());
        let (pair, attributes) = header.split_at(end);
        let (name, value) = pair.split_once('=')?;
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            attributes: attributes.to_owned(),
            domain: None,
            path: None,
            max_age: None,
            same_site: None,
            secure: false,
        };
        for attribute in attributes.split(';') {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            cookie.set(&name.trim().to_ascii_lowercase(), value.trim());
        }
        Some(cookie)
    }

    fn set(&mut self, attribute: &str, value: &str) {
        match attribute {
            // One leading dot is from the days of RFC 2109, and means nothing.
            "domain" => {
                let domain = value
                    .strip_prefix('.')
                    .unwrap_or(value)
                    .to_ascii_lowercase();
                self.domain = Some(domain).filter(|domain| !domain.is_empty());
            }
            // Any other path is taken as none.
            "path" => self.path = value.starts_with('/').then(|| value.to_owned()),
            "max-age" => self.max_age = value.parse().ok(),
            "samesite" => self.same_site = Some(value.to_ascii_lowercase()),
            "secure" => self.secure = true,
            _ => {}
        }
    }

    /// Whether browsers forget the cookie when they see this.
    pub(super) fn is_deletion(&self) -> bool {
        matches!(self.value.as_str(), "" | "\"\"") || self.max_age.is_some_and(|age| age <= 0)
    }

    /// What counts against a browser's limit: name and value, in bytes (RFC 6265bis, section 5.6).
    pub(super) fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }

    /// Whether the value is a session's key as Django makes them, and not the session itself.
    pub(super) fn is_key(&self) -> bool {
        self.value.len() == 32
            && self
                .value
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    }
}
