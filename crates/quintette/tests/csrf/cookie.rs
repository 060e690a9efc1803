//! When a response sets the cookie, and how.

use chrono::TimeDelta;
use http::{Method, StatusCode};
use quintette::settings::SameSite;

use crate::site::{MASKED, SECRET, TOKEN, get_request, post, request, site, unmask};

#[tokio::test]
async fn a_page_that_uses_no_token_says_nothing_of_cookies() {
    let site = site(|_| {});
    for sent in [
        get_request("/"),
        get_request("/").cookie(SECRET),
        post().form_token(TOKEN),
    ] {
        let answer = sent.to(&site).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!((answer.set_cookies(), answer.vary()), (vec![], vec![]));
    }
}

#[tokio::test]
async fn a_visitor_without_a_cookie_gets_one_with_the_first_token() {
    let answer = get_request("/token").to(&site(|_| {})).await;
    let secret = answer.cookie().unwrap();
    assert_eq!(secret.len(), 32);
    assert_eq!(unmask(&answer.body), secret);
    assert_eq!(answer.vary(), ["Cookie"]);
}

#[tokio::test]
async fn the_cookie_keeps_its_secret_and_is_set_anew_with_each_token() {
    let site = site(|_| {});
    for sent in [SECRET, MASKED] {
        let answer = get_request("/token").cookie(sent).to(&site).await;
        assert_eq!(answer.cookie(), Some(SECRET), "stored unmasked");
        assert_eq!(unmask(&answer.body), SECRET);
        assert_eq!(answer.vary(), ["Cookie"]);
    }
    let posted = request(Method::POST, "/token").cookie(SECRET).token(TOKEN);
    assert_eq!(posted.to(&site).await.cookie(), Some(SECRET));
}

#[tokio::test]
async fn tokens_of_one_visitor_are_never_the_same() {
    let site = site(|_| {});
    let one = get_request("/token").cookie(SECRET).to(&site).await;
    let other = get_request("/token").cookie(SECRET).to(&site).await;
    assert_ne!(one.body, other.body);
}

#[tokio::test]
async fn a_cookie_that_is_no_secret_is_replaced_at_once() {
    let site = site(|_| {});
    let long = "x".repeat(100_000);
    let bad = format!("!@#{}", &TOKEN[3..]);
    for sent in ["", "badvalue", &long, &bad, "caf\u{e9}"] {
        for path in ["/", "/token"] {
            let answer = get_request(path).cookie(sent).to(&site).await;
            assert_eq!(answer.status, StatusCode::OK);
            let secret = answer.cookie().unwrap();
            assert_eq!(secret.len(), 32);
            assert_eq!(answer.vary(), ["Cookie"]);
        }
    }
}

#[tokio::test]
async fn a_rotation_gives_another_secret() {
    let answer = get_request("/rotate")
        .cookie(SECRET)
        .to(&site(|_| {}))
        .await;
    let secret = answer.cookie().unwrap();
    assert_eq!(secret.len(), 32);
    assert_ne!(secret, SECRET);
    assert_eq!(answer.vary(), ["Cookie"]);
}

#[tokio::test]
async fn the_cookie_has_the_attributes_of_the_settings() {
    let site = site(|settings| {
        settings.csrf_cookie_name = "csrfcookie".parse().unwrap();
        settings.csrf_cookie_domain = Some(".example.com".to_owned());
        settings.csrf_cookie_age = Some(TimeDelta::seconds(123));
        settings.csrf_cookie_path = "/test/".to_owned();
        settings.csrf_cookie_secure = true;
        settings.csrf_cookie_httponly = true;
        settings.csrf_cookie_samesite = SameSite::Strict;
    });
    let answer = get_request("/token").to(&site).await;
    let [cookie] = answer.set_cookies()[..] else {
        panic!("{answer:?}")
    };
    let (start, rest) = cookie.split_once("; expires=").unwrap();
    let secret = unmask(&answer.body);
    assert_eq!(start, format!("csrfcookie={secret}; Domain=.example.com"));
    let (_, rest) = rest.split_once("GMT; ").unwrap();
    assert_eq!(
        rest,
        "HttpOnly; Max-Age=123; Path=/test/; SameSite=Strict; Secure"
    );
}

#[tokio::test]
async fn by_default_it_lives_for_a_year_and_scripts_can_read_it() {
    let answer = get_request("/token").to(&site(|_| {})).await;
    let cookie = answer.set_cookies()[0];
    assert!(
        cookie.ends_with("GMT; Max-Age=31449600; Path=/; SameSite=Lax"),
        "{cookie}"
    );
}

#[tokio::test]
async fn without_an_age_it_goes_with_the_browser() {
    let site = site(|settings| settings.csrf_cookie_age = None);
    let answer = get_request("/token").to(&site).await;
    let cookie = answer.set_cookies()[0];
    assert!(
        !cookie.contains("expires") && !cookie.contains("Max-Age"),
        "{cookie}"
    );
}

#[tokio::test]
async fn a_refused_visitor_with_a_bad_cookie_gets_a_good_one() {
    let site = site(|_| {});
    let answer = request(Method::POST, "/").cookie("bad").to(&site).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.cookie().unwrap().len(), 32);
    let answer = request(Method::POST, "/").to(&site).await;
    assert_eq!(
        (answer.status, answer.cookie()),
        (StatusCode::FORBIDDEN, None)
    );
}
