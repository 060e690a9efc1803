//! Choosing another password, with the present one or by a mail.

mod visitor;

use std::sync::mpsc::Receiver;
use std::time::Duration;

use axum::http::StatusCode;
use shop::app::Shop;
use shop::mail::Mail;
use tempfile::{TempDir, tempdir};
use visitor::{Visitor, open_shop_with_mail};

const OLD: &str = "correct horse";
const NEW: &str = "battery staple";
const CHANGE: [(&str, &str); 3] = [
    ("old_password", OLD),
    ("password1", NEW),
    ("password2", NEW),
];

/// A shop, its mails, and Mei, who is logged in.
async fn mei(settings: &[(&str, &str)]) -> (TempDir, Shop, Receiver<Mail>, Visitor) {
    let directory = tempdir().unwrap();
    let (shop, mails) = open_shop_with_mail(directory.path(), settings).await;
    let mut mei = Visitor::of(&shop);
    mei.sign_up("mei", OLD).await;
    (directory, shop, mails, mei)
}

/// The path that a mail leads to. Mails are written beside the requests.
async fn link(mails: &Receiver<Mail>) -> String {
    for _ in 0..500 {
        if let Ok(mail) = mails.try_recv() {
            assert_eq!(mail.to, "mei@example.com");
            let (_, link) = mail.text.split_once("http://127.0.0.1:8000").unwrap();
            return link.lines().next().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no mail came");
}

#[tokio::test]
async fn a_new_password_keeps_this_session_and_ends_the_others() {
    for engine in ["db", "cached_db", "cache", "signed_cookies"] {
        let (_directory, shop, _mails, mut mei) = mei(&[("SESSION_ENGINE", engine)]).await;
        let mut elsewhere = Visitor::of(&shop);
        elsewhere.log_in("mei", OLD).await;
        assert!(elsewhere.is_logged_in().await);
        let before = mei.clone();

        mei.post_and_follow("/account/password", &CHANGE, "/account/password")
            .await
            .shows("Your password is changed.");
        assert!(mei.is_logged_in().await, "{engine}");
        assert_ne!(mei.session(), before.session(), "{engine}");
        assert!(!elsewhere.is_logged_in().await, "{engine}");
        assert!(!before.clone().is_logged_in().await, "{engine}");

        let mut returning = Visitor::of(&shop);
        returning.log_in("mei", OLD).await;
        assert!(!returning.is_logged_in().await);
        returning.log_in("mei", NEW).await;
        assert!(returning.is_logged_in().await);
    }
}

#[tokio::test]
async fn without_the_present_password_there_is_no_new_one() {
    let (_directory, shop, _mails, mut mei) = mei(&[]).await;
    let form = [
        ("old_password", "wrong"),
        ("password1", NEW),
        ("password2", NEW),
    ];
    let page = mei.post("/account/password", &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.shows("This is not your present password.");
    let form = [
        ("old_password", OLD),
        ("password1", "mei"),
        ("password2", "mai"),
    ];
    let page = mei.post("/account/password", &form).await;
    page.shows("This password is too short.");
    page.shows("This is not the same password.");
    let mut returning = Visitor::of(&shop);
    returning.log_in("mei", OLD).await;
    assert!(returning.is_logged_in().await);
}

#[tokio::test]
async fn at_a_browser_left_alone_nobody_can_guess_the_password_on_and_on() {
    let (_directory, _shop, _mails, mut mei) = mei(&[("LOGIN_FAILURE_LIMIT", "2")]).await;
    let form = [
        ("old_password", "wrong"),
        ("password1", NEW),
        ("password2", NEW),
    ];
    for _ in 0..2 {
        mei.post("/account/password", &form).await;
    }
    let page = mei.post("/account/password", &CHANGE).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_mailed_link_sets_another_password_once() {
    let (_directory, shop, mails, mut logged_in) = mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor
        .post("/cart/add", &[("product", "cups"), ("quantity", "1")])
        .await;
    visitor
        .post_and_follow(
            "/password-reset",
            &[("email", "MEI@example.com")],
            "/password-reset/sent",
        )
        .await
        .shows("If an account has that address");
    let link = link(&mails).await;

    // The token is in the address once, and then in the session.
    let page = visitor.get(&link).await;
    let form_page = page.location().to_owned();
    assert!(form_page.ends_with("/set-password"), "{form_page}");
    visitor.get(&form_page).await.shows("Another password");
    let wrong = [("password1", "12"), ("password2", "12")];
    visitor
        .post(&form_page, &wrong)
        .await
        .shows("This password is too short.");
    let form = [("password1", NEW), ("password2", NEW)];
    visitor
        .post_and_follow(&form_page, &form, "/login")
        .await
        .shows("Your password is changed.");

    assert!(!logged_in.is_logged_in().await);
    visitor.log_in("mei", NEW).await;
    assert!(visitor.is_logged_in().await);
    visitor.get("/cart").await.shows("Two Cups");
    let mut thief = Visitor::of(&shop);
    let page = thief.get(&link).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    page.shows("This link is used up");
}

#[tokio::test]
async fn who_is_logged_in_and_uses_the_link_of_another_is_logged_out() {
    let (_directory, shop, mails, mut mei) = mei(&[]).await;
    let mut yusuf = Visitor::of(&shop);
    yusuf.sign_up("yusuf", OLD).await;
    yusuf
        .post("/password-reset", &[("email", "mei@example.com")])
        .await;
    let link = link(&mails).await;
    let form_page = yusuf.get(&link).await.location().to_owned();
    let form = [("password1", NEW), ("password2", NEW)];
    yusuf.post_and_follow(&form_page, &form, "/login").await;
    // Neither is he Mei now, nor is anybody still Mei by the old password.
    assert!(!yusuf.is_logged_in().await);
    assert!(!mei.is_logged_in().await);
}

#[tokio::test]
async fn neither_page_nor_time_tells_whether_an_address_is_known() {
    let (_directory, shop, mails, _mei) = mei(&[]).await;
    let mut answers = Vec::new();
    for email in ["mei@example.com", "nobody@example.com"] {
        let mut visitor = Visitor::of(&shop);
        visitor.get("/password-reset").await;
        let page = visitor.post("/password-reset", &[("email", email)]).await;
        let headers = page.headers.clone();
        answers.push((page.status, headers, page.body));
    }
    // The answer is given before anything is looked up, so that it cannot tell by its time.
    assert_eq!(answers[0], answers[1]);
    link(&mails).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(mails.try_recv().is_err(), "one mail, to the known address");
}

#[tokio::test]
async fn a_link_with_a_letter_changed_is_none() {
    let (_directory, shop, mails, _mei) = mei(&[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor
        .post("/password-reset", &[("email", "mei@example.com")])
        .await;
    let link = link(&mails).await;
    let last = if link.ends_with('0') { "1" } else { "0" };
    let changed = format!("{}{last}", &link[..link.len() - 1]);
    let (head, token) = link.rsplit_once('/').unwrap();
    for bad in [
        &changed,
        &format!("{head}x/{token}"),
        "/password-reset/!/x",
        "/password-reset/MQ/set-password",
        "/password-reset/MTg0NDY3NDQwNzM3MDk1NTE2MTU/x-y",
        "/password-reset/_w/x-y",
    ] {
        let page = visitor.get(bad).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{bad}");
        page.shows("Ask for another one");
    }
}

#[tokio::test]
async fn links_lead_to_this_shop_whatever_host_a_request_names() {
    let (_directory, shop, mails, _mei) = mei(&[("USE_X_FORWARDED_HOST", "true")]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.get("/password-reset").await;
    visitor.headers = vec![("x-forwarded-host", "evil.example")];
    let page = visitor
        .post("/password-reset", &[("email", "mei@example.com")])
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(mails.try_recv().is_err());
}
