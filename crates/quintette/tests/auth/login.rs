//! Logging in and out: what becomes of the session.

use http::StatusCode;
use quintette::sessions::SessionEngine as _;
use quintette_testkit::Operation;
use serde_json::json;

use crate::site::Site;

#[tokio::test]
async fn who_logs_in_is_that_user_until_the_logout() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.visitor();
    assert_eq!(visitor.who().await, "a stranger");
    assert_eq!(visitor.log_in("mei", "right").await.body, "hello mei");
    assert_eq!(visitor.who().await, "mei");
    visitor.post("/logout", &[]).await;
    assert_eq!(visitor.cookie, None);
    assert_eq!(visitor.who().await, "a stranger");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_answered_alike_and_make_no_session() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.visitor();
    for (name, password) in [
        ("mei", "wrong"),
        ("nobody", "right"),
        ("mei", ""),
        ("", "right"),
        ("MEI", "right"),
    ] {
        let answer = visitor.log_in(name, password).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::FORBIDDEN, "wrong"),
            "{name}"
        );
        assert_eq!(answer.cookie(), None);
    }
}

#[tokio::test]
async fn the_session_holds_what_django_looks_for() {
    let site = Site::new().await;
    site.user("mei").await;
    let visitor = site.logged_in("mei").await;
    let stored = site
        .stored(visitor.cookie.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(stored["_auth_user_id"], json!("1"));
    assert_eq!(
        stored["_auth_user_backend"],
        json!("django.contrib.auth.backends.ModelBackend")
    );
    assert_eq!(stored["_auth_user_hash"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_login_changes_the_key_and_keeps_what_the_stranger_had() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.visitor();
    visitor.get("/cart").await;
    let before = visitor.cookie.clone().unwrap();
    visitor.log_in("mei", "right").await;
    let after = visitor.cookie.clone().unwrap();
    assert_ne!(before, after);
    assert_eq!(
        site.stored(&before).await,
        None,
        "the old key is worth nothing"
    );
    assert_eq!(site.stored(&after).await.unwrap()["cart"], json!("tea"));
}

#[tokio::test]
async fn a_login_as_another_user_ends_the_session_of_the_first() {
    let site = Site::new().await;
    site.user("mei").await;
    site.user("jun").await;
    let mut visitor = site.logged_in("mei").await;
    visitor.get("/cart").await;
    let of_mei = visitor.cookie.clone().unwrap();
    visitor.log_in("jun", "right").await;
    assert_eq!(visitor.who().await, "jun");
    assert_eq!(site.stored(&of_mei).await, None);
    let stored = site
        .stored(visitor.cookie.as_deref().unwrap())
        .await
        .unwrap();
    assert!(stored.get("cart").is_none(), "{stored}");
}

#[tokio::test]
async fn a_login_as_the_same_user_keeps_the_session_and_its_key() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    visitor.get("/cart").await;
    let before = visitor.cookie.clone();
    visitor.log_in("mei", "right").await;
    assert_eq!(visitor.cookie, before, "as in Django");
    let stored = site
        .stored(visitor.cookie.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(stored["cart"], json!("tea"));
}

#[tokio::test]
async fn a_login_is_three_calls_of_the_store_at_most() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.visitor();
    visitor.log_in("mei", "right").await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Create],
        "without a session"
    );

    let mut visitor = site.visitor();
    visitor.get("/cart").await;
    site.counter.take_calls();
    visitor.log_in("mei", "right").await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Create, Operation::Delete],
        "with a stranger's session"
    );

    site.user("jun").await;
    visitor.log_in("jun", "right").await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Delete, Operation::Create],
        "with another user's session"
    );
}

#[tokio::test]
async fn a_logout_flushes_the_whole_session() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    visitor.get("/cart").await;
    let cookie = visitor.cookie.clone().unwrap();
    let answer = visitor.post("/logout", &[]).await;
    assert_eq!(answer.cookie(), Some("\"\""));
    assert_eq!(site.stored(&cookie).await, None);
    assert_eq!(site.memory.list(None, 10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_login_notes_when_it_was() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    assert_eq!(mei.last_login(), None);
    site.logged_in("mei").await;
    let mei = site.users().by_id(&mei.id()).await.unwrap().unwrap();
    assert!(mei.last_login().unwrap() >= *mei.record().date_joined().as_ref().unwrap());
}

#[tokio::test]
async fn a_name_is_the_same_however_its_letters_are_composed() {
    let site = Site::new().await;
    let jose = site.user("Jose\u{301}").await;
    assert_eq!(jose.username(), "José", "as Django stores it");
    for name in ["José", "Jose\u{301}", "Ｊｏｓé"] {
        let answer = site.visitor().log_in(name, "right").await;
        assert_eq!(answer.body, "hello José", "{name}");
    }
}
