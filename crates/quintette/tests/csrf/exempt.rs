//! Routes that others may send to.

use axum::Router;
use axum::routing::post;
use http::{Method, StatusCode};
use quintette::csrf::CsrfLayer;

use crate::site::{SECRET, TOKEN, get_request, request, routes, settings};

#[tokio::test]
async fn an_exempt_group_checks_nothing_and_hands_out_tokens() {
    let site = routes().layer(CsrfLayer::new(settings(|_| {})).exempt());
    let evil = request(Method::POST, "/").header("origin", "https://evil.org");
    let answer = evil.form("a=b").to(&site).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "a=b"));
    let answer = get_request("/token").cookie(SECRET).to(&site).await;
    assert_eq!(answer.cookie(), Some(SECRET));
    let answer = request(Method::POST, "/").cookie("bad").to(&site).await;
    assert_eq!(
        answer.cookie().unwrap().len(),
        32,
        "replaced as anywhere else"
    );
}

#[tokio::test]
async fn groups_stand_side_by_side() {
    let csrf = CsrfLayer::new(settings(|_| {}));
    let site = Router::new()
        .route("/order", post(async || "ordered"))
        .layer(csrf.clone())
        .merge(
            Router::new()
                .route("/hook", post(async || "noted"))
                .layer(csrf.exempt()),
        );
    let status = async |path| request(Method::POST, path).to(&site).await.status;
    assert_eq!(status("/order").await, StatusCode::FORBIDDEN);
    assert_eq!(status("/hook").await, StatusCode::OK);
}

#[tokio::test]
async fn exempt_paths_are_compared_whole_also_in_a_nested_router() {
    let csrf = CsrfLayer::new(settings(|_| {})).exempt_paths(["/api/hook", "/public/*"]);
    let site = Router::new()
        .nest(
            "/api",
            Router::new()
                .fallback(async || "nested")
                .layer(csrf.clone()),
        )
        .merge(Router::new().fallback(async || "outer").layer(csrf));
    for (path, status) in [
        ("/api/hook", StatusCode::OK),
        ("/api/hook?a", StatusCode::OK),
        ("/api/public/x", StatusCode::FORBIDDEN),
        ("/api/other", StatusCode::FORBIDDEN),
        ("/hook", StatusCode::FORBIDDEN),
        ("/public/x", StatusCode::OK),
        ("/public/../admin", StatusCode::FORBIDDEN),
        ("/public%2Fx", StatusCode::FORBIDDEN),
    ] {
        let answer = request(Method::POST, path).to(&site).await;
        assert_eq!(answer.status, status, "{path}");
    }
}

#[tokio::test]
async fn of_two_layers_one_sets_the_cookie_and_each_may_check() {
    let csrf = CsrfLayer::new(settings(|_| {}));
    let twice = routes().layer(csrf.clone()).layer(csrf.clone());
    let answer = request(Method::POST, "/token")
        .cookie(SECRET)
        .form_token(TOKEN);
    let answer = answer.to(&twice).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.set_cookies().len(), 1);
    let inner_checks = routes().layer(csrf.clone()).layer(csrf.exempt());
    let answer = request(Method::POST, "/").to(&inner_checks).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_secret_that_is_rotated_behind_the_inner_layer_is_set_a_second_time() {
    use axum::extract::Request;
    use axum::middleware::{Next, from_fn};
    use quintette::csrf::Csrf;

    let csrf = CsrfLayer::new(settings(|_| {}));
    let rotate = async |csrf: Csrf, request: Request, next: Next| {
        let response = next.run(request).await;
        csrf.rotate();
        response
    };
    let site = routes()
        .layer(csrf.clone())
        .layer(from_fn(rotate))
        .layer(csrf);
    let answer = get_request("/token").cookie(SECRET).to(&site).await;
    let [first, second] = answer.set_cookies()[..] else {
        panic!("{answer:?}")
    };
    assert!(
        first.starts_with(&format!("csrftoken={SECRET};")),
        "{first}"
    );
    assert!(!second.contains(SECRET), "{second}");
}
