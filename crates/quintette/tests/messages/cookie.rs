//! The cookie: the groups of `tests/messages_tests/test_cookie.py` in Django.

use std::sync::{Arc, Mutex};

use quintette::messages::{Message, Messages};
use quintette::settings::{MessageStorageName, SameSite, Settings};
use quintette::signing::Keys;

use crate::log::Log;
use crate::site::{SECRET_KEY, Site, infos, show, signed_json, text};

fn strict(settings: &mut Settings) {
    settings.session_cookie_domain = Some(".example.com".into());
    settings.session_cookie_path = "/shop/".into();
    settings.session_cookie_secure = true;
    settings.session_cookie_httponly = true;
    settings.session_cookie_samesite = SameSite::Strict;
}

#[tokio::test]
async fn the_cookie_has_the_attributes_of_the_sessions_but_ends_with_the_browser() {
    let mut visitor = Site::with(MessageStorageName::Cookie, strict).visitor();
    let answer = visitor
        .get(async |messages: Messages| messages.info("test"))
        .await;
    let header = answer.messages_cookie().unwrap();
    let (pair, attributes) = header.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Domain=.example.com; HttpOnly; Path=/; SameSite=Strict; Secure"
    );
    let json = signed_json(pair.strip_prefix("messages=").unwrap());
    assert_eq!(json, r#"[["__json_message",0,20,"test",""]]"#);
}

#[tokio::test]
async fn the_cookie_is_deleted_where_it_was_set() {
    let mut visitor = Site::with(MessageStorageName::Cookie, strict).visitor();
    let handler = async |messages: Messages| {
        messages.info("test");
        show(messages).await
    };
    let answer = visitor.get(handler).await;
    assert_eq!(
        answer.messages_cookie(),
        Some(
            "messages=\"\"; Domain=.example.com; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; \
             SameSite=Strict"
        )
    );
}

#[tokio::test]
async fn where_there_is_no_room_the_oldest_are_lost() {
    let mut visitor = Site::new(MessageStorageName::Cookie).visitor();
    // Four of these fit, and five do not.
    let texts: Vec<String> = (0..5).map(|number| text(number, 400)).collect();
    let list = texts.clone();
    visitor
        .get(async move |messages: Messages| list.iter().for_each(|text| messages.info(text)))
        .await;
    let [in_cookie, in_session] = visitor.stored().await;
    assert_eq!(in_cookie[..4], texts[1..]);
    assert_eq!(in_cookie[4..], ["__messagesnotfinished__"]);
    assert!(in_session.is_empty());
    let shown = infos(&texts[1..]);
    assert_eq!(visitor.reads().await, shown);
}

#[tokio::test]
async fn a_message_too_long_for_any_cookie_is_lost_and_the_response_is_not() {
    let mut visitor =
        Site::with(MessageStorageName::Cookie, |settings| settings.debug = true).visitor();
    let handler = async |messages: Messages| {
        messages.info(text(1, 5_000));
        "done"
    };
    let answer = visitor.get(handler).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "done"));
    assert_eq!(
        visitor.in_cookie().unwrap(),
        r#"["__messagesnotfinished__"]"#
    );
    assert_eq!(visitor.reads().await, "");
}

#[tokio::test]
async fn the_cookie_stays_within_its_size_whatever_is_added() {
    let mut visitor = Site::new(MessageStorageName::Cookie).visitor();
    for number in 0..200 {
        let length = usize::try_from(number * 7919 % 700).unwrap();
        visitor
            .get(async move |messages: Messages| messages.info(text(number, length)))
            .await;
        let size = visitor.cookies.get("messages").map_or(0, String::len);
        assert!(size <= 2048, "{size}");
    }
}

#[tokio::test]
async fn what_no_header_could_carry_is_no_matter_in_a_message() {
    let mut visitor = Site::new(MessageStorageName::Cookie).visitor();
    let hostile = "a\r\nSet-Cookie: b=c; \\te,st \";m\"e \u{2019} 123\"NOT\"\u{0}";
    let answer = visitor
        .get(async move |messages: Messages| messages.info(hostile))
        .await;
    let header = answer.messages_cookie().unwrap();
    assert_eq!(answer.set_cookies.len(), 1);
    let value = header.split("; ").next().unwrap();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"=-_.:".contains(&byte);
    assert!(value.bytes().all(plain), "{value}");
    assert_eq!(visitor.reads().await, format!("info:{hostile}\n"));
}

#[tokio::test]
async fn a_cookie_signed_with_an_older_key_is_read_and_the_new_key_signs() {
    let mut before = Site::new(MessageStorageName::Cookie).visitor();
    before
        .get(async |messages: Messages| messages.info("before"))
        .await;
    let old = before.cookies["messages"].clone();

    let rotated = Site::with(MessageStorageName::Cookie, |settings| {
        settings.secret_key = Keys::new("a key that came later").with_fallbacks([SECRET_KEY]);
    });
    let mut visitor = rotated.visitor().with_cookie("messages", &old);
    visitor
        .get(async |messages: Messages| messages.info("after"))
        .await;
    let new = visitor.cookies["messages"].clone();
    assert_eq!(visitor.reads().await, "info:before\ninfo:after\n");

    assert_eq!(before.with_cookie("messages", new).reads().await, "");
}

#[tokio::test]
async fn safe_text_stays_safe_and_other_text_does_not_become_it() {
    let mut visitor = Site::new(MessageStorageName::Cookie).visitor();
    let add = async |messages: Messages| {
        messages.add_message(Message::new(20, "<b>ours</b>").mark_safe());
        messages.info("<b>theirs</b>");
    };
    visitor.get(add).await;
    let safe = async |messages: Messages| {
        let messages = messages.take().await.unwrap();
        let safe: Vec<bool> = messages.iter().map(Message::is_safe).collect();
        format!("{safe:?}")
    };
    assert_eq!(visitor.get(safe).await.body, "[true, false]");
}

#[tokio::test]
async fn no_session_is_needed_or_made() {
    let site = Site::new(MessageStorageName::Cookie);
    let mut visitor = site.visitor();
    visitor
        .get(async |messages: Messages| messages.info("test"))
        .await;
    visitor.reads().await;
    assert_eq!(site.counter.take_calls(), []);
    assert!(!visitor.cookies.contains_key("sessionid"));
}

#[tokio::test]
async fn taking_deletes_the_cookie_whether_one_was_sent_or_not() {
    // As in Django, whose template asks for the length first.
    let mut visitor = Site::new(MessageStorageName::Cookie).visitor();
    let answer = visitor.get(show).await;
    assert!(answer.messages_cookie().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn what_is_lost_is_in_the_log_and_its_text_is_not() {
    let log = Log::capture();
    let mut visitor = Site::new(MessageStorageName::Cookie).visitor();
    visitor
        .get(async |messages: Messages| messages.info(text(1, 5_000)))
        .await;
    let lines = log.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("WARN 1 of the messages did not fit")),
        "{lines:?}"
    );
    assert!(!lines.concat().contains(&text(1, 5_000)[..20]), "{lines:?}");
}

#[tokio::test]
async fn a_message_that_is_added_after_the_response_is_lost_and_the_log_says_so() {
    let log = Log::capture();
    let mut visitor = Site::new(MessageStorageName::Cookie).visitor();
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    visitor
        .get(async move |messages: Messages| *keep.lock().unwrap() = Some(messages))
        .await;
    kept.lock().unwrap().take().unwrap().info("late");
    let lines = log.lines();
    assert!(
        lines[0].starts_with("WARN a message was added after the response"),
        "{lines:?}"
    );
    assert_eq!(visitor.reads().await, "");
}
