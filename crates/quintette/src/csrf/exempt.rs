use crate::http::{RequestHead, decode};

/// The paths whose requests are not checked.
#[derive(Clone, Debug, Default)]
pub(super) struct ExemptPaths(Vec<String>);

impl ExemptPaths {
    pub(super) fn extend(&mut self, paths: impl IntoIterator<Item = impl Into<String>>) {
        self.0.extend(paths.into_iter().map(Into::into));
    }

    pub(super) fn contain(&self, head: RequestHead<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        plain(head.raw_path()).is_some_and(|path| {
            self.0.iter().any(|exempt| match exempt.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path == *exempt,
            })
        })
    }
}

/// The decoded path, where everybody understands it alike. What a router, a proxy or a file system may take for another
/// path (`/hooks/../admin`, `/hooks%2Fadmin`, `/hooks//admin`) is exempt from nothing: an attacker chooses the path.
fn plain(raw: &str) -> Option<String> {
    let path = decode(raw);
    let is_plain = path.starts_with('/')
        && !path.contains(['\\', '%', ';'])
        && !path.chars().any(char::is_control)
        && path.matches('/').count() == raw.matches('/').count()
        && path.matches('.').count() == raw.matches('.').count()
        && !path.contains("//")
        && !path
            .split('/')
            .any(|segment| segment == "." || segment == "..");
    is_plain.then_some(path)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn exempts(exempt: &[&str], path: &str) -> bool {
        let mut paths = ExemptPaths::default();
        paths.extend(exempt.iter().copied());
        let request = Request::post(path).body(()).unwrap();
        paths.contain(RequestHead::from(&request))
    }

    #[test]
    fn a_path_is_exempt_by_itself_or_below_a_prefix() {
        for (path, exempt) in [
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
            assert_eq!(exempts(&["/hook", "/api/*"], path), exempt, "{path}");
        }
        assert!(exempts(&["/café"], "/caf%c3%a9"));
        assert!(!exempts(&[], "/"));
    }

    #[test]
    fn what_may_be_another_path_is_not_exempt() {
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
        ] {
            assert!(!exempts(&["/api/*", "/api/../admin"], path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_exempt_begins_with_the_prefix_as_it_came(path in "/[a%2eEfF5cC./]{0,12}") {
            prop_assume!(path.parse::<http::Uri>().is_ok());
            if exempts(&["/a/*"], &path) {
                let segments: Vec<&str> = path.split('/').collect();
                prop_assert_eq!(decode(segments[1]), "a");
                prop_assert!(!path.contains("..") && segments.len() > 2);
            }
        }
    }
}
