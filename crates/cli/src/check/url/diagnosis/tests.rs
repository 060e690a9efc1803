use http::header::{HeaderName, SET_COOKIE};
use http::{HeaderValue, StatusCode};

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

fn answer(status: u16, headers: &[(HeaderName, String)]) -> Answer {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.collect(),
    }
}

/// A good answer, whose session cookie has these attributes.
fn setting(attributes: &str) -> Answer {
    let cookie = format!("sessionid={KEY}{attributes}");
    answer(
        200,
        &[
            (SET_COOKIE, cookie),
            (VARY, "Accept-Encoding, cookie".to_owned()),
        ],
    )
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter_map(|finding| finding.id).collect()
}

/// What is found where the page at `url` answers so.
fn found(url: &str, answer: &Answer) -> Vec<&'static str> {
    first(&url.parse().unwrap(), "sessionid", answer)
        .iter()
        .filter_map(|finding| finding.id)
        .collect()
}

fn sent() -> SetCookie {
    SetCookie::find(&setting("").headers, "sessionid").unwrap()
}

#[test]
fn a_cookie_as_django_sets_it_is_good() {
    let django = setting(
        "; expires=Fri, 04 Dec 2026 20:00:00 GMT; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax",
    );
    assert!(found("http://shop.example/cart", &django).is_empty());
    assert!(found("http://127.0.0.1:8000/", &django).is_empty());
}

#[test]
fn no_cookie_at_all_names_what_may_be_missing() {
    let findings = first(
        &"http://shop/".parse().unwrap(),
        "sessionid",
        &answer(200, &[]),
    );
    assert_eq!(ids(&findings), ["quintette.U001"]);
    assert!(
        findings[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("SessionLayer is missing")
    );
    let other = answer(200, &[(SET_COOKIE, "csrftoken=abc".to_owned())]);
    assert_eq!(found("http://shop/", &other), ["quintette.U001"]);
    let deleted = answer(200, &[(SET_COOKIE, "sessionid=\"\"; Max-Age=0".to_owned())]);
    assert_eq!(found("http://shop/", &deleted), ["quintette.U001"]);
}

#[test]
fn a_redirect_without_a_cookie_is_told_apart() {
    let findings = first(
        &"http://shop/".parse().unwrap(),
        "sessionid",
        &answer(302, &[]),
    );
    assert!(
        findings[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("Redirects are not followed")
    );
}

#[test]
fn a_server_error_comes_before_a_missing_cookie() {
    assert_eq!(found("http://shop/", &answer(503, &[])), ["quintette.U010"]);
}

#[test]
fn secure_over_http_is_dropped() {
    assert_eq!(
        found("http://shop.example/", &setting("; Secure")),
        ["quintette.U002"]
    );
    assert_eq!(
        found("http://[::1]:8000/", &setting("; secure")),
        ["quintette.U002"]
    );
}

#[test]
fn a_domain_must_be_the_host_or_a_parent_of_it() {
    let refused = |host: &str, domain: &str| {
        !found(
            &format!("http://{host}/"),
            &setting(&format!("; Domain={domain}")),
        )
        .is_empty()
    };
    for (host, domain) in [
        ("shop.example", "shop.example"),
        ("www.shop.example", ".Shop.Example"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("shop.example", ""),
    ] {
        assert!(!refused(host, domain), "{host} {domain}");
    }
    for (host, domain) in [
        ("shop.example", "www.shop.example"),
        ("myshop.example", "shop.example"),
        ("127.0.0.1", "shop.example"),
        ("127.0.0.1", "0.0.1"),
        ("shop.example", "example"),
    ] {
        assert!(refused(host, domain), "{host} {domain}");
    }
}

#[test]
fn a_path_must_cover_the_page() {
    let unsent = |page: &str, path: &str| {
        found(
            &format!("http://shop{page}"),
            &setting(&format!("; Path={path}")),
        ) == ["quintette.U004"]
    };
    assert!(!unsent("/cart/items", "/cart"));
    assert!(!unsent("/cart/items", "/cart/"));
    assert!(!unsent("/cart", "/cart"));
    assert!(!unsent("/cart", "relative"));
    assert!(unsent("/", "/cart"));
    assert!(unsent("/cartoon", "/cart"));
    assert!(unsent("/cart", "/cart/"));
}

#[test]
fn same_site_none_needs_secure() {
    assert_eq!(
        found("http://shop.example/", &setting("; SameSite=none")),
        ["quintette.U005"]
    );
    assert_eq!(
        found("http://shop.example/", &setting("; SameSite=None; Secure")),
        ["quintette.U002"]
    );
}

#[test]
fn name_and_value_may_have_4096_bytes() {
    let of_size = |bytes: usize| {
        let cookie = format!("sessionid={}", "a".repeat(bytes - "sessionid".len()));
        found(
            "http://shop/",
            &answer(200, &[(SET_COOKIE, cookie), (VARY, "Cookie".to_owned())]),
        )
    };
    assert!(of_size(4_096).is_empty());
    assert_eq!(of_size(4_097), ["quintette.U006"]);
}

#[test]
fn a_missing_vary_is_a_warning() {
    let findings = first(
        &"http://shop/".parse().unwrap(),
        "sessionid",
        &answer(200, &[(SET_COOKIE, format!("sessionid={KEY}"))]),
    );
    assert_eq!(ids(&findings), ["quintette.U007"]);
    assert_eq!(findings[0].level, crate::arguments::Level::Warning);
}

#[test]
fn a_second_answer_that_keeps_the_key_or_sets_none_is_good() {
    assert!(second(&sent(), &setting("")).is_empty());
    assert!(second(&sent(), &answer(200, &[])).is_empty());
}

#[test]
fn another_key_means_that_the_session_was_not_found() {
    let another = answer(200, &[(SET_COOKIE, format!("sessionid={OTHER_KEY}"))]);
    assert_eq!(ids(&second(&sent(), &another)), ["quintette.U008"]);
}

#[test]
fn a_signed_cookie_changes_with_each_answer() {
    let signed = |value: &str| answer(200, &[(SET_COOKIE, format!("sessionid={value}"))]);
    let first = SetCookie::find(&signed("eyJuIjoxfQ:1vLy:abc").headers, "sessionid").unwrap();
    assert!(second(&first, &signed("eyJuIjoyfQ:1vLz:def")).is_empty());
}

#[test]
fn a_second_answer_that_deletes_the_cookie_is_told() {
    let deleting = answer(
        200,
        &[(SET_COOKIE, "sessionid=\"\"; Max-Age=0; Path=/".to_owned())],
    );
    assert_eq!(ids(&second(&sent(), &deleting)), ["quintette.U009"]);
}
