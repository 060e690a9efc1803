//! One visitor, one request after the other.

use chrono::TimeDelta;
use quintette_core::session::{CookieAction, Outcome};

use crate::case::{Case, case};
use crate::engine::keys::hostile_keys;
use crate::engine::store::{Store, new_key, request, visitor};

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(what_one_request_stores_the_next_one_reads),
        case(what_a_request_did_not_touch_stays_byte_for_byte),
        case(a_removed_key_stays_removed),
        case(clearing_keeps_the_session_and_nothing_in_it),
        case(a_key_that_the_store_does_not_know_is_never_adopted),
        case(a_hostile_cookie_is_an_empty_session),
        case(a_short_cookie_is_an_empty_session),
        case(a_request_that_only_reads_stores_nothing),
        case(a_failed_request_stores_nothing),
        case(flushing_deletes_at_once_and_the_cookie_goes),
        case(what_is_inserted_after_a_flush_goes_into_a_new_session),
        case(cycling_the_key_keeps_the_data_and_ends_the_old_key),
        case(a_session_can_be_saved_again_and_again),
        case(a_session_that_is_saved_on_every_request_keeps_its_data),
    ]
}

fn is_set(outcome: &Outcome) -> bool {
    matches!(outcome.cookie, CookieAction::Set { .. })
}

async fn what_one_request_stores_the_next_one_reads(store: Store) {
    let sessions = store.sessions();
    let first = sessions.session(None);
    first.insert("이름", "홍차 🍵").unwrap();
    first.insert("cart", [1, 2]).unwrap();
    let outcome = first.finish(false).await.unwrap();
    let key = first.key().unwrap();
    let CookieAction::Set { key: sent, .. } = &outcome.cookie else {
        panic!("a new session without a cookie: {outcome:?}");
    };
    assert!(*sent == key && outcome.vary);

    let second = request(&sessions, &key);
    assert_eq!(
        second.get::<String>("이름").await.unwrap().unwrap(),
        "홍차 🍵"
    );
    let cart = second.update("cart", |cart: Option<Vec<u32>>| {
        [cart.unwrap(), vec![3]].concat()
    });
    assert_eq!(cart.await.unwrap(), [1, 2, 3]);
    second.finish(false).await.unwrap();

    let third = request(&sessions, &key);
    assert_eq!(
        third.get::<Vec<u32>>("cart").await.unwrap().unwrap(),
        [1, 2, 3]
    );
    assert_eq!(third.keys().await.unwrap(), ["이름", "cart"]);
}

async fn what_a_request_did_not_touch_stays_byte_for_byte(store: Store) {
    let json = r#"{"z":1180591620717411303424,"a":[0.1,{"":null}],"\ud55c":"\ud83c\udf75","n":1}"#;
    let (key, _) = store.create(json).await;
    let session = request(&store.sessions(), &key);
    session.insert("n", 2).unwrap();
    session.finish(false).await.unwrap();
    let expected = json.replace(r#""n":1"#, r#""n":2"#);
    assert_eq!(store.json(&key).await.unwrap(), expected);
}

async fn a_removed_key_stays_removed(store: Store) {
    let (key, _) = store.create(r#"{"a":1,"b":2,"c":3,"d":4}"#).await;
    let sessions = store.sessions();
    let session = request(&sessions, &key);
    assert_eq!(session.take::<u8>("b").await.unwrap(), Some(2));
    session.remove("a");
    session.remove("never there");
    session.finish(false).await.unwrap();
    let unread = request(&sessions, &key);
    unread.remove("d");
    unread.finish(false).await.unwrap();
    assert_eq!(store.json(&key).await.unwrap(), r#"{"c":3}"#);
}

async fn clearing_keeps_the_session_and_nothing_in_it(store: Store) {
    let (sessions, key) = store.visitor().await;
    let session = request(&sessions, &key);
    session.clear();
    let outcome = session.finish(false).await.unwrap();
    assert!(is_set(&outcome), "{outcome:?}");
    assert_eq!(store.json(&key).await.unwrap(), "{}");
}

async fn a_key_that_the_store_does_not_know_is_never_adopted(store: Store) {
    for reads in [false, true] {
        let planted = new_key();
        let session = request(&store.sessions(), &planted);
        if reads {
            assert_eq!(session.get::<u8>("n").await.unwrap(), None);
            assert_eq!(session.key(), None);
        }
        session.insert("n", 1).unwrap();
        let outcome = session.finish(false).await.unwrap();
        assert!(is_set(&outcome), "{outcome:?}");
        let key = session.key().unwrap();
        assert!(key != planted, "the planted key was adopted");
        assert_eq!(store.json(&planted).await, None);
        assert_eq!(store.json(&key).await.unwrap(), r#"{"n":1}"#);
    }
}

async fn a_hostile_cookie_is_an_empty_session(store: Store) {
    let sessions = store.sessions();
    for hostile in hostile_keys() {
        let reader = request(&sessions, &hostile);
        assert!(reader.keys().await.unwrap().is_empty());
        let outcome = reader.finish(false).await.unwrap();
        assert_eq!(outcome.cookie, CookieAction::Delete);

        let writer = request(&sessions, &hostile);
        writer.insert("n", 1).unwrap();
        writer.finish(false).await.unwrap();
        let key = writer.key().unwrap();
        assert!(key != hostile && key.is_plain());

        request(&sessions, &hostile).flush().await.unwrap();
        assert_eq!(store.json(&hostile).await, None);
    }
}

async fn a_short_cookie_is_an_empty_session(store: Store) {
    let sessions = store.sessions();
    for short in ["", "1234567", "\0", "/"] {
        let session = sessions.session(Some(short));
        assert!(session.needs_finish());
        let outcome = session.finish(false).await.unwrap();
        assert_eq!(outcome.cookie, CookieAction::Delete);

        let session = sessions.session(Some(short));
        session.insert("n", 1).unwrap();
        session.finish(false).await.unwrap();
        assert!(session.key().unwrap().as_str().len() == 32);
    }
}

async fn a_request_that_only_reads_stores_nothing(store: Store) {
    let (sessions, key) = store.visitor().await;
    let before = store.revision(&key).await;
    let session = request(&sessions, &key);
    assert_eq!(session.get::<u8>("n").await.unwrap(), Some(0));
    let outcome = session.finish(false).await.unwrap();
    assert!(outcome.vary && outcome.cookie == CookieAction::Keep);
    assert!(store.revision(&key).await == before);
}

async fn a_failed_request_stores_nothing(store: Store) {
    let (sessions, key) = store.visitor().await;
    let session = request(&sessions, &key);
    session.insert("n", 1).unwrap();
    let outcome = session.finish(true).await.unwrap();
    assert_eq!(outcome.cookie, CookieAction::Keep);
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0}"#);

    let stranger = sessions.session(None);
    stranger.insert("n", 1).unwrap();
    stranger.finish(true).await.unwrap();
    assert_eq!(stranger.key(), None);
}

async fn flushing_deletes_at_once_and_the_cookie_goes(store: Store) {
    let (sessions, key) = store.visitor().await;
    let session = request(&sessions, &key);
    session.insert("n", 1).unwrap();
    session.flush().await.unwrap();
    assert_eq!(store.json(&key).await, None, "before the request's end");
    assert!(session.keys().await.unwrap().is_empty());
    let outcome = session.finish(false).await.unwrap();
    assert_eq!(outcome.cookie, CookieAction::Delete);
    assert_eq!(store.json(&key).await, None);
}

async fn what_is_inserted_after_a_flush_goes_into_a_new_session(store: Store) {
    let (sessions, key) = store.visitor().await;
    let session = request(&sessions, &key);
    session.insert("secret", true).unwrap();
    session.flush().await.unwrap();
    session.insert("fresh", true).unwrap();
    let outcome = session.finish(false).await.unwrap();
    assert!(is_set(&outcome), "{outcome:?}");
    let new = session.key().unwrap();
    assert!(new != key);
    assert_eq!(store.json(&new).await.unwrap(), r#"{"fresh":true}"#);
    assert_eq!(store.json(&key).await, None);
}

async fn cycling_the_key_keeps_the_data_and_ends_the_old_key(store: Store) {
    let (sessions, old) = store.visitor().await;
    let session = request(&sessions, &old);
    session.insert("user", "ann").unwrap();
    session.cycle_key().await.unwrap();
    let new = session.key().unwrap();
    assert!(new != old);
    assert_eq!(store.json(&old).await, None, "before the request's end");
    let expected = r#"{"n":0,"user":"ann"}"#;
    assert_eq!(store.json(&new).await.unwrap(), expected);

    session.insert("n", 1).unwrap();
    let outcome = session.finish(false).await.unwrap();
    let CookieAction::Set { key, .. } = outcome.cookie else {
        panic!("a new key without a cookie: {outcome:?}");
    };
    assert!(key == new);
    let expected = r#"{"n":1,"user":"ann"}"#;
    assert_eq!(store.json(&new).await.unwrap(), expected);
    assert_eq!(store.json(&old).await, None);
}

async fn a_session_can_be_saved_again_and_again(store: Store) {
    let session = store.sessions().session(None);
    for n in 0..5 {
        session.insert("n", n).unwrap();
        session.save().await.unwrap();
        let key = session.key().unwrap();
        assert_eq!(store.json(&key).await.unwrap(), format!(r#"{{"n":{n}}}"#));
        session.save().await.unwrap();
    }
    session.finish(false).await.unwrap();
    assert_eq!(
        store.json(&session.key().unwrap()).await.unwrap(),
        r#"{"n":4}"#
    );
}

async fn a_session_that_is_saved_on_every_request_keeps_its_data(store: Store) {
    let sessions = store.sessions_touched_every(TimeDelta::zero(), store.engine.clone());
    let key = visitor(&sessions).await;
    for _ in 0..2 {
        let session = request(&sessions, &key);
        assert!(session.needs_finish());
        let outcome = session.finish(false).await.unwrap();
        assert!(is_set(&outcome), "{outcome:?}");
        assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0}"#);
    }
    let planted = new_key();
    let outcome = request(&sessions, &planted).finish(false).await.unwrap();
    assert_eq!(outcome.cookie, CookieAction::Delete);
    assert_eq!(store.json(&planted).await, None);
}
