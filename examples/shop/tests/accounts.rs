//! Signing up, logging in and out.

mod visitor;

use axum::http::StatusCode;
use shop::app::Shop;
use tempfile::{TempDir, tempdir};
use visitor::{Visitor, encoded, open_shop};

const PASSWORD: &str = "correct horse";
const CUPS: [(&str, &str); 2] = [("product", "cups"), ("quantity", "1")];

/// A shop in which Mei has an account.
async fn shop_of_mei(settings: &[(&str, &str)]) -> (TempDir, Shop) {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), settings).await;
    Visitor::of(&shop).sign_up("mei", PASSWORD).await;
    (directory, shop)
}

#[tokio::test]
async fn who_signs_up_is_logged_in() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.sign_up("mei", PASSWORD).await;
    assert!(visitor.is_logged_in().await);
    // To log in or sign up again, there is nothing to see.
    assert_eq!(visitor.get("/login").await.location(), "/account");
    assert_eq!(visitor.get("/signup").await.location(), "/account");
}

#[tokio::test]
async fn a_wrong_sign_up_is_told_field_by_field_and_makes_nobody() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    let form = [
        ("username", "mina <b>"),
        ("email", "mina@"),
        ("password1", "12345"),
        ("password2", "123456"),
    ];
    let page = visitor.post("/signup", &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.shows("value=\"mina &lt;b&gt;\"");
    page.shows("id=\"email-error\"");
    page.shows("This password is too short. It must contain at least 8 characters.");
    page.shows("This password is entirely numeric.");
    page.shows("This is not the same password.");
    page.hides("12345");
    assert_eq!(visitor.session(), None);

    let form = [
        ("username", "mei"),
        ("email", "other@example.com"),
        ("password1", PASSWORD),
        ("password2", PASSWORD),
    ];
    visitor
        .post("/signup", &form)
        .await
        .shows("Somebody has this user name already.");
    assert!(!visitor.is_logged_in().await);
}

#[tokio::test]
async fn a_password_like_the_name_is_refused() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let form = [
        ("username", "mei-lin-tea"),
        ("email", "mei@example.com"),
        ("password1", "mei-lin-tea1"),
        ("password2", "mei-lin-tea1"),
    ];
    let page = Visitor::of(&shop).post("/signup", &form).await;
    page.shows("The password is too similar to the username.");
}

#[tokio::test]
async fn a_login_gives_the_session_another_key_and_keeps_the_cart() {
    for engine in ["db", "cached_db", "cache", "signed_cookies"] {
        let (_directory, shop) = shop_of_mei(&[("SESSION_ENGINE", engine)]).await;
        let mut visitor = Visitor::of(&shop);
        visitor.post("/cart/add", &CUPS).await;
        let planted = visitor.clone();
        visitor.get("/login").await;
        let page = visitor.log_in("mei", PASSWORD).await;
        assert_eq!(page.location(), "/account", "{engine}: {}", page.body);
        assert_ne!(visitor.session(), planted.session());
        assert_ne!(visitor.cookies["csrftoken"], planted.cookies["csrftoken"]);
        visitor.get("/cart").await.shows("Two Cups");
        assert!(visitor.is_logged_in().await);
        // Whoever planted the key, or saw it, is a stranger.
        assert!(!planted.clone().is_logged_in().await);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_told_alike() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    let alert = "Name and password do not belong together.";
    for username in ["mei", "nobody"] {
        let page = visitor.log_in(username, "wrong").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        page.shows(alert);
        page.shows(&format!("value=\"{username}\""));
        page.hides("value=\"wrong\"");
    }
    assert_eq!(visitor.session(), None);
}

#[tokio::test]
async fn only_who_wants_to_be_remembered_is() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    let page = visitor.log_in("mei", PASSWORD).await;
    assert!(!page.set_cookie("sessionid").unwrap().contains("Max-Age"));

    let mut visitor = Visitor::of(&shop);
    let form = [
        ("username", "mei"),
        ("password", PASSWORD),
        ("remember", "on"),
    ];
    let page = visitor.post("/login", &form).await;
    let thirty_days = format!("Max-Age={}", 30 * 24 * 60 * 60);
    assert!(page.set_cookie("sessionid").unwrap().contains(&thirty_days));
}

#[tokio::test]
async fn a_logout_ends_the_session_in_every_tab() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.log_in("mei", PASSWORD).await;
    visitor.post("/cart/add", &CUPS).await;
    let mut other_tab = visitor.clone();
    // Not by a picture on another site.
    assert_eq!(
        visitor.get("/logout").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    visitor
        .post_and_follow("/logout", &[], "/")
        .await
        .shows("You are logged out.");
    assert_eq!(visitor.session(), None);
    assert!(!other_tab.is_logged_in().await);
    other_tab.get("/cart").await.shows("Your cart is empty");
}

#[tokio::test]
async fn another_user_at_the_same_browser_finds_nothing_of_the_first() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    Visitor::of(&shop).sign_up("yusuf", PASSWORD).await;
    let mut visitor = Visitor::of(&shop);
    visitor.log_in("mei", PASSWORD).await;
    visitor.post("/cart/add", &CUPS).await;
    visitor.log_in("yusuf", PASSWORD).await;
    visitor.get("/cart").await.shows("Your cart is empty");
    visitor.get("/account").await.shows("yusuf");
}

#[tokio::test]
async fn a_stranger_is_sent_to_the_login_and_back() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    for path in [
        "/account",
        "/account/devices",
        "/account/password",
        "/staff/orders",
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, StatusCode::FOUND);
        assert_eq!(page.location(), format!("/login?next={path}"));
    }
    let page = visitor.get("/login?next=/account/devices").await;
    page.shows("name=\"next\" value=\"&#x2f;account&#x2f;devices\"");
    page.shows("/signup?next=&#x2f;account&#x2f;devices");
    let form = [
        ("username", "mei"),
        ("password", PASSWORD),
        ("next", "/account/devices"),
    ];
    visitor
        .post_and_follow("/login", &form, "/account/devices")
        .await
        .shows("This device");
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    for evil in [
        "//evil.example",
        "https:evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "///evil.example",
        "http:///evil.example",
        "//127.0.0.1:8000@evil.example",
        "\u{8}//evil.example",
    ] {
        let mut visitor = Visitor::of(&shop);
        let escaped = encoded(evil);
        let page = visitor.get(&format!("/login?next={escaped}")).await;
        page.hides("evil.example");
        let form = [("username", "mei"), ("password", PASSWORD), ("next", evil)];
        let page = visitor.post("/login", &form).await;
        assert_eq!(page.location(), "/account", "{evil:?}");
        let page = visitor.get(&format!("/login?next={escaped}")).await;
        assert_eq!(page.location(), "/account", "{evil:?}");
    }
    // What a header cannot carry is quoted.
    let form = [
        ("username", "mei"),
        ("password", PASSWORD),
        ("next", "/cart?차=é x"),
    ];
    let page = Visitor::of(&shop).post("/login", &form).await;
    assert_eq!(page.location(), "/cart?%EC%B0%A8=%C3%A9%20x");
}

#[tokio::test]
async fn after_five_wrong_passwords_the_shop_says_to_wait() {
    let (_directory, shop) = shop_of_mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    for _ in 0..5 {
        let page = visitor.log_in("mei", "wrong").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // The right one, too: else a thousand guesses cost nothing.
    let page = visitor.log_in("mei", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header("retry-after"), "300");
    page.shows("Too many wrong passwords");
    page.shows("Try again in 5 minutes.");
    page.shows("Five Leaves");
    assert!(!visitor.is_logged_in().await);
    // Other customers come in as ever.
    visitor.sign_up("yusuf", PASSWORD).await;
}

#[tokio::test]
async fn the_limit_of_wrong_passwords_is_a_setting() {
    let (_directory, shop) = shop_of_mei(&[("LOGIN_FAILURE_LIMIT", "1")]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.log_in("mei", "wrong").await;
    let page = visitor.log_in("mei", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
}
