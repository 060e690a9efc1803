//! The cookie, then the session: the groups of `tests/messages_tests/test_fallback.py` in Django.

use quintette::messages::Messages;
use quintette::settings::MessageStorageName;

use crate::site::{Site, Visitor, infos, show, signed, text};

fn site() -> Site {
    Site::new(MessageStorageName::Fallback)
}

/// A visitor with this list in the cookie, and messages of these texts in the session.
async fn visitor(site: &Site, in_cookie: &str, in_session: &[&str]) -> Visitor {
    let session = site.sessions.session(None);
    let list: Vec<_> = in_session.iter().map(|text| message(text)).collect();
    session
        .insert("_messages", format!("[{}]", list.join(",")))
        .unwrap();
    session.save().await.unwrap();
    site.counter.take_calls();
    site.visitor()
        .with_cookie("messages", signed(in_cookie))
        .with_cookie("sessionid", session.key().unwrap().as_str())
}

fn message(text: &str) -> String {
    format!(r#"["__json_message",0,20,"{text}",""]"#)
}

#[tokio::test]
async fn where_the_cookie_has_them_all_the_session_is_not_asked() {
    let site = site();
    let mut visitor = visitor(&site, &format!("[{}]", message("cookie")), &["session"]).await;
    assert_eq!(visitor.reads().await, "info:cookie\n");
    assert_eq!(site.counter.take_calls(), []);
}

#[tokio::test]
async fn without_a_cookie_the_session_is_not_asked() {
    let site = site();
    let mut visitor = visitor(&site, "[]", &["session"]).await;
    visitor.cookies.remove("messages");
    let answer = visitor.get(show).await;
    assert_eq!(answer.body, "");
    assert!(answer.set_cookies.is_empty() && answer.vary.is_empty());
    assert_eq!(site.counter.take_calls(), []);
}

#[tokio::test]
async fn a_cookie_that_ends_unfinished_is_continued_in_the_session() {
    let site = site();
    let in_cookie = format!(
        r#"[{},{},"__messagesnotfinished__"]"#,
        message("a"),
        message("b")
    );
    let mut visitor = visitor(&site, &in_cookie, &["c", "d"]).await;
    assert_eq!(visitor.reads().await, "info:a\ninfo:b\ninfo:c\ninfo:d\n");
    assert_eq!(visitor.stored().await, [Vec::<String>::new(), vec![]]);
}

#[tokio::test]
async fn a_cookie_may_have_none_of_them() {
    let site = site();
    let mut visitor = visitor(&site, r#"["__messagesnotfinished__"]"#, &["a", "b"]).await;
    assert_eq!(visitor.reads().await, "info:a\ninfo:b\n");
    assert_eq!(visitor.reads().await, "");
}

#[tokio::test]
async fn few_messages_are_in_the_cookie_alone() {
    let site = site();
    let mut visitor = site.visitor();
    let add =
        async |messages: Messages| (0..5).for_each(|n| messages.info(format!("{n}").repeat(100)));
    let answer = visitor.get(add).await;
    let [in_cookie, in_session] = visitor.stored().await;
    assert_eq!((in_cookie.len(), in_session.len()), (5, 0));
    assert_eq!(site.counter.take_calls(), []);
    assert!(answer.vary.is_empty());
}

#[tokio::test]
async fn the_newest_of_many_are_in_the_session() {
    let mut visitor = site().visitor();
    let texts: Vec<String> = (0..5).map(|number| text(number, 400)).collect();
    let list = texts.clone();
    visitor
        .get(async move |messages: Messages| list.iter().for_each(|text| messages.info(text)))
        .await;
    let [in_cookie, in_session] = visitor.stored().await;
    assert_eq!(in_cookie[..4], texts[..4]);
    assert_eq!(in_cookie[4..], ["__messagesnotfinished__"]);
    assert_eq!(in_session, texts[4..]);
    let shown = infos(&texts);
    assert_eq!(visitor.reads().await, shown);
    assert_eq!(visitor.stored().await, [Vec::<String>::new(), vec![]]);
}

#[tokio::test]
async fn a_long_message_is_in_the_session_alone() {
    let mut visitor = site().visitor();
    visitor
        .get(async |messages: Messages| messages.info(text(1, 5_000)))
        .await;
    let [in_cookie, in_session] = visitor.stored().await;
    assert_eq!(in_cookie, ["__messagesnotfinished__"]);
    assert_eq!(in_session, [text(1, 5_000)]);
}

#[tokio::test]
async fn when_all_fit_into_the_cookie_again_the_session_is_flushed() {
    let site = site();
    let in_cookie = format!(r#"[{},"__messagesnotfinished__"]"#, message("a"));
    let mut visitor = visitor(&site, &in_cookie, &["b"]).await;
    visitor
        .get(async |messages: Messages| messages.info("c"))
        .await;
    assert_eq!(visitor.stored().await, [vec!["a", "b", "c"], vec![]]);
    assert_eq!(visitor.reads().await, "info:a\ninfo:b\ninfo:c\n");
}

#[tokio::test]
async fn messages_pile_up_in_the_session_while_no_page_shows_them() {
    let mut visitor = site().visitor();
    let mut texts = Vec::new();
    for number in 0..30 {
        let text = text(number, 300);
        texts.push(text.clone());
        visitor
            .get(async move |messages: Messages| messages.info(text))
            .await;
    }
    assert_eq!(visitor.reads().await, infos(&texts));
}
