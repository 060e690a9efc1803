//! Responses that are still being written while the visitor reads them.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::handler::Handler;
use axum::routing::get;
use axum::{Extension, Router};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use quintette::sessions::{Session, SessionLayer};
use serde_json::json;
use tokio::sync::oneshot;
use tower::ServiceExt;

use crate::body::{Source, Stream, stream};
use crate::log::Log;
use crate::site::{Site, sure};

/// The response of a handler, as it is when its head is there.
async fn respond<H: Handler<T, ()>, T: 'static>(
    site: &Site,
    handler: H,
    cookie: Option<&str>,
) -> Response<Body> {
    let app = Router::new()
        .route("/", get(handler))
        .layer(SessionLayer::new(site.sessions.clone()));
    let mut request = Request::new(Body::empty());
    if let Some(cookie) = cookie {
        let value = HeaderValue::try_from(format!("sessionid={cookie}")).unwrap();
        request.headers_mut().insert(header::COOKIE, value);
    }
    sure(app.oneshot(request)).await.unwrap()
}

async fn next(body: &mut Body) -> Option<String> {
    let frame = sure(body.frame()).await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().into()).unwrap())
}

/// A handler that changes `n` to 1, or leaves the session untouched, and answers with a stream; once the test says
/// go, `n` becomes 2 while the stream runs.
struct Late {
    site: Site,
    cookie: String,
    log: Log,
}

impl Late {
    async fn new() -> Self {
        let log = Log::capture();
        let site = Site::new();
        let cookie = site.session(&[("n", json!(0))]).await;
        Self { site, cookie, log }
    }

    async fn run(&self, touch_before: bool, save_after: bool) {
        let (go, gone) = oneshot::channel();
        let gone = Arc::new(Mutex::new(Some(gone)));
        let handler = async move |session: Session, gone: Extension<Gone>| {
            if touch_before {
                session.insert("n", 1).unwrap();
            }
            let (source, body) = stream();
            let gone = gone.lock().unwrap().take().unwrap();
            tokio::spawn(write_late(session, source, gone, save_after));
            Response::new(Body::new(body))
        };
        let handler = handler.layer(Extension(gone));
        let response = respond(&self.site, handler, Some(&self.cookie)).await;
        let before = if touch_before {
            r#"{"n":1}"#
        } else {
            r#"{"n":0}"#
        };
        assert_eq!(self.stored().await, before);
        go.send(()).unwrap();
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap(), "late");
        assert_eq!(next(&mut body).await, None);
    }

    async fn stored(&self) -> String {
        self.site.stored(&self.cookie).await.unwrap()
    }

    fn warnings(&self) -> Vec<String> {
        self.log.lines()
    }
}

type Gone = Arc<Mutex<Option<oneshot::Receiver<()>>>>;

async fn write_late(session: Session, source: Source, gone: oneshot::Receiver<()>, save: bool) {
    gone.await.unwrap();
    source.send("late");
    session.insert("n", 2).unwrap();
    if save {
        session.save().await.unwrap();
    }
    // The stream ends when all of this is done: the session goes first.
    drop(session);
    drop(source);
}

#[tokio::test]
async fn a_stream_passes_through_chunk_by_chunk_with_the_cookie_in_front() {
    let site = Site::new();
    let (source, body) = stream();
    let body = Arc::new(Mutex::new(Some(body)));
    let handler = async |session: Session, body: Extension<Arc<Mutex<Option<Stream>>>>| {
        session.insert("n", 1).unwrap();
        Response::new(Body::new(body.lock().unwrap().take().unwrap()))
    };
    let response = respond(&site, handler.layer(Extension(body)), None).await;
    assert!(response.headers().contains_key(header::SET_COOKIE));
    assert_eq!(site.count().await, 1, "stored before the first byte");

    let mut body = response.into_body();
    source.send("first");
    assert_eq!(next(&mut body).await.unwrap(), "first");
    source.send("second");
    assert_eq!(next(&mut body).await.unwrap(), "second");
    let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"x\""))]);
    source.trailers(trailers.clone());
    let last = sure(body.frame()).await.unwrap().unwrap();
    assert_eq!(last.into_trailers().unwrap(), trailers);
    drop(source);
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn what_a_stream_changes_and_saves_is_stored() {
    for touch_before in [true, false] {
        let late = Late::new().await;
        late.run(touch_before, true).await;
        assert_eq!(
            late.stored().await,
            r#"{"n":2}"#,
            "touched before: {touch_before}"
        );
        assert!(late.warnings().is_empty(), "{:?}", late.warnings());
    }
}

#[tokio::test]
async fn what_a_stream_changes_and_does_not_save_is_lost_and_logged() {
    let late = Late::new().await;
    late.run(true, false).await;
    assert_eq!(late.stored().await, r#"{"n":1}"#);
    let warnings = late.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("WARN") && warnings[0].contains("save().await"));
    assert!(!warnings[0].contains(&late.cookie));
}

#[tokio::test]
async fn the_loss_is_logged_though_the_handler_had_not_touched_the_session() {
    let late = Late::new().await;
    late.run(false, false).await;
    assert_eq!(late.stored().await, r#"{"n":0}"#);
    assert_eq!(late.warnings().len(), 1, "{:?}", late.warnings());
}

#[tokio::test]
async fn a_server_error_that_drops_changes_is_no_loss_to_log() {
    let log = Log::capture();
    let site = Site::new();
    let handler = async |session: Session| {
        session.insert("n", 1).unwrap();
        http::StatusCode::INTERNAL_SERVER_ERROR
    };
    site.visitor(handler).get("/").await;
    assert!(log.lines().is_empty(), "{:?}", log.lines());
}
