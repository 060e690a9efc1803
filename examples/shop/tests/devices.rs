//! "Your devices": where an account is logged in, and the end of it there.

mod visitor;

use axum::http::StatusCode;
use tempfile::tempdir;
use visitor::{Page, Visitor, open_shop};

const PASSWORD: &str = "correct horse";
const PHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile Safari/604.1";
const LAPTOP: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// The id in the first button that ends a session.
fn first_id(page: &Page) -> String {
    page.between("name=\"end\" value=\"", "\"").to_owned()
}

#[tokio::test]
async fn each_device_is_listed_and_can_be_logged_out() {
    let files = tempdir().unwrap();
    let file_path = files.path().to_str().unwrap();
    for engine in ["db", "cached_db", "cache", "file"] {
        let directory = tempdir().unwrap();
        let settings = [
            ("SESSION_ENGINE", engine),
            ("SESSION_FILE_PATH", file_path),
            ("CLIENT_ADDRESS_HEADER", "HTTP_X_FORWARDED_FOR"),
        ];
        let shop = open_shop(directory.path(), &settings).await;
        let mut laptop = Visitor::of(&shop);
        laptop.headers = vec![("user-agent", LAPTOP), ("x-forwarded-for", "192.0.2.7")];
        laptop.sign_up("mei", PASSWORD).await;
        let mut phone = Visitor::of(&shop);
        phone.headers = vec![("user-agent", PHONE), ("x-forwarded-for", "192.0.2.8")];
        phone.log_in("mei", PASSWORD).await;
        let mut stranger = Visitor::of(&shop);
        stranger.sign_up("yusuf", PASSWORD).await;
        // Noted by now, and not a moment later.
        phone.get("/account/devices").await;

        let page = laptop.get("/account/devices").await;
        page.shows("Firefox on Linux");
        page.shows("Safari on an iPhone");
        page.shows("192.0.2.8");
        page.shows("just now");
        assert_eq!(page.body.matches("This device").count(), 1);
        assert_eq!(page.body.matches("<h2").count(), 2, "{engine}");
        let id = first_id(&page);

        // It is Mei's to end, and nobody else's.
        stranger
            .post_and_follow("/account/devices", &[("end", &id)], "/account/devices")
            .await
            .shows("That session has ended already.");
        assert!(phone.is_logged_in().await);

        let page = laptop
            .post_and_follow("/account/devices", &[("end", &id)], "/account/devices")
            .await;
        page.shows("You are logged out there.");
        page.hides("Safari on an iPhone");
        page.hides("Log out everywhere else");
        assert!(!phone.is_logged_in().await, "{engine}");
        assert!(laptop.is_logged_in().await, "{engine}");
        assert!(stranger.is_logged_in().await, "{engine}");
    }
}

#[tokio::test]
async fn all_other_devices_can_be_logged_out_at_once() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut here = Visitor::of(&shop);
    here.sign_up("mei", PASSWORD).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut other = Visitor::of(&shop);
        other.log_in("mei", PASSWORD).await;
        other.get("/account/devices").await;
        others.push(other);
    }
    here.get("/account/devices")
        .await
        .shows("Log out everywhere else");
    here.post_and_follow("/account/devices", &[("end", "others")], "/account/devices")
        .await
        .shows("You are logged out on 3 other devices.");
    for mut other in others {
        assert!(!other.is_logged_in().await);
    }
    assert!(here.is_logged_in().await);
}

#[tokio::test]
async fn what_a_browser_calls_itself_is_no_html() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.headers = vec![("user-agent", "\"><script>alert(1)</script>")];
    visitor.sign_up("mei", PASSWORD).await;
    let page = visitor.get("/account/devices").await;
    page.shows("&lt;script&gt;");
    page.hides("<script");
}

#[tokio::test]
async fn with_sessions_in_cookies_the_page_says_that_it_cannot() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[("SESSION_ENGINE", "signed_cookies")]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.sign_up("mei", PASSWORD).await;
    let page = visitor.get("/account/devices").await;
    page.shows("keeps its sessions in its visitors’ browsers");
    page.hides("name=\"end\"");
    let page = visitor.post("/account/devices", &[("end", "others")]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}
