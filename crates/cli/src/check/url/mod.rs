//! `quintette check --url`: a page of a running service, seen as a browser sees it.

mod client;
mod diagnosis;
mod set_cookie;

use std::str::FromStr;

use clap::builder::styling::Style;
use http::Uri;
use http::header::LOCATION;
use quintette::settings::Settings;

use super::report::Report;
use crate::error::Error;
use crate::output::{FAINT, harmless};

use client::Answer;
use set_cookie::SetCookie;

/// The address of a page, over plain http.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUrl {
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// As it stands in the header `Host`.
    authority: String,
    path: String,
    path_and_query: String,
}

impl FromStr for PageUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || "write it as http://host:port/path".to_owned();
        let uri: Uri = text.parse().map_err(|_| advice())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err("https is not spoken here: give the http address of the program behind the proxy, \
                            such as http://127.0.0.1:8000/"
                    .to_owned());
            }
            _ => return Err(advice()),
        }
        let authority = uri.authority().ok_or_else(advice)?;
        if authority.as_str().contains('@') {
            return Err("leave user and password out".to_owned());
        }
        Ok(Self {
            host: authority
                .host()
                .trim_matches(['[', ']'])
                .to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            path: uri.path().to_owned(),
            path_and_query: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

/// Asks for the page twice, the second time with the cookie of the first, and looks at what came back.
pub(super) async fn check(page: &PageUrl, settings: Option<Settings>) -> Result<Report, Error> {
    let name = settings.map_or_else(
        || "sessionid".to_owned(),
        |settings| settings.session_cookie_name.as_str().to_owned(),
    );
    let mut report = Report::new();
    let first = client::get(page, None).await?;
    let cookie = SetCookie::find(&first.headers, &name);
    print(&mut report, "First", &first, cookie.as_ref())?;
    for finding in diagnosis::first(page, &name, &first) {
        report.add(finding);
    }
    // Even a cookie that browsers drop is given back: the store may have a problem of its own.
    if let Some(cookie) = cookie.filter(|cookie| !cookie.is_deletion()) {
        let second = client::get(page, Some(&cookie)).await?;
        print(
            &mut report,
            "Second",
            &second,
            SetCookie::find(&second.headers, &name).as_ref(),
        )?;
        for finding in diagnosis::second(&cookie, &second) {
            report.add(finding);
        }
    }
    Ok(report)
}

fn print(
    report: &mut Report,
    step: &str,
    answer: &Answer,
    cookie: Option<&SetCookie>,
) -> Result<(), Error> {
    let location = answer
        .headers
        .get(LOCATION)
        .filter(|_| answer.status.is_redirection());
    let detail = location.map_or_else(String::new, |location| {
        let location = String::from_utf8_lossy(location.as_bytes());
        format!("to {}, which is not followed", harmless(&location))
    });
    report.step(
        step,
        Style::new(),
        answer.status.to_string().trim_end(),
        &detail,
    )?;
    if let Some(cookie) = cookie {
        let cookie = format!(
            "Set-Cookie: {}=…{}",
            harmless(&cookie.name),
            harmless(&cookie.attributes)
        );
        report.step("", FAINT, &cookie, "")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_host_a_port_and_a_path() {
        let page: PageUrl = "http://Shop.example:8000/cart?n=1#top".parse().unwrap();
        assert_eq!((page.host.as_str(), page.port), ("shop.example", 8000));
        assert_eq!(
            (page.path.as_str(), page.path_and_query.as_str()),
            ("/cart", "/cart?n=1")
        );
        let page: PageUrl = "http://[::1]".parse().unwrap();
        assert_eq!(
            (page.host.as_str(), page.port, page.path.as_str()),
            ("::1", 80, "/")
        );
    }

    #[test]
    fn what_is_no_plain_http_is_told_what_would_be() {
        for text in [
            "",
            "shop",
            "127.0.0.1:8000/",
            "ftp://shop/",
            "http://",
            "http:///x",
            "http://a b/",
        ] {
            let error = text.parse::<PageUrl>().unwrap_err();
            assert!(error.contains("http://host:port/path"), "{text}: {error}");
        }
        assert!(
            "https://shop.example/"
                .parse::<PageUrl>()
                .unwrap_err()
                .contains("behind the proxy")
        );
        assert!("http://me:secret@shop/".parse::<PageUrl>().is_err());
    }
}
