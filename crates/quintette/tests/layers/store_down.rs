//! A store that does not answer: a 503 that tells the visitor nothing, and no cookie for what was not stored.

use http::{StatusCode, header};
use quintette::sessions::{Session, SessionError};
use quintette_testkit::{Operation, When};
use serde_json::json;

use crate::log::Log;
use crate::site::{Answer, Site};

async fn count(session: Session) -> Result<String, SessionError> {
    let n = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1);
    Ok(n.await?.to_string())
}

async fn write(session: Session) -> Result<&'static str, SessionError> {
    session.insert("n", 2)?;
    Ok("the handler's own")
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.body,
        "The session store is unavailable. Try again in a moment."
    );
    let [seconds] = answer.all(header::RETRY_AFTER)[..] else {
        panic!("{answer:?}");
    };
    assert!(seconds.parse::<u32>().unwrap() > 0);
    let [kind] = answer.all(header::CONTENT_TYPE)[..] else {
        panic!("{answer:?}");
    };
    assert_eq!(kind, "text/plain; charset=utf-8");
    assert!(answer.set_cookies().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_handler_that_cannot_read_passes_the_error_on_as_503() {
    let log = Log::capture();
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let mut visitor = site.visitor(count).with_cookie(&cookie);
    site.gates.fail(When::Before, Operation::Load);
    assert_unavailable(&visitor.get("/").await);
    let lines = log.lines();
    assert!(
        lines[0].starts_with("ERROR") && lines[0].contains("load was made to fail"),
        "{lines:?}"
    );
    assert!(!lines.concat().contains(&cookie), "{lines:?}");

    site.gates.recover();
    assert_eq!(
        visitor.get("/").await.body,
        "2",
        "the visitor is still known"
    );
}

#[tokio::test]
async fn a_save_that_fails_replaces_the_handlers_response() {
    for (operation, new) in [(Operation::Replace, false), (Operation::Create, true)] {
        for when in [When::Before, When::After] {
            let log = Log::capture();
            let site = Site::new();
            let cookie = site.session(&[("n", json!(1))]).await;
            let mut visitor = site.visitor(write);
            visitor.cookie = (!new).then(|| cookie.clone());
            site.gates.fail(when, operation);
            assert_unavailable(&visitor.get("/").await);
            let logged = log.lines().concat();
            assert!(logged.contains("was made to fail"), "{logged}");
            assert!(!logged.contains(&cookie), "{logged}");

            site.gates.recover();
            let answer = visitor.get("/").await;
            assert_eq!(answer.body, "the handler's own");
            assert_eq!(
                site.stored(answer.cookie().unwrap()).await.unwrap(),
                r#"{"n":2}"#
            );
        }
    }
}

#[tokio::test]
async fn a_logout_that_fails_is_no_logout() {
    let site = Site::new();
    let cookie = site.session(&[("user", json!(42))]).await;
    let logout = async |session: Session| session.flush().await;
    let mut visitor = site.visitor(logout).with_cookie(&cookie);
    site.gates.fail(When::Before, Operation::Delete);
    assert_unavailable(&visitor.get("/").await);
    assert!(site.stored(&cookie).await.is_some());

    site.gates.recover();
    visitor.get("/").await.assert_cookie_deleted();
    assert_eq!(site.stored(&cookie).await, None);
}

#[tokio::test]
async fn a_handler_that_can_do_without_the_session_still_answers() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let handler = async |session: Session| match session.get::<u64>("n").await {
        Ok(_) => "with",
        Err(_) => "without",
    };
    let mut visitor = site.visitor(handler).with_cookie(&cookie);
    site.gates.fail(When::Before, Operation::Load);
    let answer = visitor.get("/").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "without"));
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn pages_that_need_no_session_do_not_notice() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    for operation in [Operation::Load, Operation::LoadForUpdate] {
        site.gates.fail(When::Before, operation);
    }
    let mut visitor = site.visitor(async || "hello").with_cookie(cookie);
    assert_eq!(visitor.get("/").await.body, "hello");
}

#[tokio::test]
async fn a_value_of_another_type_is_a_500_that_names_nothing() {
    let log = Log::capture();
    let site = Site::new();
    let cookie = site.session(&[("card", json!("4111-1111"))]).await;
    let handler = async |session: Session| -> Result<String, SessionError> {
        Ok(session.get::<u64>("card").await?.unwrap().to_string())
    };
    let answer = site.visitor(handler).with_cookie(cookie).get("/").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.all(header::RETRY_AFTER).is_empty());
    assert!(
        !answer.body.contains("card") && !answer.body.contains("4111"),
        "{}",
        answer.body
    );
    let [line] = &log.lines()[..] else {
        panic!("{:?}", log.lines());
    };
    assert!(line.contains("card"), "{line}");
    assert!(
        !line.contains("4111"),
        "the log has what a visitor told: {line}"
    );
}
