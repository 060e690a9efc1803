//! The layer: `tests/messages_tests/test_middleware.py` in Django, its place, its cost, and failures of the store.

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::response::AppendHeaders;
use axum::routing::any;
use http::{HeaderMap, Request, StatusCode, header};
use quintette::messages::{Messages, MessagesLayer};
use quintette::sessions::{Session, SessionLayer};
use quintette::settings::MessageStorageName;
use quintette_testkit::{Operation, When};
use tower::ServiceExt;

use crate::site::{Answer, STORAGES, Site, show};

/// The answer of a page that is this handler to a request with these headers.
pub(crate) async fn send<H: Handler<T, ()>, T: 'static>(
    site: &Site,
    headers: HeaderMap,
    handler: H,
) -> Answer {
    let app = Router::new()
        .fallback(any(handler))
        .layer(MessagesLayer::new(site.sessions.settings()))
        .layer(SessionLayer::new(site.sessions.clone()));
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers;
    Answer::read(app.oneshot(request).await.unwrap()).await
}

async fn answer(app: Router) -> Answer {
    Answer::read(app.oneshot(Request::new(Body::empty())).await.unwrap()).await
}

#[tokio::test]
async fn untouched_messages_cost_nothing_and_leave_the_response_as_it_was() {
    for storage in STORAGES {
        let site = Site::new(storage);
        let mut visitor = site.visitor();
        visitor
            .get(async |messages: Messages| messages.info("a"))
            .await;
        site.counter.take_calls();
        for answer in [
            visitor.get(async || "hello").await,
            visitor.get(async |_: Messages| "hello").await,
        ] {
            assert_eq!(answer.body, "hello");
            assert!(
                answer.set_cookies.is_empty() && answer.vary.is_empty(),
                "{storage}"
            );
        }
        assert_eq!(site.counter.take_calls(), [], "{storage}");
    }
}

#[tokio::test]
async fn a_handler_without_the_layer_answers_with_the_line_to_add() {
    let app = Router::new().fallback(any(async |_: Messages| "never"));
    let answer = answer(app).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let line = ".layer(quintette::messages::MessagesLayer::new(&settings))";
    assert!(answer.body.contains(line), "{}", answer.body);
}

#[tokio::test]
async fn messages_that_are_optional_are_none_without_the_layer_and_some_with_it() {
    let handler = async |messages: Option<Messages>| messages.is_some().to_string();
    let app = Router::new().fallback(any(handler));
    assert_eq!(answer(app).await.body, "false");
    let site = Site::new(MessageStorageName::Fallback);
    assert_eq!(site.visitor().get(handler).await.body, "true");
}

#[tokio::test]
async fn the_layer_without_sessions_answers_with_the_order_where_it_needs_them() {
    for storage in STORAGES {
        let site = Site::new(storage);
        let app = Router::new()
            .fallback(any(async |_: Messages| "hello"))
            .layer(SessionLayer::new(site.sessions.clone()))
            .layer(MessagesLayer::new(site.sessions.settings()));
        let answer = answer(app).await;
        if storage == MessageStorageName::Cookie {
            assert_eq!(answer.body, "hello");
            continue;
        }
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        for part in [
            ".layer(quintette::sessions::SessionLayer::new(sessions))",
            "outside of",
        ] {
            assert!(answer.body.contains(part), "{part}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn the_cookie_joins_those_of_the_handler_and_comes_before_the_sessions() {
    let site = Site::new(MessageStorageName::Fallback);
    let handler = async |messages: Messages, session: Session| {
        messages.info("a");
        session.insert("n", 1).unwrap();
        AppendHeaders([(header::SET_COOKIE, "theme=dark")])
    };
    let answer = site.visitor().get(handler).await;
    let names = answer
        .set_cookies
        .iter()
        .map(|header| header.split('=').next().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["theme", "messages", "sessionid"]
    );
}

#[tokio::test]
async fn a_server_error_saves_no_session_but_sets_the_cookie() {
    let failing = async |messages: Messages| {
        messages.info("a");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    for (storage, expected) in [
        (MessageStorageName::Cookie, "info:a\n"),
        (MessageStorageName::Session, ""),
    ] {
        let mut visitor = Site::new(storage).visitor();
        assert_eq!(visitor.get(failing).await.status, 500);
        assert_eq!(visitor.reads().await, expected);
    }
}

#[tokio::test]
async fn a_page_that_failed_has_not_shown_the_messages_of_the_session() {
    let mut visitor = Site::new(MessageStorageName::Session).visitor();
    visitor
        .get(async |messages: Messages| messages.info("a"))
        .await;
    let failing = async |messages: Messages| {
        show(messages).await.unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    visitor.get(failing).await;
    assert_eq!(visitor.reads().await, "info:a\n");
}

#[tokio::test]
async fn where_the_store_is_down_reading_says_so_and_the_messages_stay() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = site.visitor();
    visitor
        .get(async |messages: Messages| messages.info("a"))
        .await;
    site.gates.fail(When::Before, Operation::Load);
    assert_eq!(
        visitor.get(show).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    site.gates.recover();
    assert_eq!(visitor.reads().await, "info:a\n");
}

#[tokio::test]
async fn where_the_store_is_down_no_message_is_reported_as_stored() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = site.visitor();
    visitor
        .get(async |messages: Messages| messages.info("a"))
        .await;
    let add = async |messages: Messages| messages.info("b");
    for operation in [Operation::Load, Operation::Replace] {
        site.gates.fail(When::Before, operation);
        let answer = visitor.get(add).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{operation:?}"
        );
        site.gates.recover();
    }
    assert_eq!(visitor.reads().await, "info:a\n");
}
