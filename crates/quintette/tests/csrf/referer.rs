//! The header `Referer`, over https and without `Origin`.

use http::StatusCode;
use quintette::settings::Settings;

use crate::site::{Sent, TOKEN, post, site};

fn secure() -> Sent {
    post().form_token(TOKEN).over_https()
}

fn from(referer: &str) -> Sent {
    secure().header("referer", referer)
}

async fn status(sent: Sent, configure: impl FnOnce(&mut Settings)) -> StatusCode {
    sent.to(&site(configure)).await.status
}

#[tokio::test]
async fn a_page_of_the_site_gets_through() {
    for good in [
        "https://www.example.com/somepage",
        "https://www.example.com",
        "HTTPS://www.example.com/?a#b",
    ] {
        assert_eq!(status(from(good), |_| {}).await, StatusCode::OK, "{good}");
    }
    let port = from("https://www.example.com:4443/").host("www.example.com:4443");
    assert_eq!(status(port, |_| {}).await, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_with_their_address_in_the_reason() {
    for bad in [
        "https://www.evil.org/somepage",
        "https://www.example.com.evil.org/",
        "https://example.com/",
        "https://www.example.com:4443/",
        "https://user@www.example.com/",
        "https://www.example.com@evil.org/",
        "https://[::1]/",
    ] {
        let expected =
            format!("Referer checking failed - {bad} does not match any trusted origins.");
        assert_eq!(from(bad).reason(|_| {}).await, expected);
    }
}

#[tokio::test]
async fn there_is_one_and_it_is_an_https_address() {
    assert_eq!(
        secure().reason(|_| {}).await,
        "Referer checking failed - no Referer."
    );
    for insecure in [
        "http://www.example.com/",
        "http://http://www.example.com/",
        "ftp://www.example.com/",
    ] {
        assert_eq!(
            from(insecure).reason(|_| {}).await,
            "Referer checking failed - Referer is insecure while host is secure."
        );
    }
    for malformed in [
        "",
        "ØBöIß",
        "//example.com/",
        "https://",
        "https://[",
        "https:/www.example.com/",
        "www.example.com",
        "about:blank",
    ] {
        assert_eq!(
            from(malformed).reason(|_| {}).await,
            "Referer checking failed - Referer is malformed.",
            "{malformed}"
        );
    }
}

#[tokio::test]
async fn a_host_that_is_not_allowed_has_no_pages() {
    for host in ["@malformed", "www.evil.org"] {
        let sent = from("https://www.evil.org/somepage").host(host);
        assert_eq!(
            sent.reason(|_| {}).await,
            "Referer checking failed - https://www.evil.org/somepage does not match any trusted origins."
        );
    }
}

#[tokio::test]
async fn trusted_origins_get_through_even_to_a_malformed_host() {
    let exact =
        |s: &mut Settings| s.csrf_trusted_origins = vec!["https://dashboard.example.com".into()];
    let wild = |s: &mut Settings| s.csrf_trusted_origins = vec!["https://*.example.com".into()];
    let good = "https://dashboard.example.com/somepage";
    assert_eq!(status(from(good), exact).await, StatusCode::OK);
    assert_eq!(status(from(good), wild).await, StatusCode::OK);
    assert_eq!(
        status(from(good).host("@malformed"), exact).await,
        StatusCode::OK
    );
    let evil = from("https://badexample.com/");
    assert_eq!(status(evil, wild).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn hosts_that_share_the_cookie_get_through() {
    let shared = |s: &mut Settings| s.csrf_cookie_domain = Some(".example.com".into());
    for (referer, host, expected) in [
        (
            "https://foo.example.com/",
            "www.example.com",
            StatusCode::OK,
        ),
        ("https://example.com/", "www.example.com", StatusCode::OK),
        (
            "https://foo.example.com:4443/",
            "www.example.com:4443",
            StatusCode::OK,
        ),
        (
            "https://foo.example.com:4443/",
            "www.example.com",
            StatusCode::FORBIDDEN,
        ),
        (
            "https://foo.example.com/",
            "www.example.com:443",
            StatusCode::OK,
        ),
        (
            "https://foo.example.com/",
            "www.example.com:80",
            StatusCode::OK,
        ),
        (
            "https://foo.example.org/",
            "www.example.com",
            StatusCode::FORBIDDEN,
        ),
    ] {
        let sent = from(referer).host(host);
        assert_eq!(status(sent, shared).await, expected, "{referer} {host}");
    }
}

#[tokio::test]
async fn behind_a_proxy_the_forwarded_port_counts() {
    let sent = || {
        from("https://www.example.com/somepage")
            .host("10.0.0.2:8080")
            .header("x-forwarded-host", "www.example.com")
            .header("x-forwarded-port", "443")
    };
    let shared = |s: &mut Settings| s.csrf_cookie_domain = Some(".example.com".into());
    assert_eq!(status(sent(), shared).await, StatusCode::FORBIDDEN);
    let forwarded = |s: &mut Settings| {
        shared(s);
        s.use_x_forwarded_port = true;
    };
    assert_eq!(status(sent(), forwarded).await, StatusCode::OK);
    let forwarded_host = |s: &mut Settings| s.use_x_forwarded_host = true;
    assert_eq!(status(sent(), forwarded_host).await, StatusCode::OK);
}
