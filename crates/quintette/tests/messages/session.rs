//! The session: the groups of `tests/messages_tests/test_session.py` in Django.

use quintette::messages::Messages;
use quintette::sessions::Session;
use quintette::settings::MessageStorageName;
use quintette_testkit::Operation;
use serde_json::json;

use crate::site::{Site, show};

#[tokio::test]
async fn messages_are_a_text_in_the_session_and_no_cookie_carries_them() {
    let mut visitor = Site::new(MessageStorageName::Session).visitor();
    let answer = visitor
        .get(async |messages: Messages| messages.info("é\""))
        .await;
    assert_eq!(answer.messages_cookie(), None);
    assert_eq!(
        visitor.in_session().await.unwrap(),
        r#"[["__json_message", 0, 20, "\u00e9\"", ""]]"#
    );
}

#[tokio::test]
async fn the_rest_of_the_session_stays_as_it_is() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = site.visitor();
    visitor
        .get(async |session: Session| session.insert("cart", [1, 2]))
        .await;
    visitor
        .get(async |messages: Messages| messages.info("a"))
        .await;
    visitor.reads().await;
    let cart = async |session: Session| session.raw("cart").await.unwrap().unwrap().to_string();
    assert_eq!(visitor.get(cart).await.body, "[1,2]");
}

#[tokio::test]
async fn a_message_is_a_read_and_a_write_and_so_is_showing_it() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = site.visitor();
    let add = async |messages: Messages| messages.info("a");
    visitor.get(add).await;
    assert_eq!(site.counter.take_calls(), [Operation::Create]);
    visitor.get(add).await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Replace]
    );
    visitor.reads().await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Replace]
    );
    let answer = visitor.get(show).await;
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    assert!(answer.set_cookies.is_empty());
}

#[tokio::test]
async fn looking_for_messages_makes_no_session() {
    let site = Site::new(MessageStorageName::Session);
    let answer = site.visitor().get(show).await;
    assert_eq!(site.counter.take_calls(), []);
    assert!(answer.set_cookies.is_empty());
    assert_eq!(answer.vary, ["Cookie"]);
}

#[tokio::test]
async fn what_is_no_list_of_messages_is_none_and_is_replaced() {
    for value in [
        json!("no JSON"),
        json!("{}"),
        json!(7),
        json!(["a"]),
        json!(null),
        json!({}),
    ] {
        let site = Site::new(MessageStorageName::Session);
        let session = site.sessions.session(None);
        session.insert("_messages", &value).unwrap();
        session.save().await.unwrap();
        let key = session.key().unwrap();
        let mut visitor = site.visitor().with_cookie("sessionid", key.as_str());
        let answer = visitor.get(show).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, ""),
            "{value}"
        );
        visitor
            .get(async |messages: Messages| messages.info("a"))
            .await;
        assert_eq!(visitor.reads().await, "info:a\n", "{value}");
    }
}
