//! Routes for some visitors only.

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use quintette::auth::guards::{
    login_required, permission_required, permissions_required, user_passes_test,
};

use crate::site::{Site, pages};

fn guarded() -> Router {
    let page = || get(async || "inside");
    let mine = Router::new()
        .route("/orders/{page}", page())
        .layer(login_required());
    let staff = Router::new()
        .route("/staff", page())
        .layer(permission_required("auth.view_user"));
    let refused = Router::new()
        .route("/strict", page())
        .layer(permission_required("auth.view_user").raise_exception());
    let both = Router::new()
        .route("/both", page())
        .layer(permissions_required(["auth.view_user", "auth.add_user"]).raise_exception());
    let tested = Router::new().route("/m", page()).layer(
        user_passes_test(|user| user.is_some_and(|user| user.username().starts_with('m')))
            .login_url("/m-only?x=1"),
    );
    pages()
        .merge(mine)
        .merge(staff)
        .merge(refused)
        .merge(both)
        .merge(tested)
}

#[tokio::test]
async fn a_stranger_is_sent_to_the_login_page_with_the_way_back() {
    let site = Site::new().await;
    let mut visitor = site.visitor_of(guarded());
    let answer = visitor.get("/orders/a%20b?page=2&x=%C3%A9").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    let location = answer.header("location").unwrap();
    assert_eq!(
        location,
        "/accounts/login/?next=/orders/a%2520b%3Fpage%3D2%26x%3D%25C3%25A9"
    );
    assert_eq!(
        visitor.get("/mine").await.header("location"),
        Some("/accounts/login/?next=/mine"),
        "the extractor"
    );
    assert_eq!(
        visitor.get("/m").await.header("location"),
        Some("/m-only?x=1&next=/m")
    );
}

#[tokio::test]
async fn who_has_logged_in_passes() {
    let site = Site::new().await;
    site.user("mei").await;
    site.user("jun").await;
    let cookie = site.logged_in("mei").await.cookie;
    let mut mei = site.visitor_of(guarded());
    mei.cookie = cookie;
    assert_eq!(mei.get("/orders/1").await.body, "inside");
    assert_eq!(mei.get("/m").await.body, "inside");
    let mut jun = site.visitor_of(guarded());
    jun.cookie = site.logged_in("jun").await.cookie;
    assert_eq!(jun.get("/m").await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_permission_opens_what_it_is_for() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let mut visitor = site.visitor_of(guarded());
    visitor.cookie = site.logged_in("mei").await.cookie;
    assert_eq!(
        visitor.get("/staff").await.status,
        StatusCode::FOUND,
        "as Django does"
    );
    assert_eq!(visitor.get("/strict").await.status, StatusCode::FORBIDDEN);
    site.users().grant(&mei, "auth.view_user").await.unwrap();
    assert_eq!(visitor.get("/staff").await.body, "inside");
    assert_eq!(visitor.get("/strict").await.body, "inside");
    assert_eq!(visitor.get("/both").await.status, StatusCode::FORBIDDEN);
    let mut stranger = site.visitor_of(guarded());
    assert_eq!(stranger.get("/strict").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_login_may_be_demanded_everywhere_but_where_it_is_not() {
    let site = Site::with(|settings| settings.login_url = "/login-page".to_owned()).await;
    let page = || get(async || "inside");
    let app = Router::new()
        .route("/private", page())
        .route("/health", page())
        .route("/public/{*rest}", page())
        .route("/login-page", page())
        .layer(login_required().login_not_required(["/health", "/public/*"]));
    let mut visitor = site.visitor_of(app);
    for open in ["/health", "/public/a/b", "/login-page?next=/private"] {
        assert_eq!(visitor.get(open).await.body, "inside", "{open}");
    }
    for closed in ["/private", "/public/../private", "/public/%2e%2e/private"] {
        assert_ne!(visitor.get(closed).await.body, "inside", "{closed}");
    }
}

#[tokio::test]
async fn what_the_router_takes_for_another_page_is_not_open() {
    let site = Site::new().await;
    let app = Router::new()
        .route("/health", get(async || "inside"))
        .route("/{tenant}/admin", get(async || "inside"))
        .route("/{page}", get(async || "inside"))
        .layer(login_required().login_not_required(["/health", "/public/*"]));
    let mut visitor = site.visitor_of(app);
    assert_eq!(visitor.get("/health").await.body, "inside");
    for closed in [
        "/public%2Fx/admin",
        "/public%2Fsecret",
        "/h%65alth",
        "/accounts%2Flogin%2F",
        "/%61ccounts/login/",
    ] {
        assert_ne!(visitor.get(closed).await.body, "inside", "{closed}");
    }
}

#[tokio::test]
async fn the_login_page_is_open_where_its_redirect_leads() {
    let site = Site::with(|settings| settings.login_url = "/entrée/?x=y".to_owned()).await;
    let app = Router::new()
        .fallback(get(async || "inside"))
        .layer(login_required());
    let mut visitor = site.visitor_of(app);
    let answer = visitor.get("/private").await;
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(location, "/entr%C3%A9e/?x=y&next=/private");
    assert_eq!(visitor.get(&location).await.body, "inside");
}

#[tokio::test]
async fn a_guard_that_was_made_from_another_is_what_it_was_told_to_be() {
    let site = Site::new().await;
    let staff = permission_required("auth.view_user");
    let page = || get(async || "inside");
    let app = Router::new()
        .route("/strict", page())
        .layer(staff.clone().raise_exception());
    let app = app.merge(Router::new().route("/staff", page()).layer(staff));
    let mut visitor = site.visitor_of(app);
    assert_eq!(visitor.get("/strict").await.status, StatusCode::FORBIDDEN);
    assert_eq!(visitor.get("/staff").await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn within_a_nested_router_the_whole_path_is_the_way_back() {
    let site = Site::new().await;
    let inner = Router::new()
        .route("/orders", get(async || "inside"))
        .layer(login_required());
    let mut visitor = site.visitor_of(Router::new().nest("/shop", inner));
    let answer = visitor.get("/shop/orders").await;
    assert_eq!(
        answer.header("location"),
        Some("/accounts/login/?next=/shop/orders")
    );
}
