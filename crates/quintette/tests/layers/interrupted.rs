//! A logout while another request of the same visitor is still at work.

use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use quintette::sessions::{Session, SessionError, SessionErrorKind, SessionLayer, Sessions};
use quintette::settings::SessionEngineName;
use tokio::sync::Notify;

use crate::log::Log;
use crate::site::{ENGINES, Site, Visitor, connect, sure};

/// Where the slow request stands, and whether it may go on.
#[derive(Default)]
struct Steps {
    has_read: Notify,
    may_write: Notify,
}

async fn slow(session: Session, steps: Extension<Arc<Steps>>) -> Result<(), SessionError> {
    session.get::<u64>("n").await?;
    steps.has_read.notify_one();
    sure(steps.may_write.notified()).await;
    session.insert("n", 2)
}

fn app(sessions: Sessions, steps: &Arc<Steps>) -> Router {
    let start = async |session: Session| session.insert("n", 1);
    let read = async |session: Session| -> Result<String, SessionError> {
        Ok(format!("{:?}", session.get::<u64>("n").await?))
    };
    Router::new()
        .route("/start", get(start))
        .route("/read", get(read))
        .route("/slow", get(slow))
        .route(
            "/logout",
            get(async |session: Session| session.flush().await),
        )
        .layer(SessionLayer::new(sessions))
        .layer(Extension(steps.clone()))
}

#[tokio::test]
async fn a_slow_request_does_not_bring_back_a_session_that_was_flushed_meanwhile() {
    for engine in ENGINES {
        if engine == SessionEngineName::SignedCookies {
            // The visitor holds the data, so nothing can be deleted under a request.
            continue;
        }
        let (sessions, _directory) = connect(engine, |_| {}).await;
        let steps = Arc::new(Steps::default());
        let mut visitor = Visitor::new(app(sessions, &steps));
        visitor.get("/start").await;

        let mut other_window = visitor.clone();
        let mut thief = visitor.clone();
        let slow = tokio::spawn(async move { visitor.get("/slow").await });
        sure(steps.has_read.notified()).await;
        other_window.get("/logout").await.assert_cookie_deleted();
        steps.may_write.notify_one();

        let answer = slow.await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{engine}");
        assert!(
            answer.body.contains("logged out"),
            "{engine}: {}",
            answer.body
        );
        assert!(answer.set_cookies().is_empty(), "{engine}");
        assert_eq!(thief.get("/read").await.body, "None", "{engine}");
    }
}

#[tokio::test]
async fn a_request_that_only_reads_is_answered_though_the_session_is_flushed_meanwhile() {
    let site = Site::new();
    let cookie = site.session(&[("n", serde_json::json!(1))]).await;
    let sessions = site.sessions.clone();
    let key = cookie.clone();
    let handler = async move |session: Session| -> Result<String, SessionError> {
        let n = session.get::<u64>("n").await?;
        sessions.session(Some(&key)).flush().await?;
        Ok(format!("{n:?}"))
    };
    let answer = site.visitor(handler).with_cookie(cookie).get("/").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "Some(1)"));
}

#[tokio::test]
async fn an_interruption_is_the_visitors_doing_and_no_error_in_the_log() {
    let log = Log::capture();
    let site = Site::new();
    let cookie = site.session(&[("n", serde_json::json!(1))]).await;
    let sessions = site.sessions.clone();
    let key = cookie.clone();
    let handler = async move |session: Session| -> Result<(), SessionError> {
        session.get::<u64>("n").await?;
        sessions.session(Some(&key)).flush().await?;
        session.insert("n", 2)?;
        let error = session.save().await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Interrupted);
        Err(error)
    };
    let answer = site.visitor(handler).with_cookie(&cookie).get("/").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.count().await, 0);
    let lines = log.lines();
    assert!(!lines.is_empty());
    assert!(
        lines.iter().all(|line| line.starts_with("INFO")),
        "{lines:?}"
    );
    assert!(!lines.concat().contains(&cookie), "{lines:?}");
}
