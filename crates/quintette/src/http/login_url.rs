use quintette_core::settings::Settings;

use super::RequestHead;
use super::path::quote;

impl RequestHead<'_> {
    /// Where a visitor goes who has to log in first: `login_url` with this request as `next`. What Django's `login_required`
    /// redirects to.
    ///
    /// The request is named by its path where the login page is on the same site, otherwise by its whole address.
    pub fn login_url(&self, login_url: &str, settings: &Settings) -> String {
        let full_path = self.full_path();
        let scheme = if self.is_secure(settings) {
            "https"
        } else {
            "http"
        };
        let (login_scheme, login_host) = scheme_and_host(login_url);
        let host = self.host(settings).ok();
        let is_here = login_scheme.is_none_or(|other| other.eq_ignore_ascii_case(scheme))
            && login_host.is_none_or(|other| Some(other) == host.as_deref());
        match host {
            Some(host) if !is_here => {
                login_url_with_next(login_url, &format!("{scheme}://{host}{full_path}"))
            }
            _ => login_url_with_next(login_url, &full_path),
        }
    }
}

fn scheme_and_host(url: &str) -> (Option<&str>, Option<&str>) {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => match url.strip_prefix("//") {
            Some(rest) => (None, rest),
            None => return (None, None),
        },
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (scheme, Some(&rest[..end]))
}

/// `login_url` with `next` in its query string, in the place of one that is there: Django's `redirect_to_login`.
pub(crate) fn login_url_with_next(login_url: &str, next: &str) -> String {
    let (url, fragment) = match login_url.split_once('#') {
        Some((url, fragment)) => (url, Some(fragment)),
        None => (login_url, None),
    };
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let next = format!("next={}", quote(next, b"/"));
    let mut pairs: Vec<&str> = Vec::new();
    let mut found = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let is_next = pair == "next" || pair.starts_with("next=");
        if !is_next {
            pairs.push(pair);
        } else if !std::mem::replace(&mut found, true) {
            pairs.push(&next);
        }
    }
    if !found {
        pairs.push(&next);
    }
    let fragment = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
    format!("{path}?{}{fragment}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn what_was_asked_for_comes_back_quoted_as_next() {
        for (login_url, next, expected) in [
            (
                "/in/",
                "/a b/?x=1&y=/é",
                "/in/?next=/a%20b/%3Fx%3D1%26y%3D/%C3%A9",
            ),
            ("/in?a=1&next=/old#top", "/new", "/in?a=1&next=/new#top"),
            ("/in?a=1", "/new", "/in?a=1&next=/new"),
            ("/in", "\r\nX: y", "/in?next=%0D%0AX%3A%20y"),
        ] {
            assert_eq!(login_url_with_next(login_url, next), expected);
        }
    }

    #[test]
    fn a_login_page_elsewhere_is_told_the_whole_address() {
        let mut settings = Settings::new("a secret");
        settings.allowed_hosts = vec!["*".into()];
        let request = Request::get("/x")
            .header("host", "shop.com")
            .body(())
            .unwrap();
        let head = RequestHead::from(&request);
        let url = |login_url: &str| head.login_url(login_url, &settings);
        assert_eq!(url("http://shop.com/in"), "http://shop.com/in?next=/x");
        assert_eq!(url("//id.com/in"), "//id.com/in?next=http%3A//shop.com/x");
        assert_eq!(
            url("https://shop.com/in"),
            "https://shop.com/in?next=http%3A//shop.com/x"
        );
    }
}
