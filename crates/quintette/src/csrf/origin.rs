//! Where a request came from: the headers `Origin` and `Referer`.

use std::net::Ipv6Addr;

use http::header::{ORIGIN, REFERER};
use quintette_core::settings::Settings;

use super::failure::CsrfReason;
use crate::http::{RequestHead, is_same_domain};

/// No header that a browser sends is longer, and a reason is for people and logs.
const LONGEST_QUOTED: usize = 2_048;

/// `CSRF_TRUSTED_ORIGINS`, taken apart.
#[derive(Debug)]
pub(super) struct TrustedOrigins {
    exact: Vec<String>,
    /// Schemes, and domains with a point in front.
    subdomains: Vec<(String, String)>,
    /// The hosts of both, for a `Referer`, which is https anyway.
    hosts: Vec<String>,
}

impl TrustedOrigins {
    pub(super) fn new(origins: &[String]) -> Self {
        let split = |origin: &String| {
            let url = SplitUrl::parse(origin)?;
            Some((url.scheme, url.netloc.trim_start_matches('*').to_owned()))
        };
        let (wildcards, exact): (Vec<_>, Vec<_>) = origins
            .iter()
            .cloned()
            .partition(|origin| origin.contains('*'));
        Self {
            exact,
            subdomains: wildcards.iter().filter_map(split).collect(),
            hosts: origins
                .iter()
                .filter_map(split)
                .map(|(_, host)| host)
                .collect(),
        }
    }

    /// Refuses what comes from elsewhere. Only where a browser sent no `Origin`, and over https, its `Referer` has to do.
    pub(super) fn check(
        &self,
        head: RequestHead<'_>,
        settings: &Settings,
    ) -> Result<(), CsrfReason> {
        if let Some(origin) = head.meta(ORIGIN) {
            return if self.are_met_by(&origin, head, settings) {
                Ok(())
            } else {
                Err(CsrfReason::BadOrigin(quoted(&origin)))
            };
        }
        // Whoever sits between the browser and this site over http can set its cookies, also those of the https site.
        if head.is_secure(settings) {
            return self.check_referer(head, settings);
        }
        Ok(())
    }

    fn are_met_by(&self, origin: &str, head: RequestHead<'_>, settings: &Settings) -> bool {
        let scheme = if head.is_secure(settings) {
            "https"
        } else {
            "http"
        };
        let is_here = head.host(settings).is_ok_and(|host| {
            origin
                .strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix("://"))
                == Some(&*host)
        });
        if is_here || self.exact.iter().any(|trusted| trusted == origin) {
            return true;
        }
        SplitUrl::parse(origin).is_some_and(|url| {
            self.subdomains.iter().any(|(scheme, domain)| {
                *scheme == url.scheme && is_same_domain(&url.netloc, domain)
            })
        })
    }

    fn check_referer(&self, head: RequestHead<'_>, settings: &Settings) -> Result<(), CsrfReason> {
        let referer = head.meta(REFERER).ok_or(CsrfReason::NoReferer)?;
        let referer = SplitUrl::parse(&referer)
            .filter(|url| !url.scheme.is_empty() && !url.netloc.is_empty())
            .ok_or(CsrfReason::MalformedReferer)?;
        if referer.scheme != "https" {
            return Err(CsrfReason::InsecureReferer);
        }
        if self
            .hosts
            .iter()
            .any(|host| is_same_domain(&referer.netloc, host))
        {
            return Ok(());
        }
        match own_host(head, settings) {
            Some(host) if is_same_domain(&referer.netloc, &host) => Ok(()),
            _ => Err(CsrfReason::BadReferer(quoted(&referer.text()))),
        }
    }
}

/// The hosts whose pages may send forms here: those that share the cookie, else the one that was asked.
fn own_host(head: RequestHead<'_>, settings: &Settings) -> Option<String> {
    let cookie_domain = if settings.csrf_use_sessions {
        &settings.session_cookie_domain
    } else {
        &settings.csrf_cookie_domain
    };
    let Some(domain) = cookie_domain else {
        return head.host(settings).ok().map(Into::into);
    };
    let port = head.port(settings);
    Some(match port.as_str() {
        "443" | "80" => domain.clone(),
        port => format!("{domain}:{port}"),
    })
}

fn quoted(header: &str) -> String {
    header.chars().take(LONGEST_QUOTED).collect()
}

/// An address as Python's `urlsplit` takes it apart: it is lenient, and a browser's headers are well-formed.
#[derive(Debug, PartialEq, Eq)]
struct SplitUrl {
    scheme: String,
    netloc: String,
    rest: String,
}

impl SplitUrl {
    /// `None` where Python raises a `ValueError`.
    fn parse(url: &str) -> Option<Self> {
        let url = url.trim_start_matches(|c: char| c <= ' ');
        let url: String = url
            .chars()
            .filter(|c| !matches!(c, '\t' | '\r' | '\n'))
            .collect();
        let (scheme, rest) = split_scheme(&url);
        let Some(rest) = rest.strip_prefix("//") else {
            return Some(Self {
                scheme,
                netloc: String::new(),
                rest: rest.to_owned(),
            });
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (netloc, rest) = rest.split_at(end);
        brackets_are_fit(netloc).then(|| Self {
            scheme,
            netloc: netloc.to_owned(),
            rest: rest.to_owned(),
        })
    }

    /// The address again, without an empty query or fragment. Python's `geturl`.
    fn text(&self) -> String {
        let (rest, fragment) = self.rest.split_once('#').unwrap_or((&self.rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut text = format!("{}://{}{path}", self.scheme, self.netloc);
        for (mark, part) in [('?', query), ('#', fragment)] {
            if !part.is_empty() {
                text.push(mark);
                text.push_str(part);
            }
        }
        text
    }
}

fn split_scheme(url: &str) -> (String, &str) {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    match url.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(legal) =>
        {
            (scheme.to_ascii_lowercase(), rest)
        }
        _ => (String::new(), url),
    }
}

fn brackets_are_fit(netloc: &str) -> bool {
    if !netloc.contains(['[', ']']) {
        return true;
    }
    let host = netloc.rsplit('@').next().unwrap_or(netloc);
    let Some((address, port)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) else {
        return false;
    };
    let address = address.split('%').next().unwrap_or(address);
    address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(url: &str) -> Option<(String, String, String)> {
        SplitUrl::parse(url).map(|url| (url.scheme.clone(), url.netloc.clone(), url.text()))
    }

    /// What Python 3.11's `urlsplit` and `geturl` give.
    #[test]
    fn addresses_are_split_as_python_does() {
        for (url, scheme, netloc, text) in [
            ("https://a.b/c?d#e", "https", "a.b", "https://a.b/c?d#e"),
            ("HTTPS://A.b?#", "https", "A.b", "https://A.b"),
            (
                " \u{1}https://a.b:4443/",
                "https",
                "a.b:4443",
                "https://a.b:4443/",
            ),
            (
                "https://u:p@a.b/?x=#",
                "https",
                "u:p@a.b",
                "https://u:p@a.b/?x=",
            ),
            ("ht\ttps://a", "https", "a", "https://a"),
            (
                "https://[::1]:80/",
                "https",
                "[::1]:80",
                "https://[::1]:80/",
            ),
            (
                "http://http://www.example.com/",
                "http",
                "http:",
                "http://http://www.example.com/",
            ),
            ("https://", "https", "", "https://"),
        ] {
            let expected = (scheme.to_owned(), netloc.to_owned(), text.to_owned());
            assert_eq!(split(url), Some(expected), "{url}");
        }
        for (url, scheme, netloc) in [
            ("//example.com/", "", "example.com"),
            ("example.com", "", ""),
            ("", "", ""),
            ("1https://a", "", ""),
            ("null", "", ""),
        ] {
            let (found_scheme, found_netloc, _) = split(url).unwrap();
            assert_eq!((&*found_scheme, &*found_netloc), (scheme, netloc), "{url}");
        }
        for bad in ["https://[", "https://]", "https://[::1", "https://[x]"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn trusted_origins_are_exact_or_all_below_a_domain() {
        let origins = [
            "https://*.example.com",
            "http://plain.org",
            "http://*.no.org",
        ];
        let trusted = TrustedOrigins::new(&origins.map(str::to_owned));
        assert_eq!(trusted.exact, ["http://plain.org"]);
        assert_eq!(
            trusted.subdomains,
            [
                ("https".to_owned(), ".example.com".to_owned()),
                ("http".to_owned(), ".no.org".to_owned())
            ]
        );
        assert_eq!(trusted.hosts, [".example.com", "plain.org", ".no.org"]);
    }
}
