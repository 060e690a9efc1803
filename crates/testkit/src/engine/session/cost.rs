//! What a request asks of the store, and not a call more.

use chrono::{TimeDelta, Utc};
use quintette_core::session::CookieAction;

use crate::Operation::{self, Create, Delete, Load, LoadForUpdate, Replace, Touch};
use crate::case::{Case, case};
use crate::engine::store::{Store, request, visitor};

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(an_untouched_session_asks_the_store_nothing),
        case(a_visitor_without_a_cookie_who_reads_asks_the_store_nothing),
        case(a_read_is_one_load_however_much_is_read),
        case(clones_that_read_at_once_load_once),
        case(a_read_and_a_write_are_a_load_and_a_replace),
        case(a_new_session_is_one_create),
        case(a_login_is_a_load_a_create_and_a_delete),
        case(a_logout_is_one_delete),
        case(a_session_that_is_saved_on_every_request_is_touched_not_rewritten),
        case(a_session_that_was_touched_lately_is_not_touched_again),
        case(a_session_that_was_touched_long_ago_is_touched),
        case(a_session_shorter_than_the_interval_is_touched_in_its_second_half),
    ]
}

/// The load that precedes a write: with a cache in front it is two, as a cache cannot tell revisions.
async fn loads(store: &Store) -> Vec<Operation> {
    let (key, _) = store.create("{}").await;
    let stored = store.engine.load(&key).await.unwrap().unwrap();
    match stored.revision {
        Some(_) => vec![Load],
        None => vec![Load, LoadForUpdate],
    }
}

async fn an_untouched_session_asks_the_store_nothing(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    engine.take_calls();
    for session in [request(&sessions, &key), sessions.session(None)] {
        assert!(!session.needs_finish());
        let outcome = session.finish(false).await.unwrap();
        assert!(!outcome.vary);
    }
    assert_eq!(engine.take_calls(), []);
}

async fn a_visitor_without_a_cookie_who_reads_asks_the_store_nothing(store: Store) {
    let engine = store.counted();
    let session = store.sessions_over(engine.clone()).session(None);
    assert_eq!(session.get::<u8>("n").await.unwrap(), None);
    session.remove("n");
    session.finish(false).await.unwrap();
    assert_eq!(engine.take_calls(), []);
    assert_eq!(session.key(), None);
}

async fn a_read_is_one_load_however_much_is_read(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    engine.take_calls();
    let session = request(&sessions, &key);
    session.get::<u8>("n").await.unwrap();
    session.keys().await.unwrap();
    session.clone().entries().await.unwrap();
    session.expiry_age().await.unwrap();
    session.finish(false).await.unwrap();
    assert_eq!(engine.take_calls(), [Load]);
}

async fn clones_that_read_at_once_load_once(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    engine.take_calls();
    let session = request(&sessions, &key);
    let reads = crate::race::race(16, |_| {
        let session = session.clone();
        async move { session.get::<u8>("n").await.unwrap() }
    });
    assert!(reads.await.iter().all(|n| *n == Some(0)));
    assert_eq!(engine.take_calls(), [Load]);
}

async fn a_read_and_a_write_are_a_load_and_a_replace(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    engine.take_calls();
    let session = request(&sessions, &key);
    let n = session.get::<u8>("n").await.unwrap().unwrap();
    session.insert("n", n + 1).unwrap();
    session.insert("more", n).unwrap();
    session.finish(false).await.unwrap();
    let expected = [loads(&store).await, vec![Replace]].concat();
    assert_eq!(engine.take_calls(), expected);
}

async fn a_new_session_is_one_create(store: Store) {
    let engine = store.counted();
    let session = store.sessions_over(engine.clone()).session(None);
    session.insert("n", 1).unwrap();
    session.get::<u8>("n").await.unwrap();
    session.finish(false).await.unwrap();
    assert_eq!(engine.take_calls(), [Create]);
}

async fn a_login_is_a_load_a_create_and_a_delete(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    engine.take_calls();
    let session = request(&sessions, &key);
    session.get::<u8>("_auth_user_id").await.unwrap();
    session.insert("_auth_user_id", "42").unwrap();
    session.cycle_key().await.unwrap();
    session.finish(false).await.unwrap();
    let expected = [loads(&store).await, vec![Create, Delete]].concat();
    assert_eq!(engine.take_calls(), expected);
}

async fn a_logout_is_one_delete(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    engine.take_calls();
    let session = request(&sessions, &key);
    session.flush().await.unwrap();
    session.finish(false).await.unwrap();
    assert_eq!(engine.take_calls(), [Delete]);
}

async fn a_session_that_is_saved_on_every_request_is_touched_not_rewritten(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_touched_every(TimeDelta::zero(), engine.clone());
    let key = visitor(&sessions).await;
    engine.take_calls();
    request(&sessions, &key).finish(false).await.unwrap();
    let expected = [loads(&store).await, vec![Touch]].concat();
    assert_eq!(engine.take_calls(), expected);
}

async fn a_session_that_was_touched_lately_is_not_touched_again(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_touched_every(TimeDelta::hours(1), engine.clone());
    let key = visitor(&sessions).await;
    let tells_expiry = store
        .engine
        .load(&key)
        .await
        .unwrap()
        .is_some_and(|stored| stored.expires_at.is_some());
    engine.take_calls();
    let outcome = request(&sessions, &key).finish(false).await.unwrap();
    // The cookie is the visitor's own, and costs nothing to renew.
    assert!(matches!(outcome.cookie, CookieAction::Set { .. }));
    if tells_expiry {
        assert_eq!(engine.take_calls(), [Load]);
    } else {
        assert_eq!(engine.take_calls().last(), Some(&Touch));
    }
}

async fn a_session_that_was_touched_long_ago_is_touched(store: Store) {
    let engine = store.counted();
    let sessions = store.sessions_touched_every(TimeDelta::hours(1), engine.clone());
    let key = visitor(&sessions).await;
    // Two hours short of its full time, and then an hour and more beyond it, as after a shorter SESSION_COOKIE_AGE.
    for off_by in [TimeDelta::hours(-2), TimeDelta::minutes(90)] {
        let expires_at = Utc::now() + sessions.settings().session_cookie_age + off_by;
        let seen = store.revision(&key).await;
        store.touch(&key, &seen, r#"{"n":0}"#, expires_at).await;
        engine.take_calls();
        request(&sessions, &key).finish(false).await.unwrap();
        assert_eq!(engine.take_calls().last(), Some(&Touch), "{off_by}");
    }
}

async fn a_session_shorter_than_the_interval_is_touched_in_its_second_half(store: Store) {
    let engine = store.counted();
    let age = store.sessions().settings().session_cookie_age;
    let sessions = store.sessions_touched_every(age * 2, engine.clone());
    let key = visitor(&sessions).await;
    let seen = store.revision(&key).await;
    store
        .touch(&key, &seen, r#"{"n":0}"#, Utc::now() + age / 3)
        .await;
    engine.take_calls();
    request(&sessions, &key).finish(false).await.unwrap();
    assert_eq!(engine.take_calls().last(), Some(&Touch));
}
