//! The header `Origin`.

use http::StatusCode;
use quintette::settings::Settings;

use crate::site::{Sent, TOKEN, post, site};

fn from(origin: &str) -> Sent {
    post().form_token(TOKEN).header("origin", origin)
}

fn trusting(origins: &[&str]) -> impl FnOnce(&mut Settings) {
    let origins = origins.iter().map(ToString::to_string).collect();
    move |settings| settings.csrf_trusted_origins = origins
}

#[tokio::test]
async fn the_site_itself_gets_through_by_its_scheme_and_host() {
    let site = site(|settings| settings.allowed_hosts = vec!["*".to_owned()]);
    assert_eq!(
        from("http://www.example.com").to(&site).await.status,
        StatusCode::OK
    );
    let secure = from("https://www.example.com").over_https();
    assert_eq!(secure.to(&site).await.status, StatusCode::OK);
    let port = from("http://localhost:8000").host("localhost:8000");
    assert_eq!(port.to(&site).await.status, StatusCode::OK);
}

#[tokio::test]
async fn everything_else_is_refused_with_the_origin_in_the_reason() {
    for origin in [
        "https://www.evil.org",
        "null",
        "https://www.example.com",
        "http://example.com",
        "http://www.example.com.evil.org",
        "http://www.example.com:8000",
        "http://www.example.com/",
        "http://WWW.example.com",
        "www.example.com",
        "https://[",
        "",
    ] {
        let expected =
            format!("Origin checking failed - {origin} does not match any trusted origins.");
        assert_eq!(from(origin).reason(|_| {}).await, expected);
    }
}

#[tokio::test]
async fn over_https_a_plain_origin_is_another_one() {
    let reason = from("http://www.example.com")
        .over_https()
        .reason(|_| {})
        .await;
    assert!(
        reason.starts_with("Origin checking failed - http://www"),
        "{reason}"
    );
}

#[tokio::test]
async fn trusted_origins_get_through() {
    let trusted = ["https://dashboard.example.com", "https://*.trusted.org"];
    let site = site(trusting(&trusted));
    for (origin, status) in [
        ("https://dashboard.example.com", StatusCode::OK),
        ("https://trusted.org", StatusCode::OK),
        ("https://a.trusted.org", StatusCode::OK),
        ("https://a.b.trusted.org", StatusCode::OK),
        ("https://a.trusted.org:8443", StatusCode::FORBIDDEN),
        ("http://a.trusted.org", StatusCode::FORBIDDEN),
        ("https://atrusted.org", StatusCode::FORBIDDEN),
        ("https://a.dashboard.example.com", StatusCode::FORBIDDEN),
        ("https://trusted.org.evil.org", StatusCode::FORBIDDEN),
        ("https://evil.org#.trusted.org", StatusCode::FORBIDDEN),
        ("https://evil.org/.trusted.org", StatusCode::FORBIDDEN),
        ("https://evil.org?.trusted.org", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(from(origin).to(&site).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn a_wildcard_of_another_scheme_is_no_match() {
    let trusted = [
        "http://no-match.com",
        "https://*.example.com",
        "http://*.no-match.com",
        "http://*.no-match-2.com",
    ];
    let reason = from("http://foo.example.com")
        .over_https()
        .reason(trusting(&trusted))
        .await;
    assert!(reason.starts_with("Origin checking failed"), "{reason}");
}

#[tokio::test]
async fn a_host_that_is_not_allowed_matches_no_origin_but_a_trusted_one() {
    let evil = from("http://evil.org").host("evil.org");
    assert!(
        evil.reason(|_| {})
            .await
            .starts_with("Origin checking failed")
    );
    let malformed = from("https://www.evil.org").host("@malformed").over_https();
    assert!(
        malformed
            .reason(|_| {})
            .await
            .starts_with("Origin checking failed")
    );
    let site = site(trusting(&["https://dashboard.example.com"]));
    let trusted = from("https://dashboard.example.com").host("@malformed");
    assert_eq!(trusted.to(&site).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_origin_is_not_enough_without_a_token() {
    let sent = post().header("origin", "http://www.example.com");
    assert_eq!(sent.reason(|_| {}).await, "CSRF token missing.");
}

#[tokio::test]
async fn an_origin_beside_another_is_neither() {
    let two = from("http://www.example.com").header("origin", "http://evil.org");
    let reason = two.reason(|_| {}).await;
    assert!(
        reason.contains("http://www.example.com,http://evil.org"),
        "{reason}"
    );
}

#[tokio::test]
async fn over_http_and_without_an_origin_the_token_decides() {
    let site = site(|_| {});
    let sent = post()
        .form_token(TOKEN)
        .header("referer", "http://evil.org/");
    assert_eq!(sent.to(&site).await.status, StatusCode::OK);
}
