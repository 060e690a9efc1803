//! Applications that are put together wrongly: the answer names the mend.

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use quintette::sessions::{Session, SessionLayer, TimeoutLayer};

use crate::log::Log;
use crate::site::{Site, Visitor, settings};

#[tokio::test]
async fn a_handler_without_the_layer_answers_with_the_line_to_add() {
    let log = Log::capture();
    let app = Router::new().route("/", get(async |_: Session| "never"));
    let answer = Visitor::new(app).get("/").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let line = ".layer(quintette::sessions::SessionLayer::new(sessions))";
    assert!(answer.body.contains(line), "{}", answer.body);
    let [logged] = &log.lines()[..] else {
        panic!("{:?}", log.lines());
    };
    assert!(
        logged.starts_with("ERROR") && logged.contains(line),
        "{logged}"
    );
}

#[tokio::test]
async fn a_session_that_is_optional_is_none_without_the_layer_and_some_with_it() {
    let handler = async |session: Option<Session>| session.is_some().to_string();
    let app = Router::new().route("/", get(handler));
    let answer = Visitor::new(app).get("/").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "false"));
    let answer = Site::new().visitor(handler).get("/").await;
    assert_eq!(answer.body, "true");
}

#[tokio::test]
async fn routes_that_are_added_after_the_layer_have_no_session() {
    let app = Router::new()
        .route("/", get(async |_: Session| "inside"))
        .layer(SessionLayer::new(Site::new().sessions))
        .route("/late", get(async |_: Session| "outside"));
    let mut visitor = Visitor::new(app);
    assert_eq!(visitor.get("/").await.status, StatusCode::OK);
    let answer = visitor.get("/late").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains("after its routes"), "{}", answer.body);
}

#[tokio::test]
async fn a_timeout_layer_outside_the_session_layer_answers_with_the_order() {
    let log = Log::capture();
    let app = Router::new()
        .route("/", get(async || "never"))
        .layer(SessionLayer::new(Site::new().sessions))
        .layer(TimeoutLayer::new(&settings()));
    let answer = Visitor::new(app).get("/").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    for part in [
        ".layer(quintette::sessions::SessionLayer::new(sessions))",
        "after",
        "outside of",
        "TimeoutLayer",
    ] {
        assert!(answer.body.contains(part), "{part}: {}", answer.body);
    }
    assert!(log.lines()[0].starts_with("ERROR"), "{:?}", log.lines());
}
