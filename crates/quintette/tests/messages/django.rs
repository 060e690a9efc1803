//! Against what Django 5.2 stores: `django.json`, made by `django.py`. Both ways, to the byte where nothing is compressed.

use quintette::messages::{Level, Message, Messages};
use quintette::settings::MessageStorageName;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::site::{Site, infos, peek, show, signed_json};

#[derive(Deserialize)]
struct Fixtures {
    encoded: Vec<Encoded>,
    cookie: Vec<Stored>,
    fallback: Vec<Stored>,
    unusual: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Encoded {
    name: String,
    messages: Vec<Plain>,
    cookie: String,
    session: String,
}

#[derive(Clone, Deserialize)]
struct Plain {
    level: i64,
    message: String,
    extra_tags: Option<String>,
    safe: bool,
}

#[derive(Deserialize)]
struct Stored {
    messages: Vec<String>,
    cookie: String,
    in_cookie: usize,
    is_cut: bool,
    session: Option<String>,
    lost: usize,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("django.json")).unwrap()
}

impl Plain {
    fn message(self) -> Message {
        let mut message = Message::new(self.level, self.message);
        if let Some(tags) = self.extra_tags {
            message = message.with_extra_tags(tags);
        }
        if self.safe {
            message.mark_safe()
        } else {
            message
        }
    }
}

fn messages(plain: &[Plain]) -> Vec<Message> {
    plain.iter().cloned().map(Plain::message).collect()
}

/// Adds these, whatever their levels.
fn add(messages: &Messages, list: Vec<Message>) {
    messages.set_level(Level::new(i64::MIN));
    for message in list {
        messages.add_message(message);
    }
}

#[tokio::test]
async fn a_cookie_of_djangos_is_read() {
    for fixture in fixtures().encoded {
        for storage in [MessageStorageName::Cookie, MessageStorageName::Fallback] {
            let expected = messages(&fixture.messages);
            let handler = async move |messages: Messages| {
                assert_eq!(messages.take().await.unwrap(), expected);
            };
            let site = Site::new(storage);
            let mut visitor = site.visitor().with_cookie("messages", &fixture.cookie);
            assert_eq!(visitor.get(handler).await.status, 200, "{}", fixture.name);
            assert_eq!(visitor.in_cookie(), None);
        }
    }
}

#[tokio::test]
async fn a_session_of_djangos_is_read() {
    for fixture in fixtures().encoded {
        let site = Site::new(MessageStorageName::Session);
        let session = site.sessions.session(None);
        session.insert("_messages", &fixture.session).unwrap();
        session.save().await.unwrap();
        let key = session.key().unwrap();
        let expected = messages(&fixture.messages);
        let handler = async move |messages: Messages| {
            assert_eq!(messages.take().await.unwrap(), expected);
        };
        let mut visitor = site.visitor().with_cookie("sessionid", key.as_str());
        assert_eq!(visitor.get(handler).await.status, 200, "{}", fixture.name);
        assert_eq!(visitor.in_session().await, None);
    }
}

#[tokio::test]
async fn the_cookie_is_djangos_to_the_byte() {
    for fixture in fixtures().encoded {
        let list = messages(&fixture.messages);
        let site = Site::new(MessageStorageName::Cookie);
        let mut visitor = site.visitor();
        visitor
            .get(async move |messages: Messages| add(&messages, list))
            .await;
        let cookie = &visitor.cookies["messages"];
        assert_eq!(
            signed_json(cookie),
            signed_json(&fixture.cookie),
            "{}",
            fixture.name
        );
        assert_eq!(
            cookie.starts_with('.'),
            fixture.cookie.starts_with('.'),
            "{}",
            fixture.name
        );
        if !cookie.starts_with('.') {
            let payload = |cookie: &str| cookie.split(':').next().unwrap().to_owned();
            assert_eq!(
                payload(cookie),
                payload(&fixture.cookie),
                "{}",
                fixture.name
            );
        }
    }
}

#[tokio::test]
async fn the_session_is_djangos_to_the_byte() {
    for fixture in fixtures().encoded {
        let list = messages(&fixture.messages);
        let mut visitor = Site::new(MessageStorageName::Session).visitor();
        visitor
            .get(async move |messages: Messages| add(&messages, list))
            .await;
        assert_eq!(
            visitor.in_session().await,
            Some(fixture.session),
            "{}",
            fixture.name
        );
    }
}

#[tokio::test]
async fn as_many_messages_as_in_django_fit_into_the_cookie_and_the_same_ones() {
    let fixtures = fixtures();
    for (storage, cases) in [
        (MessageStorageName::Cookie, fixtures.cookie),
        (MessageStorageName::Fallback, fixtures.fallback),
    ] {
        for case in cases {
            let list = case.messages.clone();
            let add =
                async move |messages: Messages| list.iter().for_each(|text| messages.info(text));
            let mut visitor = Site::new(storage).visitor();
            visitor.get(add).await;
            let cookie = &visitor.cookies["messages"];
            assert!(cookie.len() <= 2048, "{}", cookie.len());
            assert_eq!(signed_json(cookie), signed_json(&case.cookie));
            assert_eq!(visitor.in_session().await, case.session);

            let kept = case.messages.len() - case.lost;
            assert!(case.in_cookie <= kept && case.is_cut);
            assert_eq!(visitor.reads().await.lines().count(), kept);
        }
    }
}

#[tokio::test]
async fn what_django_stored_in_both_is_read_in_its_order_and_flushed_from_both() {
    for case in fixtures().fallback {
        let site = Site::new(MessageStorageName::Fallback);
        let mut visitor = site.visitor().with_cookie("messages", &case.cookie);
        if let Some(text) = &case.session {
            let session = site.sessions.session(None);
            session.insert("_messages", text).unwrap();
            session.save().await.unwrap();
            visitor = visitor.with_cookie("sessionid", session.key().unwrap().as_str());
        }
        let expected = infos(&case.messages);
        assert_eq!(visitor.get(peek).await.body, expected);
        assert_eq!(visitor.get(show).await.body, expected);
        assert_eq!(visitor.in_session().await, None);
        assert_eq!(visitor.get(show).await.body, "");
    }
}

#[tokio::test]
async fn signed_values_that_are_no_messages_are_none() {
    let unusual = fixtures().unusual;
    assert!(unusual.len() > 6);
    for (name, cookie) in unusual {
        let expected = match name.as_str() {
            // Python's strings can hold one.
            "a lone surrogate" => "info:a\u{fffd}b\n",
            _ => "",
        };
        let site = Site::new(MessageStorageName::Fallback);
        let mut visitor = site.visitor().with_cookie("messages", cookie);
        let answer = visitor.get(show).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, expected),
            "{name}"
        );
    }
}
