//! "Your session": what it shows, and its buttons.

mod visitor;

use axum::http::StatusCode;
use shop::app::Shop;
use tempfile::{TempDir, tempdir};
use visitor::{Visitor, open_shop};

async fn visitor_with_tea(settings: &[(&str, &str)]) -> (TempDir, Shop, Visitor) {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), settings).await;
    let mut visitor = Visitor::of(&shop);
    visitor
        .post("/cart/add", &[("product", "sencha"), ("quantity", "2")])
        .await;
    (directory, shop, visitor)
}

#[tokio::test]
async fn it_shows_engine_key_expiry_cookie_and_contents() {
    let (_directory, _shop, mut visitor) =
        visitor_with_tea(&[("SESSION_COOKIE_AGE", "3600")]).await;
    let page = visitor.get("/session").await;
    page.shows("backends.<wbr>db</code>");
    page.shows(visitor.session().unwrap());
    page.shows("1 hour after its last change.");
    page.shows("3600 seconds (1 hour)");
    page.shows("{\n  &quot;sencha&quot;: 2\n}");
}

#[tokio::test]
async fn without_a_session_it_says_so() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor
        .get("/session")
        .await
        .shows("Looking around makes no session");
    visitor
        .cookies
        .insert("sessionid".into(), "a-key-that-nobody-has-made".into());
    visitor
        .get("/session")
        .await
        .hides("a-key-that-nobody-has-made");
}

#[tokio::test]
async fn a_new_key_keeps_the_contents_and_ends_the_old_one() {
    let (_directory, _shop, mut visitor) = visitor_with_tea(&[]).await;
    let mut thief = visitor.clone();
    let page = visitor
        .post_and_follow("/session/cycle", &[], "/session")
        .await;
    assert_ne!(visitor.session(), thief.session());
    page.shows("&quot;sencha&quot;: 2");
    thief.get("/session").await.hides("sencha");
}

#[tokio::test]
async fn a_flush_takes_everything_from_every_copy_of_the_cookie() {
    let (_directory, _shop, mut visitor) = visitor_with_tea(&[]).await;
    let mut other_tab = visitor.clone();
    visitor
        .post_and_follow("/session/flush", &[], "/session")
        .await
        .shows("Looking around makes no session");
    assert_eq!(visitor.session(), None);
    other_tab.get("/cart").await.shows("Your cart is empty");
}

#[tokio::test]
async fn each_expiry_is_what_its_button_says() {
    let (_directory, _shop, mut visitor) =
        visitor_with_tea(&[("SESSION_COOKIE_AGE", "7200")]).await;
    let set = visitor
        .post("/session/expiry", &[("expiry", "browser_close")])
        .await;
    assert!(!set.set_cookie("sessionid").unwrap().contains("Max-Age"));
    visitor
        .get("/session")
        .await
        .shows("When the browser closes");

    let set = visitor
        .post("/session/expiry", &[("expiry", "two_weeks")])
        .await;
    assert!(
        set.set_cookie("sessionid")
            .unwrap()
            .contains("Max-Age=1209600")
    );
    visitor
        .get("/session")
        .await
        .shows("2 weeks after its last change.");

    visitor
        .post("/session/expiry", &[("expiry", "one_minute")])
        .await;
    visitor
        .get("/session")
        .await
        .shows("whatever happens until then");

    let set = visitor
        .post("/session/expiry", &[("expiry", "settings")])
        .await;
    assert!(
        set.set_cookie("sessionid")
            .unwrap()
            .contains("Max-Age=7200")
    );
    visitor.get("/session").await.hides("_session_expiry");

    let wrong = visitor
        .post("/session/expiry", &[("expiry", "never")])
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn with_signed_cookies_no_session_is_stored_here() {
    let (directory, shop, mut visitor) =
        visitor_with_tea(&[("SESSION_ENGINE", "signed_cookies")]).await;
    let page = visitor.get("/session").await;
    page.shows("nothing is kept on the server");
    page.shows("&quot;sencha&quot;: 2");
    shop.close().await;
    let file = directory.path().join("shop.sqlite3");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    let sessions: (u32,) = sqlx::query_as("SELECT count(*) FROM django_session")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(sessions, (0,));
}

#[tokio::test]
async fn what_proves_something_is_not_shown() {
    let (_directory, _shop, mut visitor) = visitor_with_tea(&[]).await;
    visitor.sign_up("mei", "correct horse").await;
    let page = visitor.get("/session").await;
    page.shows("<code>_auth_user_hash</code></dt><dd><pre>&quot;…&quot;</pre>");
}

#[tokio::test]
async fn a_session_carries_a_clock_only_where_the_settings_limit_it() {
    for (settings, limited) in [
        ([].as_slice(), false),
        (&[("SESSION_EXPIRE_SECONDS", "3600")], true),
        (&[("SESSION_EXPIRE_ABSOLUTE_SECONDS", "3600")], true),
    ] {
        let (_directory, _shop, mut visitor) = visitor_with_tea(settings).await;
        let page = visitor.get("/session").await;
        assert_eq!(page.body.contains("_session_init_timestamp_"), limited);
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_told_and_nothing_is_forgotten() {
    let (directory, _shop, mut visitor) = visitor_with_tea(&[]).await;
    let cookies = visitor.cookies.clone();
    let file = directory.path().join("shop.sqlite3");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    sqlx::query("ALTER TABLE django_session RENAME TO gone")
        .execute(&pool)
        .await
        .unwrap();
    let page = visitor.get("/cart").await;
    assert!(page.status.is_server_error());
    page.shows("<h1>");
    assert_eq!(visitor.cookies, cookies);
    sqlx::query("ALTER TABLE gone RENAME TO django_session")
        .execute(&pool)
        .await
        .unwrap();
    visitor.get("/cart").await.shows("Morning Sencha");
}
