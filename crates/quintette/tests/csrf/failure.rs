//! What a refused visitor is answered.

use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use quintette::csrf::{CsrfLayer, CsrfReason};

use crate::site::{debugging, post, request, routes, settings, site};

#[tokio::test]
async fn a_visitor_reads_a_page_without_the_reason() {
    let answer = post().to(&site(|_| {})).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(answer.body.contains("Forbidden"), "{}", answer.body);
    assert!(
        !answer.body.contains("CSRF token missing"),
        "{}",
        answer.body
    );
    assert_eq!(answer.vary(), [""; 0]);
}

#[tokio::test]
async fn a_visitor_without_cookie_or_referer_is_told_what_to_allow() {
    let answer = request(http::Method::POST, "/").to(&site(|_| {})).await;
    assert!(answer.body.contains("cookies"), "{}", answer.body);
    let answer = post().over_https().to(&site(|_| {})).await;
    assert!(answer.body.contains("Referer"), "{}", answer.body);
}

#[tokio::test]
async fn what_the_visitor_sent_is_text_on_the_page_and_nothing_else() {
    let site = debugging(|_| {});
    let attack = "\"'><script>alert(1)</script>&amp;";
    let answer = post().header("origin", attack).to(&site).await;
    assert!(!answer.body.contains("<script"), "{}", answer.body);
    assert!(
        answer
            .body
            .contains("&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"),
        "{}",
        answer.body
    );
    let long = format!("https://evil.org/{}", "x".repeat(50_000));
    let answer = post().header("origin", &long).to(&site).await;
    assert!(answer.body.len() < 5_000, "{}", answer.body.len());
}

#[tokio::test]
async fn a_site_may_answer_with_a_page_of_its_own() {
    let csrf = CsrfLayer::new(settings(|_| {})).with_failure_response(|failure| {
        assert_eq!(*failure.reason(), CsrfReason::NoToken);
        assert!(!failure.debug());
        let text = format!("{} {}", failure.request().path(), failure.reason());
        let mut response = Response::new(text);
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let answer = post().to(&routes().layer(csrf)).await;
    assert_eq!(answer.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(answer.body, "/form CSRF token missing.");
}
