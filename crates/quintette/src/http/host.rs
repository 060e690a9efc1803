use std::borrow::Cow;

use http::header::HOST;
use http::uri::Scheme;
use quintette_core::settings::Settings;

use super::RequestHead;

/// The hosts that are allowed with `DEBUG` where `ALLOWED_HOSTS` is empty.
const LOCAL_HOSTS: [&str; 3] = [".localhost", "127.0.0.1", "[::1]"];

/// The request came over https, says a server that ends TLS itself: put it into the request's extensions there.
///
/// HTTP/1 does not tell, and without it such a site takes itself for a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverHttps;

/// The request names a host that `ALLOWED_HOSTS` does not. Django's `DisallowedHost`, which it answers with 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request is for the host {host:?}, which ALLOWED_HOSTS does not name: add it there, if it is this site's"
)]
pub struct DisallowedHost {
    host: String,
}

impl RequestHead<'_> {
    /// Whether the request came over https. Django's `request.is_secure()`.
    ///
    /// Behind a proxy only the header that `SECURE_PROXY_SSL_HEADER` names tells. A server that ends TLS itself says it with
    /// [`OverHttps`].
    pub fn is_secure(&self, settings: &Settings) -> bool {
        if let Some((header, secure)) = &settings.secure_proxy_ssl_header
            && let Some(value) = self.headers.get(header)
        {
            let first = value.as_bytes().split(|byte| *byte == b',').next();
            return first.unwrap_or_default().trim_ascii() == secure.as_bytes();
        }
        self.uri.scheme() == Some(&Scheme::HTTPS) || self.extensions.get::<OverHttps>().is_some()
    }

    /// The host that the request is for, with its port where one is named. Django's `request.get_host()`.
    ///
    /// # Errors
    ///
    /// Where it is none of `ALLOWED_HOSTS`, or no host at all.
    pub fn host(&self, settings: &Settings) -> Result<Cow<'_, str>, DisallowedHost> {
        let host = self.raw_host(settings);
        let allowed = |domain: &str| {
            if settings.debug && settings.allowed_hosts.is_empty() {
                return LOCAL_HOSTS
                    .iter()
                    .any(|pattern| is_same_domain(domain, pattern));
            }
            let mut patterns = settings.allowed_hosts.iter();
            patterns.any(|pattern| pattern == "*" || is_same_domain(domain, pattern))
        };
        match split_domain_port(&host) {
            Some((domain, _)) if allowed(&domain) => Ok(host),
            _ => Err(DisallowedHost {
                host: host.chars().take(255).collect(),
            }),
        }
    }

    /// The request's whole address. Django's `request.build_absolute_uri()`.
    ///
    /// # Errors
    ///
    /// As [`host`](Self::host).
    pub fn absolute_uri(&self, settings: &Settings) -> Result<String, DisallowedHost> {
        let scheme = if self.is_secure(settings) {
            "https"
        } else {
            "http"
        };
        let host = self.host(settings)?;
        Ok(format!("{scheme}://{host}{}", self.full_path()))
    }

    /// The port that a proxy names, or that of the scheme. Django's `request.get_port()`, which also knows that of the socket.
    pub(crate) fn port(&self, settings: &Settings) -> String {
        let forwarded = settings
            .use_x_forwarded_port
            .then(|| self.header("x-forwarded-port"));
        if let Some(port) = forwarded.flatten() {
            return port.to_owned();
        }
        let host = self.raw_host(settings);
        match split_domain_port(&host) {
            Some((_, port)) if !port.is_empty() => port,
            _ if self.is_secure(settings) => "443".to_owned(),
            _ => "80".to_owned(),
        }
    }

    fn raw_host(&self, settings: &Settings) -> Cow<'_, str> {
        let forwarded = settings
            .use_x_forwarded_host
            .then(|| self.meta("x-forwarded-host"));
        match forwarded.flatten().or_else(|| self.meta(HOST)) {
            // Of two, a proxy may have looked at the other one: joined by a comma, they are no host.
            Some(header) => Cow::Owned(header),
            // HTTP/2 has it there.
            None => self.uri.authority().map_or(Cow::Borrowed(""), |authority| {
                Cow::Borrowed(authority.as_str())
            }),
        }
    }
}

/// A host's name in lower case, and its port, which may be empty; `None` where the text is no host.
pub(crate) fn split_domain_port(host: &str) -> Option<(String, String)> {
    let host = host.to_ascii_lowercase();
    let (domain, rest) = if let Some(address) = host.strip_prefix('[') {
        let (address, rest) = address.split_once(']')?;
        let legal = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        (address.contains(':') && address.bytes().all(legal)).then_some(())?;
        host.split_at(host.len() - rest.len())
    } else {
        let end = host.find(':').unwrap_or(host.len());
        host.split_at(end)
    };
    if !domain.starts_with('[') {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        (!domain.is_empty() && domain.bytes().all(legal)).then_some(())?;
    }
    let port = match rest.strip_prefix(':') {
        None => rest.is_empty().then_some("")?,
        Some(port) => Some(port)
            .filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))?,
    };
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    Some((domain.to_owned(), port.to_owned()))
}

/// Whether a host, in lower case, is the one that the pattern names, or with a leading point one below it.
///
/// ```
/// use quintette::http::is_same_domain;
///
/// assert!(is_same_domain("shop.example.com", ".example.com"));
/// assert!(!is_same_domain("badexample.com", ".example.com"));
/// ```
pub fn is_same_domain(host: &str, pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix('.') {
        Some(domain) => host == domain || host.ends_with(&pattern),
        None => !pattern.is_empty() && host == pattern,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn host(header: &str, allowed: &[&str]) -> Result<String, DisallowedHost> {
        let mut settings = Settings::new("a secret");
        settings.allowed_hosts = allowed.iter().map(ToString::to_string).collect();
        let request = Request::builder().header("host", header).body(()).unwrap();
        RequestHead::from(&request)
            .host(&settings)
            .map(Cow::into_owned)
    }

    #[test]
    fn a_host_is_one_of_the_allowed_ones() {
        for good in [
            "example.com",
            "Example.COM:8000",
            "example.com.",
            "shop.example.com",
        ] {
            assert_eq!(host(good, &[".example.com"]).as_deref(), Ok(good));
        }
        assert!(host("[2001:db8::1]:80", &["[2001:db8::1]"]).is_ok());
        for bad in ["evil.com", "example.com.evil.com", "badexample.com", ""] {
            assert!(host(bad, &[".example.com"]).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_host_is_not_even_any() {
        for bad in [
            "a@b", "a/b", "a b", "a:b", "a:", "[::1", "[]", "[::1]x", "é", "a:1:2", "\"", "a?b",
        ] {
            assert!(host(bad, &["*"]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_that_names_two_hosts_is_for_none() {
        let mut settings = Settings::new("a secret");
        settings.allowed_hosts = vec!["*".to_owned()];
        settings.use_x_forwarded_host = true;
        for header in ["host", "x-forwarded-host"] {
            let request = Request::builder()
                .header(header, "shop.example.com")
                .header(header, "evil.com")
                .body(())
                .unwrap();
            assert!(RequestHead::from(&request).host(&settings).is_err());
        }
    }

    #[test]
    fn while_debugging_the_machine_itself_is_allowed() {
        let mut settings = Settings::new("a secret");
        settings.debug = true;
        let request = Request::builder()
            .header("host", "localhost:8000")
            .body(())
            .unwrap();
        assert!(RequestHead::from(&request).host(&settings).is_ok());
        settings.debug = false;
        assert!(RequestHead::from(&request).host(&settings).is_err());
    }

    #[test]
    fn a_server_that_ends_tls_says_so() {
        let mut settings = Settings::new("a secret");
        let mut request = Request::builder()
            .header("x-forwarded-proto", "http")
            .extension(OverHttps)
            .body(())
            .unwrap();
        assert!(RequestHead::from(&request).is_secure(&settings));
        settings.secure_proxy_ssl_header = Some(("x-forwarded-proto".into(), "https".into()));
        assert!(!RequestHead::from(&request).is_secure(&settings));
        request.headers_mut().clear();
        assert!(RequestHead::from(&request).is_secure(&settings));
    }

    #[test]
    fn a_proxy_says_what_came_over_https() {
        let mut settings = Settings::new("a secret");
        let request = Request::builder()
            .header("x-forwarded-proto", " https , http")
            .body(())
            .unwrap();
        let head = RequestHead::from(&request);
        assert!(!head.is_secure(&settings), "nobody asked the proxy");
        settings.secure_proxy_ssl_header = Some(("x-forwarded-proto".into(), "https".into()));
        assert!(head.is_secure(&settings));
    }
}
