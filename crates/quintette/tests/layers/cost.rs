//! What a request costs the store, and what its response carries for it.

use http::StatusCode;
use quintette::sessions::{Session, SessionError};
use quintette_testkit::Operation;
use serde_json::json;

use crate::site::Site;

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.get::<u64>("n").await?))
}

async fn count(session: Session) -> Result<String, SessionError> {
    let n = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1);
    Ok(n.await?.to_string())
}

#[tokio::test]
async fn an_untouched_session_costs_nothing_and_leaves_the_response_as_it_was() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let answer = site
        .visitor(async || "hello")
        .with_cookie(cookie)
        .get("/")
        .await;
    assert_eq!(answer.body, "hello");
    assert_eq!(site.counter.take_calls(), []);
    assert!(answer.vary().is_empty() && answer.set_cookies().is_empty());
}

#[tokio::test]
async fn taking_the_session_without_using_it_costs_nothing_either() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let handler = async |session: Session| session.is_empty().to_string();
    let answer = site.visitor(handler).with_cookie(cookie).get("/").await;
    assert_eq!(answer.body, "false");
    assert_eq!(site.counter.take_calls(), []);
    assert!(answer.vary().is_empty() && answer.set_cookies().is_empty());
}

#[tokio::test]
async fn a_visitor_without_a_cookie_who_reads_costs_nothing_but_the_response_varies() {
    let site = Site::new();
    let answer = site.visitor(read).get("/").await;
    assert_eq!(answer.body, "None");
    assert_eq!(site.counter.take_calls(), []);
    assert_eq!(answer.vary(), ["Cookie"]);
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn reading_is_one_load_and_the_response_varies() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let handler = async |session: Session| -> Result<String, SessionError> {
        let other = session.clone();
        let n = session.get::<u64>("n").await?.unwrap();
        Ok(format!("{n} {}", other.contains("m").await?))
    };
    let answer = site.visitor(handler).with_cookie(cookie).get("/").await;
    assert_eq!(answer.body, "1 false");
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    assert_eq!(answer.vary(), ["Cookie"]);
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn reading_and_writing_are_two_calls() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let mut visitor = site.visitor(count).with_cookie(&cookie);
    let answer = visitor.get("/").await;
    assert_eq!(answer.body, "2");
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Replace]
    );
    assert_eq!(answer.vary(), ["Cookie"]);
    assert_eq!(answer.cookie(), Some(cookie.as_str()));
    assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":2}"#);
}

#[tokio::test]
async fn writing_without_reading_is_two_calls_past_any_cache() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let handler = async |session: Session| session.insert("m", 2);
    site.visitor(handler).with_cookie(&cookie).get("/").await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::LoadForUpdate, Operation::Replace]
    );
    assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":1,"m":2}"#);
}

#[tokio::test]
async fn a_new_session_is_one_call() {
    let site = Site::new();
    let mut visitor = site.visitor(count);
    let answer = visitor.get("/").await;
    assert_eq!(site.counter.take_calls(), [Operation::Create]);
    assert_eq!(answer.vary(), ["Cookie"]);
    let cookie = visitor.cookie.unwrap();
    assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":1}"#);
}

#[tokio::test]
async fn a_login_that_inserts_before_it_cycles_is_three_calls() {
    let site = Site::new();
    let cookie = site.session(&[("cart", json!([1]))]).await;
    let handler = async |session: Session| -> Result<(), SessionError> {
        session.insert("user", 42)?;
        session.cycle_key().await
    };
    let mut visitor = site.visitor(handler).with_cookie(&cookie);
    visitor.get("/").await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Create, Operation::Delete]
    );
    let new = site.stored(&visitor.cookie.unwrap()).await.unwrap();
    assert_eq!(new, r#"{"cart":[1],"user":42}"#);
}

#[tokio::test]
async fn a_login_that_cycles_before_it_inserts_is_four_calls() {
    let site = Site::new();
    let cookie = site.session(&[("cart", json!([1]))]).await;
    let handler = async |session: Session| -> Result<(), SessionError> {
        session.cycle_key().await?;
        session.insert("user", 42)
    };
    let mut visitor = site.visitor(handler).with_cookie(&cookie);
    visitor.get("/").await;
    assert_eq!(
        site.counter.take_calls(),
        [
            Operation::Load,
            Operation::Create,
            Operation::Delete,
            Operation::Replace
        ]
    );
    assert_eq!(site.stored(&cookie).await, None);
    let new = site.stored(&visitor.cookie.unwrap()).await.unwrap();
    assert_eq!(new, r#"{"cart":[1],"user":42}"#);
}

#[tokio::test]
async fn a_logout_is_one_call_and_the_browser_forgets_the_cookie() {
    let site = Site::new();
    let cookie = site.session(&[("user", json!(42))]).await;
    let handler = async |session: Session| session.flush().await;
    let mut visitor = site.visitor(handler).with_cookie(cookie);
    let answer = visitor.get("/").await;
    assert_eq!(site.counter.take_calls(), [Operation::Delete]);
    answer.assert_cookie_deleted();
    assert_eq!(answer.vary(), ["Cookie"]);
    assert_eq!(site.count().await, 0);
}

#[tokio::test]
async fn a_server_error_saves_nothing_and_sets_no_cookie() {
    for status in [500, 503, 599] {
        let site = Site::new();
        let cookie = site.session(&[("n", json!(1))]).await;
        let handler = async move |session: Session| {
            session.insert("n", 2).unwrap();
            StatusCode::from_u16(status).unwrap()
        };
        let answer = site.visitor(handler).with_cookie(&cookie).get("/").await;
        assert_eq!(answer.status, status);
        assert_eq!(site.counter.take_calls(), [], "{status}");
        assert!(answer.set_cookies().is_empty(), "{status}");
        assert_eq!(answer.vary(), ["Cookie"], "{status}");
        assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":1}"#);

        let answer = site.visitor(handler).get("/").await;
        assert!(answer.set_cookies().is_empty(), "{status}");
        assert_eq!(site.count().await, 1, "{status}");
    }
}

#[tokio::test]
async fn any_other_status_saves() {
    for status in [204, 302, 404, 499] {
        let site = Site::new();
        let cookie = site.session(&[("n", json!(1))]).await;
        let handler = async move |session: Session| {
            session.insert("n", 2).unwrap();
            StatusCode::from_u16(status).unwrap()
        };
        let answer = site.visitor(handler).with_cookie(&cookie).get("/").await;
        assert_eq!(answer.cookie(), Some(cookie.as_str()), "{status}");
        assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":2}"#);
    }
}

#[tokio::test]
async fn what_was_saved_before_a_server_error_stays_saved() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let handler = async |session: Session| {
        session.insert("n", 2).unwrap();
        session.save().await.unwrap();
        session.insert("n", 3).unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    site.visitor(handler).with_cookie(&cookie).get("/").await;
    assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":2}"#);
}

#[tokio::test]
async fn a_logout_that_ends_in_a_server_error_is_a_logout() {
    let site = Site::new();
    let cookie = site.session(&[("user", json!(42))]).await;
    let handler = async |session: Session| {
        session.flush().await.unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let answer = site.visitor(handler).with_cookie(cookie).get("/").await;
    answer.assert_cookie_deleted();
    assert_eq!(site.count().await, 0);
}

#[tokio::test]
async fn saving_every_request_touches_and_renews_the_cookie_of_an_untouched_session() {
    let site = Site::with(|settings| settings.session_save_every_request = true);
    let cookie = site.session(&[("n", json!(1))]).await;
    let mut visitor = site.visitor(async || "hello").with_cookie(&cookie);
    let answer = visitor.get("/").await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Touch]
    );
    assert_eq!(answer.cookie(), Some(cookie.as_str()));
    assert_eq!(answer.vary(), ["Cookie"]);
}

#[tokio::test]
async fn saving_every_request_makes_no_session_for_a_visitor_who_has_none() {
    let site = Site::with(|settings| settings.session_save_every_request = true);
    let answer = site.visitor(async || "hello").get("/").await;
    assert_eq!(site.counter.take_calls(), []);
    assert!(answer.set_cookies().is_empty());
    assert_eq!(site.count().await, 0);
}
