//! An engine without a store: the session's key is its data, signed.

use quintette_core::session::{CookieAction, Created, Replaced, SessionErrorKind, SessionKey};

use super::keys::hostile_keys;
use super::store::{Store, data, in_an_hour, new_key, record, request};
use crate::case::{Case, case};

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(the_key_that_a_creation_returns_holds_the_data),
        case(the_key_that_a_replacement_returns_holds_the_data),
        case(a_tampered_key_is_an_empty_session_that_is_to_be_rewritten),
        case(a_hostile_key_is_an_empty_session_that_is_to_be_rewritten),
        case(deleting_is_fine),
        case(listing_is_unsupported),
        case(clearing_finds_nothing_to_do),
        case(what_one_request_stores_the_next_one_reads),
        case(a_tampered_cookie_is_replaced_though_nothing_was_written),
        case(an_untouched_session_costs_nothing),
        case(a_request_that_only_reads_sends_no_cookie),
        case(flushing_deletes_the_cookie),
        case(cycling_the_key_keeps_the_data),
    ]
}

const JSON: &str =
    r#"{"z":1180591620717411303424,"a":[0.1,1e400,{"":null}],"\ud55c":"\ud83c\udf75"}"#;

async fn created(store: &Store, json: &str) -> SessionKey {
    let data = data(json);
    let record = record(&data, in_an_hour());
    match store.engine.create(&new_key(), &record).await.unwrap() {
        Created::Stored(receipt) => receipt.key.expect("the cookie's value"),
        Created::Taken => panic!("there is nothing that could be taken"),
    }
}

/// What is read from a key, and whether it is to be written anew.
async fn read(store: &Store, key: &SessionKey) -> (String, bool) {
    let loaded = store.engine.load(key).await.unwrap();
    let loaded = loaded.expect("whatever the cookie holds, it is a session");
    (loaded.data.to_json().unwrap(), loaded.rewrite)
}

async fn the_key_that_a_creation_returns_holds_the_data(store: Store) {
    let key = created(&store, JSON).await;
    assert_eq!(read(&store, &key).await, (JSON.to_owned(), false));
}

async fn the_key_that_a_replacement_returns_holds_the_data(store: Store) {
    let key = created(&store, r#"{"n":1}"#).await;
    let loaded = store.engine.load_for_update(&key).await.unwrap().unwrap();
    let seen = loaded.revision.expect("loaded for an update");
    let data = data(JSON);
    let record = record(&data, in_an_hour());
    let replaced = store.engine.replace(&key, &seen, &record).await.unwrap();
    let Replaced::Stored(receipt) = replaced else {
        panic!("there is nobody to conflict with");
    };
    let new = receipt.key.expect("the cookie's new value");
    assert_eq!(read(&store, &new).await, (JSON.to_owned(), false));
}

async fn a_tampered_key_is_an_empty_session_that_is_to_be_rewritten(store: Store) {
    let key = created(&store, r#"{"is_staff":false}"#).await;
    let text = key.as_str();
    for at in 0..text.len() {
        let other = if text.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        let tampered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        let tampered = SessionKey::parse(tampered).unwrap();
        let empty = ("{}".to_owned(), true);
        assert_eq!(read(&store, &tampered).await, empty, "changed at {at}");
    }
    let truncated = SessionKey::parse(&text[..text.len() - 1]).unwrap();
    assert_eq!(read(&store, &truncated).await, ("{}".to_owned(), true));
}

async fn a_hostile_key_is_an_empty_session_that_is_to_be_rewritten(store: Store) {
    for key in hostile_keys() {
        assert_eq!(read(&store, &key).await, ("{}".to_owned(), true));
    }
}

async fn deleting_is_fine(store: Store) {
    let key = created(&store, r#"{"n":1}"#).await;
    for _ in 0..2 {
        store.engine.delete(&key, None).await.unwrap();
    }
}

async fn listing_is_unsupported(store: Store) {
    let error = store.engine.list(None, 10).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unsupported);
}

async fn clearing_finds_nothing_to_do(store: Store) {
    let cleared = store.engine.clear_expired(&mut |_| {}).await.unwrap();
    assert_eq!(cleared.removed, 0);
}

/// The cookie of a request, which must send one.
fn cookie(action: CookieAction) -> SessionKey {
    match action {
        CookieAction::Set { key, .. } => key,
        other => panic!("no cookie is sent: {other:?}"),
    }
}

async fn what_one_request_stores_the_next_one_reads(store: Store) {
    let sessions = store.sessions();
    let first = sessions.session(None);
    first.insert("이름", "홍차 🍵").unwrap();
    let first = cookie(first.finish(false).await.unwrap().cookie);

    let second = request(&sessions, &first);
    assert_eq!(
        second.get::<String>("이름").await.unwrap().unwrap(),
        "홍차 🍵"
    );
    second.insert("n", 1).unwrap();
    let second = cookie(second.finish(false).await.unwrap().cookie);

    let third = request(&sessions, &second);
    assert_eq!(third.keys().await.unwrap(), ["이름", "n"]);
}

async fn a_tampered_cookie_is_replaced_though_nothing_was_written(store: Store) {
    let sessions = store.sessions();
    let key = created(&store, r#"{"is_staff":true}"#).await;
    let tampered = sessions.session(Some(&format!("{}x", key.as_str())));
    assert_eq!(tampered.get::<bool>("is_staff").await.unwrap(), None);
    let new = cookie(tampered.finish(false).await.unwrap().cookie);
    assert_eq!(read(&store, &new).await, ("{}".to_owned(), false));
}

async fn an_untouched_session_costs_nothing(store: Store) {
    let engine = store.counted();
    let key = created(&store, r#"{"n":1}"#).await;
    let session = request(&store.sessions_over(engine.clone()), &key);
    assert!(!session.needs_finish());
    let outcome = session.finish(false).await.unwrap();
    assert!(!outcome.vary && outcome.cookie == CookieAction::Keep);
    assert_eq!(engine.take_calls(), []);
}

async fn a_request_that_only_reads_sends_no_cookie(store: Store) {
    let key = created(&store, r#"{"n":1}"#).await;
    let session = request(&store.sessions(), &key);
    assert_eq!(session.get::<u8>("n").await.unwrap(), Some(1));
    let outcome = session.finish(false).await.unwrap();
    assert!(outcome.vary && outcome.cookie == CookieAction::Keep);
}

async fn flushing_deletes_the_cookie(store: Store) {
    let key = created(&store, r#"{"n":1}"#).await;
    let session = request(&store.sessions(), &key);
    session.flush().await.unwrap();
    let outcome = session.finish(false).await.unwrap();
    assert_eq!(outcome.cookie, CookieAction::Delete);
}

async fn cycling_the_key_keeps_the_data(store: Store) {
    let sessions = store.sessions();
    let key = created(&store, r#"{"n":1}"#).await;
    let session = request(&sessions, &key);
    session.insert("user", "ann").unwrap();
    session.cycle_key().await.unwrap();
    let key = cookie(session.finish(false).await.unwrap().cookie);
    let expected = (r#"{"n":1,"user":"ann"}"#.to_owned(), false);
    assert_eq!(read(&store, &key).await, expected);
}
