use std::fmt::Write as _;

use http::Uri;

use super::RequestHead;

impl RequestHead<'_> {
    /// The path that was asked for, decoded; what is no UTF-8 in it stays quoted. Django's `request.path`.
    ///
    /// With axum it is the whole path, also within a nested `Router`.
    pub fn path(&self) -> String {
        decode(self.raw_path())
    }

    /// The path and the query string, quoted anew. Django's `request.get_full_path()`.
    pub fn full_path(&self) -> String {
        let uri = self.original_uri();
        let mut quoted = quote(&self.path(), b"/:@&+$,-_.!~*'()");
        if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
            quoted.push('?');
            quoted.push_str(&iri_to_uri(query));
        }
        quoted
    }

    /// The path that was asked for, as it came.
    pub(crate) fn raw_path(&self) -> &str {
        self.original_uri().path()
    }

    /// Whether this is the page that a redirect to `url` leads to, on this site.
    #[cfg(feature = "auth")]
    pub(crate) fn is_page(&self, url: &str) -> bool {
        let page = url.split(['?', '#']).next().unwrap_or_default();
        self.raw_path() == iri_to_uri(page)
    }

    /// What stands behind the question mark.
    #[cfg(feature = "templates")]
    pub(crate) fn query(&self) -> &str {
        self.original_uri().query().unwrap_or_default()
    }

    #[cfg(feature = "axum")]
    fn original_uri(&self) -> &Uri {
        let original = self.extensions.get::<axum::extract::OriginalUri>();
        original.map_or(self.uri, |original| &original.0)
    }

    #[cfg(not(feature = "axum"))]
    fn original_uri(&self) -> &Uri {
        self.uri
    }
}

/// Undoes percent-encoding, but for bytes that are no UTF-8.
pub(crate) fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        let escaped = (*byte == b'%').then(|| unhex(tail)).flatten();
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        bytes.push(escaped.unwrap_or(*byte));
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

pub(super) fn unhex(bytes: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(..2)?).ok()?;
    digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then_some(())?;
    u8::from_str_radix(digits, 16).ok()
}

/// Python's `urllib.parse.quote`: letters, digits and `_.-~` stay, and what is `safe`.
pub(crate) fn quote(text: &str, safe: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            let _ = write!(quoted, "%{byte:02X}");
        }
    }
    quoted
}

/// Quotes what a header or an address cannot carry, and leaves the rest: Django's `iri_to_uri`.
pub(super) fn iri_to_uri(iri: &str) -> String {
    quote(iri, b"/#%[]=:;$&()+,!?*@'~")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn paths(uri: &str) -> (String, String) {
        let request = Request::get(uri).body(()).unwrap();
        let head = RequestHead::from(&request);
        (head.path(), head.full_path())
    }

    #[test]
    fn a_path_is_decoded_and_quoted_as_django_does() {
        assert_eq!(
            paths("/a%20b/%41?x=%20"),
            ("/a b/A".into(), "/a%20b/A?x=%20".into())
        );
        assert_eq!(
            paths("/caf%C3%A9/%2"),
            ("/café/%2".into(), "/caf%C3%A9/%252".into())
        );
        assert_eq!(paths("/%ff?"), ("/%FF".into(), "/%25FF".into()));
        assert_eq!(
            paths("//evil.com/"),
            ("//evil.com/".into(), "//evil.com/".into())
        );
    }
}
