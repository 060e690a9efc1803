//! The request's user: when it is loaded, and when it is nobody.

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use quintette::auth::{Auth, AuthError, User, UserRecord};
use quintette::signing::Keys;
use quintette_testkit::{Operation, When};

use crate::site::{Site, counted, gated};

#[tokio::test]
async fn a_page_that_does_not_ask_for_the_user_costs_nothing() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    let (answer, statements) = counted(visitor.get("/")).await;
    assert_eq!(site.counter.take_calls(), []);
    assert_eq!(statements, 0);
    assert_eq!(answer.header("vary"), None);
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn a_page_that_asks_is_one_load_of_the_session_and_one_of_the_user_however_often_it_asks() {
    let site = Site::new().await;
    site.user("mei").await;
    let cookie = site.logged_in("mei").await.cookie;
    let twice = async |auth: Auth, user: User| -> Result<String, AuthError> {
        let again = auth.user().await?.unwrap();
        Ok(format!(
            "{user} {}",
            auth.clone().user().await?.unwrap() == again
        ))
    };
    let mut visitor = site.visitor_of(Router::new().route("/", get(twice)));
    visitor.cookie = cookie;
    let (answer, statements) = counted(visitor.get("/")).await;
    assert_eq!(answer.body, "mei true");
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    assert_eq!(statements, 1);
    assert_eq!(answer.header("vary"), Some("Cookie"));
}

#[tokio::test]
async fn a_stranger_costs_no_question_to_the_users() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    let (who, statements) = counted(visitor.who()).await;
    assert_eq!((who.as_str(), statements), ("a stranger", 0));
    visitor.get("/cart").await;
    let (who, statements) = counted(visitor.who()).await;
    assert_eq!(
        (who.as_str(), statements),
        ("a stranger", 0),
        "with a session"
    );
}

#[tokio::test]
async fn a_user_who_was_deactivated_is_a_stranger_at_once() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    let mut record = mei.downcast_ref::<UserRecord>().unwrap().clone();
    record.is_active = false;
    site.users().save(&record).await.unwrap();
    assert_eq!(visitor.who().await, "a stranger");
    let answer = site.visitor().log_in("mei", "right").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_user_who_was_deleted_is_a_stranger_at_once() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    site.users().delete(&mei).await.unwrap();
    assert_eq!(visitor.who().await, "a stranger");
}

#[tokio::test]
async fn a_password_that_was_changed_elsewhere_ends_the_session_and_its_data() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    let cookie = visitor.cookie.clone().unwrap();
    site.users().set_password(&mei, Some("new")).await.unwrap();
    assert_eq!(visitor.who().await, "a stranger");
    assert_eq!(site.stored(&cookie).await, None);
}

#[tokio::test]
async fn whoever_changes_the_password_stays_under_a_new_key_and_the_others_go() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut here = site.logged_in("mei").await;
    let mut elsewhere = site.logged_in("mei").await;
    let before = here.cookie.clone();
    let answer = here.post("/password", &[("password", "new")]).await;
    assert_eq!(answer.body, "changed");
    assert_ne!(here.cookie, before);
    assert_eq!(here.who().await, "mei");
    assert_eq!(elsewhere.who().await, "a stranger");
    assert_eq!(
        site.visitor().log_in("mei", "new").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_session_of_the_key_before_goes_on_and_is_proven_anew() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    let old = visitor.cookie.clone().unwrap();
    let proof = site.stored(&old).await.unwrap()["_auth_user_hash"].clone();

    let keys = Keys::new("a newer secret").with_fallbacks(["a secret that is for tests alone"]);
    let site = site.restarted(|settings| settings.secret_key = keys).await;
    let mut rotated = site.visitor();
    rotated.cookie = visitor.cookie.clone();
    assert_eq!(rotated.who().await, "mei");
    let new = rotated.cookie.clone().unwrap();
    assert_ne!(new, old);
    assert_ne!(site.stored(&new).await.unwrap()["_auth_user_hash"], proof);

    let site = site
        .restarted(|settings| settings.secret_key = Keys::new("a newer secret"))
        .await;
    let mut after = site.visitor();
    after.cookie = Some(new);
    assert_eq!(
        after.who().await,
        "mei",
        "the old key is not needed any more"
    );
    visitor = site.visitor();
    visitor.cookie = Some(old);
    assert_eq!(visitor.who().await, "a stranger");
}

#[tokio::test]
async fn two_requests_at_once_after_a_new_key_are_both_the_users() {
    let site = Site::new().await;
    site.user("mei").await;
    let cookie = site.logged_in("mei").await.cookie;
    let keys = Keys::new("a newer secret").with_fallbacks(["a secret that is for tests alone"]);
    let site = site.restarted(|settings| settings.secret_key = keys).await;
    let (site, engine) = gated(site);
    let mut page = site.visitor();
    page.cookie = cookie;
    let mut picture = page.clone();
    let mut gate = engine.hold(When::After, Operation::Load);
    let late = tokio::spawn(async move { (picture.who().await, picture.cookie) });
    gate.reached().await;
    assert_eq!(page.who().await, "mei");
    gate.open();
    let (who, cookie) = late.await.unwrap();
    assert_eq!(who, "mei");
    assert_ne!(cookie, page.cookie, "it leaves the new cookie to the other");
    assert_eq!(page.who().await, "mei");
}

#[tokio::test]
async fn a_session_of_an_unknown_key_is_flushed() {
    let site = Site::new().await;
    site.user("mei").await;
    let cookie = site.logged_in("mei").await.cookie;
    let site = site
        .restarted(|settings| settings.secret_key = Keys::new("another"))
        .await;
    let mut visitor = site.visitor();
    visitor.cookie = cookie.clone();
    assert_eq!(visitor.who().await, "a stranger");
    assert_eq!(site.stored(&cookie.unwrap()).await, None);
}

#[tokio::test]
async fn a_session_that_names_rubbish_is_a_strangers() {
    use serde_json::json;

    let site = Site::new().await;
    site.user("mei").await;
    let backend = "django.contrib.auth.backends.ModelBackend";
    for id in [
        json!("x"),
        json!(null),
        json!([1]),
        json!({}),
        json!("1 OR 1=1"),
        json!("9".repeat(50)),
        json!(true),
        json!(""),
    ] {
        let session = site.sessions.session(None);
        session.insert("_auth_user_id", &id).unwrap();
        session.insert("_auth_user_backend", backend).unwrap();
        session.insert("_auth_user_hash", "x").unwrap();
        session.save().await.unwrap();
        let mut visitor = site.visitor();
        visitor.cookie = Some(session.key().unwrap().as_str().to_owned());
        assert_eq!(visitor.who().await, "a stranger", "{id}");
    }
}

#[tokio::test]
async fn a_handler_without_the_layer_is_told_which_line_is_missing() {
    let app = Router::new().route("/", get(async |_: User| "never"));
    let request = http::Request::get("/")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(app, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::body::to_bytes(response.into_body(), 10_000)
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&body).contains("AuthLayer::new"));
}
