//! Forms that only the shop's own pages may send, what they say when they are sent, and cookies behind a proxy.

mod visitor;

use axum::http::StatusCode;
use tempfile::tempdir;
use visitor::{Visitor, open_shop};

const PASSWORD: &str = "correct horse";
const CUPS: [(&str, &str); 2] = [("product", "cups"), ("quantity", "1")];

#[tokio::test]
async fn every_form_on_every_page_carries_a_token() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut mei = Visitor::of(&shop);
    mei.sign_up("mei", PASSWORD).await;
    mei.post("/cart/add", &CUPS).await;
    let mut elsewhere = Visitor::of(&shop);
    elsewhere.log_in("mei", PASSWORD).await;
    elsewhere.get("/account/devices").await;
    let mut forms = 0;
    for path in [
        "/",
        "/products/cups",
        "/cart",
        "/checkout",
        "/session",
        "/account",
        "/account/devices",
        "/account/password",
        "/password-reset",
    ] {
        let page = mei.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for form in page.body.split("<form method=\"post\"").skip(1) {
            let form = form.split("</form>").next().unwrap();
            assert!(
                form.contains("name=\"csrfmiddlewaretoken\""),
                "{path}: {form}"
            );
            forms += 1;
        }
    }
    for path in ["/login", "/signup"] {
        let page = Visitor::of(&shop).get(path).await;
        page.shows("name=\"csrfmiddlewaretoken\"");
    }
    assert!(forms >= 14, "{forms}");
}

#[tokio::test]
async fn a_form_without_a_good_token_does_nothing_and_says_so_in_the_shops_own_page() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.get("/products/cups").await;
    let other = {
        let mut other = Visitor::of(&shop);
        other.get("/products/cups").await;
        other.cookies["csrftoken"].clone()
    };
    for token in ["", "tea", &other] {
        let form = [&CUPS[..], &[("csrfmiddlewaretoken", token)]].concat();
        let page = visitor.post_as_it_is("/cart/add", &form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        page.shows("That form is not ours");
        page.shows("Five Leaves");
        page.hides("CSRF token");
    }
    assert_eq!(visitor.session(), None);
    for path in [
        "/cart/quantity",
        "/cart/remove",
        "/checkout",
        "/session/expiry",
        "/session/cycle",
        "/session/flush",
        "/signup",
        "/login",
        "/logout",
        "/password-reset",
        "/password-reset/MQ/set-password",
        "/account/devices",
        "/account/password",
    ] {
        let page = visitor.post_as_it_is(path, &[]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_refused_and_developers_read_why() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[("DEBUG", "true")]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.get("/products/cups").await;
    visitor.headers = vec![("origin", "https://evil.example")];
    let page = visitor.post("/cart/add", &CUPS).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    page.shows("https:&#x2f;&#x2f;evil.example does not match any trusted origins.");
    visitor.headers = vec![("origin", "http://127.0.0.1:8000")];
    let page = visitor.post("/cart/add", &CUPS).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_message_is_shown_once() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    let text = "In your cart: 1 × Two Cups.";
    visitor
        .post_and_follow("/cart/add", &CUPS, "/cart")
        .await
        .shows(text);
    visitor.get("/cart").await.hides(text);
    let more = [("product", "cups"), ("quantity", "3")];
    visitor
        .post_and_follow("/cart/quantity", &more, "/cart")
        .await
        .shows("Changed: 3 × Two Cups.");
    visitor
        .post_and_follow("/cart/remove", &[("product", "cups")], "/cart")
        .await
        .shows("Removed: Two Cups.");
    // They wait while the visitor looks elsewhere, and come together.
    visitor.post("/cart/add", &CUPS).await;
    visitor.post("/session/cycle", &[]).await;
    let page = visitor.get("/").await;
    page.shows(text);
    page.shows("Your session has another key.");
}

#[tokio::test]
async fn behind_an_https_proxy_cookies_are_secure_and_forms_are_taken() {
    let directory = tempdir().unwrap();
    let settings = [
        (
            "SECURE_PROXY_SSL_HEADER",
            "[\"HTTP_X_FORWARDED_PROTO\", \"https\"]",
        ),
        ("SESSION_COOKIE_SECURE", "true"),
        ("CSRF_COOKIE_SECURE", "true"),
    ];
    let shop = open_shop(directory.path(), &settings).await;
    let mut visitor = Visitor::of(&shop);
    visitor.headers = vec![
        ("x-forwarded-proto", "https"),
        ("origin", "https://127.0.0.1:8000"),
    ];
    let page = visitor.get("/products/cups").await;
    assert!(page.set_cookie("csrftoken").unwrap().contains("; Secure"));
    let page = visitor.post("/cart/add", &CUPS).await;
    let session = page.set_cookie("sessionid").unwrap();
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(session.contains(attribute), "{session}");
    }
    assert!(page.set_cookie("messages").unwrap().contains("; Secure"));
    // Over plain http, the origin is another one.
    visitor.headers.remove(0);
    let page = visitor.post("/cart/add", &CUPS).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}
