//! Two requests of one visitor at once. Each test holds the first one where its session is about to be written.

use quintette::messages::Messages;
use quintette::sessions::Session;
use quintette::settings::MessageStorageName;
use quintette_testkit::{Operation, When};

use crate::site::{Site, Visitor, show, text};

/// A visitor with a session, so that both requests write the same one.
async fn visitor(site: &Site) -> Visitor {
    let mut visitor = site.visitor();
    visitor
        .get(async |session: Session| session.insert("user", 1))
        .await;
    visitor
}

/// Both requests have read before either writes; the second one writes first.
async fn race<A, B>(site: &Site, visitor: &Visitor, first: A, second: B) -> [String; 2]
where
    A: AsyncFnOnce(Visitor) -> String,
    B: AsyncFnOnce(Visitor) -> String,
{
    let mut gate = site.gates.hold(When::Before, Operation::Replace);
    let held = first(visitor.clone());
    let others = async {
        gate.reached().await;
        let answer = second(visitor.clone()).await;
        gate.open();
        answer
    };
    let (first, second) = tokio::join!(held, others);
    [first, second]
}

async fn add(mut visitor: Visitor, text: &'static str) -> String {
    visitor
        .get(async move |messages: Messages| messages.info(text))
        .await
        .body
}

async fn reads(mut visitor: Visitor) -> String {
    visitor.get(show).await.body
}

#[tokio::test]
async fn two_that_add_lose_none() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = visitor(&site).await;
    add(visitor.clone(), "a").await;
    race(
        &site,
        &visitor,
        async |v| add(v, "b").await,
        async |v| add(v, "c").await,
    )
    .await;
    assert_eq!(visitor.reads().await, "info:a\ninfo:c\ninfo:b\n");
}

#[tokio::test]
async fn what_is_added_while_another_page_shows_the_others_waits_for_the_next() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = visitor(&site).await;
    add(visitor.clone(), "a").await;
    let [shown, _] = race(&site, &visitor, reads, async |v| add(v, "b").await).await;
    assert_eq!(shown, "info:a\n");
    assert_eq!(visitor.reads().await, "info:b\n");
}

#[tokio::test]
async fn what_another_page_has_shown_meanwhile_is_not_shown_again() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = visitor(&site).await;
    add(visitor.clone(), "a").await;
    let [_, shown] = race(&site, &visitor, async |v| add(v, "b").await, reads).await;
    assert_eq!(shown, "info:a\n");
    assert_eq!(visitor.reads().await, "info:b\n");
}

#[tokio::test]
async fn equal_messages_are_counted() {
    let site = Site::new(MessageStorageName::Session);
    let mut visitor = visitor(&site).await;
    add(visitor.clone(), "a").await;
    race(
        &site,
        &visitor,
        async |v| add(v, "a").await,
        async |v| add(v, "a").await,
    )
    .await;
    assert_eq!(visitor.reads().await, "info:a\ninfo:a\ninfo:a\n");
}

#[tokio::test]
async fn what_one_request_put_into_the_session_stays_when_another_did_not_know_of_it() {
    let site = Site::new(MessageStorageName::Fallback);
    let visitor = visitor(&site).await;
    // Neither fits into a cookie, and neither request was sent the cookie of the other.
    let long = |number| {
        async move |mut visitor: Visitor| {
            visitor
                .get(async move |messages: Messages| messages.info(text(number, 5_000)))
                .await;
            visitor.in_session().await.unwrap()
        }
    };
    long(1)(visitor.clone()).await;
    long(2)(visitor.clone()).await;
    let [_, in_session] = visitor.stored().await;
    assert_eq!(in_session, [text(1, 5_000), text(2, 5_000)]);
}

#[tokio::test]
async fn of_two_cookies_the_last_response_holds() {
    let site = Site::new(MessageStorageName::Cookie);
    let mut visitor = site.visitor();
    let mut other_tab = visitor.clone();
    other_tab
        .get(async |messages: Messages| messages.info("a"))
        .await;
    visitor
        .get(async |messages: Messages| messages.info("b"))
        .await;
    assert_eq!(visitor.reads().await, "info:b\n");
}
