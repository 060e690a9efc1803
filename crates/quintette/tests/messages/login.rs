//! What becomes of messages when the session gets a new key, or ends: what logins and logouts do.

use quintette::messages::Messages;
use quintette::sessions::Session;
use quintette::settings::MessageStorageName;

use crate::site::{STORAGES, Site};

#[tokio::test]
async fn messages_survive_a_login() {
    for storage in STORAGES {
        let mut visitor = Site::new(storage).visitor();
        visitor
            .get(async |messages: Messages| messages.info("before"))
            .await;
        let login = async |messages: Messages, session: Session| {
            messages.info("early");
            session.cycle_key().await.unwrap();
            messages.info("late");
        };
        visitor.get(login).await;
        let expected = "info:before\ninfo:early\ninfo:late\n";
        assert_eq!(visitor.reads().await, expected, "{storage}");
    }
}

#[tokio::test]
async fn what_a_logout_adds_is_shown_after_it() {
    for storage in STORAGES {
        let mut visitor = Site::new(storage).visitor();
        visitor
            .get(async |session: Session| session.insert("user", 1))
            .await;
        let before = visitor.cookies["sessionid"].clone();
        let logout = async |messages: Messages, session: Session| {
            messages.info("early");
            session.flush().await.unwrap();
            messages.info("late");
        };
        visitor.get(logout).await;
        assert_ne!(visitor.cookies.get("sessionid"), Some(&before), "{storage}");
        assert_eq!(
            visitor.reads().await,
            "info:early\ninfo:late\n",
            "{storage}"
        );
    }
}

#[tokio::test]
async fn what_waited_in_a_session_that_was_flushed_is_gone_with_it() {
    for (storage, expected) in [
        (MessageStorageName::Session, "info:after\n"),
        (MessageStorageName::Cookie, "info:before\ninfo:after\n"),
    ] {
        let mut visitor = Site::new(storage).visitor();
        visitor
            .get(async |messages: Messages| messages.info("before"))
            .await;
        let logout = async |messages: Messages, session: Session| {
            session.flush().await.unwrap();
            messages.info("after");
        };
        visitor.get(logout).await;
        assert_eq!(visitor.reads().await, expected, "{storage}");
    }
}

#[tokio::test]
async fn what_was_read_before_the_flush_stays() {
    // As in Django, which has them in the request by then.
    let mut visitor = Site::new(MessageStorageName::Session).visitor();
    visitor
        .get(async |messages: Messages| messages.info("before"))
        .await;
    let logout = async |messages: Messages, session: Session| {
        messages.len().await.unwrap();
        session.flush().await.unwrap();
        messages.info("after");
    };
    visitor.get(logout).await;
    assert_eq!(visitor.reads().await, "info:before\ninfo:after\n");
}
