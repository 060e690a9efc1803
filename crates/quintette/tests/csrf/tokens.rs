//! Secrets and tokens: who gets through, and why others do not.

use http::{Method, StatusCode};

use crate::log::Log;
use crate::site::{MASKED, SECRET, Sent, TOKEN, get_request, post, request, site};

#[tokio::test]
async fn a_token_in_the_form_or_in_the_header_gets_through() {
    let site = site(|_| {});
    // Cookies and tokens, each masked or not.
    for cookie in [SECRET, MASKED] {
        for token in [SECRET, MASKED, TOKEN] {
            let sent = || request(Method::POST, "/").cookie(cookie);
            let answer = sent().form_token(token).to(&site).await;
            assert_eq!(answer.status, StatusCode::OK, "{cookie} {token}");
            let answer = sent().token(token).to(&site).await;
            assert_eq!(answer.status, StatusCode::OK, "{cookie} {token}");
        }
    }
}

#[tokio::test]
async fn what_changes_nothing_needs_no_token() {
    let site = site(|_| {});
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        let evil = request(method.clone(), "/").header("origin", "https://evil.org");
        assert_eq!(evil.to(&site).await.status, StatusCode::OK, "{method}");
    }
}

#[tokio::test]
async fn every_other_method_needs_one_and_may_have_it_in_the_header() {
    let site = site(|_| {});
    let methods = [
        "POST", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND", "get",
    ];
    for method in methods.map(|name| Method::from_bytes(name.as_bytes()).unwrap()) {
        let sent = || request(method.clone(), "/form");
        assert_eq!(
            sent().to(&site).await.status,
            StatusCode::FORBIDDEN,
            "{method}"
        );
        let answer = sent().cookie(SECRET).token(TOKEN).to(&site).await;
        assert_eq!(answer.status, StatusCode::OK, "{method}");
    }
}

#[tokio::test]
async fn only_a_post_has_a_form() {
    let sent = request(Method::PUT, "/").cookie(SECRET).form_token(TOKEN);
    assert_eq!(sent.reason(|_| {}).await, "CSRF token missing.");
}

#[tokio::test]
async fn a_visitor_without_a_secret_is_refused_whatever_the_token() {
    let nothing = "CSRF cookie not set.";
    let sent = || request(Method::POST, "/").form_token(TOKEN).token(TOKEN);
    assert_eq!(sent().reason(|_| {}).await, nothing);
    for (cookie, reason) in [
        ("*".repeat(64), "CSRF cookie has invalid characters."),
        ("a".repeat(16), "CSRF cookie has incorrect length."),
        (String::new(), "CSRF cookie has incorrect length."),
    ] {
        assert_eq!(sent().cookie(&cookie).reason(|_| {}).await, reason);
    }
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_refused_with_djangos_reason() {
    type Add = fn(Sent, &str) -> Sent;
    let form: Add = |sent, token| sent.form_token(token);
    let header: Add = |sent, token| sent.token(token);
    let (short, odd, other) = ("a".repeat(16), "*".repeat(64), "a".repeat(64));
    for (add, token, reason) in [
        (form, &*short, "CSRF token from POST has incorrect length."),
        (form, &odd, "CSRF token from POST has invalid characters."),
        (form, &other, "CSRF token from POST incorrect."),
        (
            header,
            &short,
            "CSRF token from the 'X-Csrftoken' HTTP header has incorrect length.",
        ),
        (
            header,
            &odd,
            "CSRF token from the 'X-Csrftoken' HTTP header has invalid characters.",
        ),
        (
            header,
            &other,
            "CSRF token from the 'X-Csrftoken' HTTP header incorrect.",
        ),
        (
            header,
            "",
            "CSRF token from the 'X-Csrftoken' HTTP header has incorrect length.",
        ),
        (form, "", "CSRF token missing."),
    ] {
        assert_eq!(add(post(), token).reason(|_| {}).await, reason);
    }
    assert_eq!(post().reason(|_| {}).await, "CSRF token missing.");
}

#[tokio::test]
async fn the_form_counts_before_the_header() {
    let wrong = "a".repeat(64);
    let sent = post().form_token(&wrong).token(TOKEN);
    assert_eq!(sent.reason(|_| {}).await, "CSRF token from POST incorrect.");
    let site = site(|_| {});
    let sent = post().form_token(TOKEN).token(&wrong);
    assert_eq!(sent.to(&site).await.status, StatusCode::OK);
    let sent = post().form_token("").token(TOKEN);
    assert_eq!(sent.to(&site).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_header_has_the_name_of_the_setting() {
    fn customized(settings: &mut quintette::settings::Settings) {
        settings.csrf_header_name = "x-csrftoken-customized".to_owned();
    }
    let site = site(customized);
    let sent = post().header("x-csrftoken-customized", TOKEN);
    assert_eq!(sent.to(&site).await.status, StatusCode::OK);
    assert_eq!(
        post().token(TOKEN).to(&site).await.status,
        StatusCode::FORBIDDEN
    );
    let sent = post().header("x-csrftoken-customized", &"a".repeat(16));
    assert_eq!(
        sent.reason(customized).await,
        "CSRF token from the 'X-Csrftoken-Customized' HTTP header has incorrect length."
    );
}

#[tokio::test]
async fn the_page_gives_a_token_that_gets_through_until_the_secret_is_rotated() {
    let site = site(|_| {});
    let page = get_request("/token").to(&site).await;
    let old = page.cookie().unwrap();
    let send = async |cookie: &str| {
        let sent = request(Method::POST, "/").cookie(cookie);
        sent.form_token(&page.body).to(&site).await.status
    };
    assert_eq!(send(old).await, StatusCode::OK);
    let login = get_request("/rotate").cookie(old).to(&site).await;
    assert_eq!(send(login.cookie().unwrap()).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_refusal_is_one_line_of_the_log_and_cannot_forge_more() {
    let log = Log::capture();
    let site = site(|_| {});
    let sent = request(Method::POST, "/a%0aERROR%20b").header("origin", "x\u{9b}");
    sent.to(&site).await;
    assert_eq!(
        log.lines(),
        [
            "WARN Forbidden (Origin checking failed - x\u{c2}\\u{9b} does not match any trusted origins.): \
             /a\\nERROR b"
        ]
    );
    post().form_token(TOKEN).to(&site).await;
    get_request("/token").to(&site).await;
    assert_eq!(log.lines().len(), 1, "nothing else is worth a line");
}
