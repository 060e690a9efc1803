use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::path::iri_to_uri;

/// No address that a person meets is longer, and what takes one apart is not asked to do so with more (Django's limit).
const MAX_URL_LENGTH: usize = 2_048;

/// Whether it is safe to redirect to `url`, which somebody else has chosen: a path on this site, or an address whose host is one
/// of `allowed_hosts`. Django's function of the same name.
///
/// ```
/// use quintette::http::url_has_allowed_host_and_scheme;
///
/// let here = |url| url_has_allowed_host_and_scheme(url, &["shop.example.com"], true);
/// assert!(here("/orders/?page=2") && here("https://shop.example.com/"));
/// assert!(!here("//evil.com") && !here("https:evil.com") && !here("/\\evil.com") && !here("javascript:alert(1)"));
/// ```
pub fn url_has_allowed_host_and_scheme(
    url: &str,
    allowed_hosts: &[&str],
    require_https: bool,
) -> bool {
    let url = url.trim();
    // Chrome takes a backslash for a slash; within a user's name and password it may be one.
    !url.is_empty()
        && is_allowed(url, allowed_hosts, require_https)
        && is_allowed(&url.replace('\\', "/"), allowed_hosts, require_https)
}

fn is_allowed(url: &str, allowed_hosts: &[&str], require_https: bool) -> bool {
    // To a browser, three slashes are two.
    if url.starts_with("///") || url.chars().count() > MAX_URL_LENGTH {
        return false;
    }
    // Browsers drop tabs and line ends anywhere, and control characters at the start. Django drops the former, too, before it
    // looks at the rest: here they are in no address at all.
    let first_is_fit = |first: char| first.is_alphanumeric() || first.is_ascii_graphic();
    if url.chars().any(char::is_control) || !url.starts_with(first_is_fit) {
        return false;
    }
    let (scheme, rest) = split_scheme(url);
    let host = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        &rest[..end]
    });
    let host = host.filter(|host| !host.is_empty());
    // http:///evil.com: to Chrome, that is a host.
    if scheme.is_some() && host.is_none() {
        return false;
    }
    let scheme = scheme.or_else(|| host.map(|_| "http".to_owned()));
    let scheme_is_fit =
        scheme.is_none_or(|scheme| scheme == "https" || (scheme == "http" && !require_https));
    scheme_is_fit && host.is_none_or(|host| allowed_hosts.contains(&host))
}

/// As Python's `urlsplit`: what stands before the first colon, where it can be a scheme.
fn split_scheme(url: &str) -> (Option<String>, &str) {
    let is_scheme = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    match url.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme.to_ascii_lowercase()), rest),
        _ => (None, url),
    }
}

/// A redirect (302) to `location`, in which what a header cannot carry is quoted. Django's `HttpResponseRedirect`.
///
/// Where somebody else has chosen the location, ask [`url_has_allowed_host_and_scheme`] first.
pub fn redirect(location: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::FOUND;
    // It is nothing but visible ASCII by now, which every header can carry.
    if let Ok(location) = HeaderValue::try_from(iri_to_uri(location)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(url: &str) -> bool {
        url_has_allowed_host_and_scheme(url, &["testserver", "testserver2"], false)
    }

    #[test]
    fn addresses_of_other_sites_are_refused_however_they_are_written() {
        for bad in [
            "",
            "   ",
            "http://example.com",
            "http:///example.com",
            "https://example.com",
            "ftp://example.com",
            r"\\example.com",
            r"\\\example.com",
            r"/\\/example.com",
            r"\\\example.com",
            r"\\//example.com",
            "/\\/example.com",
            "\\/example.com",
            "/\\example.com",
            "http:///example.com",
            "http:/\\//example.com",
            "http:\\/example.com",
            "http:/\\example.com",
            "javascript:alert(\"XSS\")",
            "\njavascript:alert(x)",
            "java\nscript:alert(x)",
            "\x08//example.com",
            r"http://otherserver\@example.com",
            r"http:\\testserver\@example.com",
            r"http://testserver\me:pass@example.com",
            r"http://testserver\@example.com",
            r"http:\\testserver\confirm\me@example.com",
            "http:999999999",
            "ftp:9999999999",
            "\n",
            "http://[2001:cdba:0000:0000:0000:0000:3257:9652/",
            "http://2001:cdba:0000:0000:0000:0000:3257:9652]/",
            "//example.com",
            "///example.com",
            "https:evil",
            "/\t/evil.com",
            "\u{200b}//evil.com",
            "http://testserver@evil.com/",
            "///testserver",
            "HTTPS:/evil.com",
            "//testserver:80",
            "http://user@testserver/",
        ] {
            assert!(!allowed(bad), "{bad:?}");
        }
        assert!(!allowed(&format!("/{}", "a".repeat(3_000))));
    }

    #[test]
    fn paths_and_hosts_of_this_site_are_allowed() {
        for good in [
            "/view/?param=http://example.com",
            "/view/?param=https://example.com",
            "/view?param=ftp://example.com",
            "view/?param=//example.com",
            "https://testserver/",
            "HTTPS://testserver/",
            "//testserver/",
            "http://testserver/confirm?email=me@example.com",
            "/url%20with%20spaces/",
            "path/http:2222222222",
            "//testserver2",
            "?x=1",
            "é",
        ] {
            assert!(allowed(good), "{good:?}");
        }
        let secure = |url| url_has_allowed_host_and_scheme(url, &["example.com"], true);
        assert!(secure("https://example.com/p") && secure("/view/?param=http://example.com"));
        assert!(!secure("http://example.com/p") && !secure("//example.com/p"));
    }

    #[test]
    fn a_location_cannot_end_its_header() {
        let response = redirect("/a b\r\nSet-Cookie: x=é");
        assert_eq!(
            response.headers()["location"],
            "/a%20b%0D%0ASet-Cookie:%20x=%C3%A9"
        );
    }
}
