use super::RequestHead;
use super::path::{decode, unhex};

/// Paths for which something is let through that is not for others: whole ones, and beginnings that end in `*`.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathPatterns(Vec<String>);

impl PathPatterns {
    pub(crate) fn extend(&mut self, patterns: impl IntoIterator<Item = impl Into<String>>) {
        self.0.extend(patterns.into_iter().map(Into::into));
    }

    /// Whether the path of the request is one of these, decoded. What may also be another path is none.
    pub(crate) fn contain(&self, head: RequestHead<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        plain(head.raw_path()).is_some_and(|path| {
            self.0
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(prefix) => path.starts_with(prefix),
                    None => path == *pattern,
                })
        })
    }
}

/// The decoded path, where everybody understands it alike. What a router, a proxy or a file system may take for another
/// path (`/hooks/../admin`, `/hooks%2Fadmin`, `/hooks//admin`, `/h%6Foks`) is not: an attacker chooses the path.
fn plain(raw: &str) -> Option<String> {
    let path = decode(raw);
    let is_plain = path.starts_with('/')
        && !hides_plain_text(raw)
        && !path.contains(['\\', '%', ';'])
        && !path.chars().any(char::is_control)
        && !path.contains("//")
        && !path
            .split('/')
            .any(|segment| segment == "." || segment == "..");
    is_plain.then_some(path)
}

/// Whether a slash is quoted, or a character that never needs it (RFC 3986, section 2.3): a router that compares paths as
/// they come takes `/h%6Foks` for another one than `/hooks`.
fn hides_plain_text(raw: &str) -> bool {
    let mut quoted = raw
        .split('%')
        .skip(1)
        .filter_map(|after| unhex(after.as_bytes()));
    quoted.any(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn contain(patterns: &[&str], path: &str) -> bool {
        let mut paths = PathPatterns::default();
        paths.extend(patterns.iter().copied());
        let request = Request::post(path).body(()).unwrap();
        paths.contain(RequestHead::from(&request))
    }

    #[test]
    fn a_path_is_meant_by_itself_or_below_a_prefix() {
        for (path, meant) in [
            ("/hook", true),
            ("/hook?x=y", true),
            ("/hook/", false),
            ("/Hook", false),
            ("/api/", true),
            ("/api/a/b", true),
            ("/api/caf%C3%A9", true),
            ("/api/a.b", true),
            ("/api", false),
            ("/apix", false),
            ("/", false),
        ] {
            assert_eq!(contain(&["/hook", "/api/*"], path), meant, "{path}");
        }
        assert!(contain(&["/café"], "/caf%c3%a9"));
        assert!(!contain(&[], "/"));
    }

    #[test]
    fn what_may_be_another_path_is_not_meant() {
        for path in [
            "/api/../admin",
            "/api/%2e%2e/admin",
            "/api/.%2E/admin",
            "/api/./x",
            "/api%2Fadmin",
            "/api/x%2f..%2fadmin",
            "/api//admin",
            "//api/x",
            "/api/%5c..%5cadmin",
            "/api/x%00",
            "/api/%252e%252e/admin",
            "/api/..;/admin",
            "/api/%FF",
            "/api/%",
            "/%61pi/x",
            "/hoo%6B",
            "/%68ook",
            "/hook%2Fx",
        ] {
            assert!(
                !contain(&["/hook", "/api/*", "/api/../admin"], path),
                "{path}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_meant_begins_with_the_prefix_as_it_came(path in "/[a%2eEfF5cC./]{0,12}") {
            prop_assume!(path.parse::<http::Uri>().is_ok());
            if contain(&["/a/*"], &path) {
                let segments: Vec<&str> = path.split('/').collect();
                prop_assert_eq!(segments[1], "a");
                prop_assert!(!path.contains("..") && segments.len() > 2);
            }
        }
    }
}
