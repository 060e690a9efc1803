//! A store that is down says so, and a request that vanishes leaves nothing half done.

use std::time::Duration;

use quintette_core::session::{SessionError, SessionErrorKind, SessionKey};

use crate::case::{Case, case};
use crate::doubles::{Operation, When};
use crate::engine::store::{Store, request, visitor};
use crate::race::stands_at;

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(a_store_that_is_down_is_an_error_and_not_an_empty_session),
        case(a_save_that_failed_keeps_the_changes_for_the_next),
        case(a_creation_that_failed_keeps_the_changes_for_the_next),
        case(a_save_whose_answer_was_lost_is_not_an_acknowledged_save),
        case(a_flush_that_failed_says_so_and_can_be_repeated),
        case(a_cycle_that_failed_says_so_and_can_be_repeated),
        case(a_save_is_finished_though_its_caller_vanished),
        case(a_flush_is_finished_though_its_caller_vanished),
        case(a_cycle_is_finished_though_its_caller_vanished),
        case(a_read_whose_caller_vanished_can_be_repeated),
    ]
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, SessionError>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable, "{error}");
    assert_eq!(error.status(), 503);
    assert!(error.retry_after().is_some());
}

/// Waits until the store holds this, for as long as the slowest machine may need.
async fn holds(store: &Store, key: &SessionKey, json: Option<&str>) {
    for _ in 0..200 {
        let stored = store.engine.load_for_update(key).await.unwrap();
        let stored = stored.map(|stored| stored.data.to_json().unwrap());
        if stored.as_deref() == json {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("after 10 s the store does not hold {json:?}");
}

async fn a_store_that_is_down_is_an_error_and_not_an_empty_session(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    engine.fail(When::Before, Operation::Load);
    engine.fail(When::Before, Operation::LoadForUpdate);

    let reader = request(&sessions, &key);
    assert_unavailable(reader.get::<u8>("n").await);
    let writer = request(&sessions, &key);
    writer.insert("more", true).unwrap();
    assert_unavailable(writer.finish(false).await);
    assert_unavailable(request(&sessions, &key).cycle_key().await);

    engine.recover();
    assert_eq!(reader.get::<u8>("n").await.unwrap(), Some(0));
    writer.save().await.unwrap();
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0,"more":true}"#);
}

async fn a_save_that_failed_keeps_the_changes_for_the_next(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    let session = request(&sessions, &key);
    session
        .update("n", |n: Option<u8>| n.unwrap_or(0) + 1)
        .await
        .unwrap();
    engine.fail(When::Before, Operation::Replace);
    assert_unavailable(session.save().await);
    assert_unavailable(session.finish(false).await);
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0}"#);

    session.insert("later", true).unwrap();
    engine.recover();
    let other = request(&sessions, &key);
    other.insert("other", true).unwrap();
    other.finish(false).await.unwrap();
    session.save().await.unwrap();
    let expected = r#"{"n":1,"other":true,"later":true}"#;
    assert_eq!(store.json(&key).await.unwrap(), expected);
}

async fn a_creation_that_failed_keeps_the_changes_for_the_next(store: Store) {
    let engine = store.gated();
    let session = store.sessions_over(engine.clone()).session(None);
    session.insert("n", 1).unwrap();
    engine.fail(When::Before, Operation::Create);
    assert_unavailable(session.finish(false).await);
    assert_eq!(session.key(), None);
    engine.recover();
    session.save().await.unwrap();
    let key = session.key().unwrap();
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":1}"#);
}

async fn a_save_whose_answer_was_lost_is_not_an_acknowledged_save(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    let session = request(&sessions, &key);
    session.insert("more", true).unwrap();
    engine.fail(When::After, Operation::Replace);
    assert_unavailable(session.save().await);
    engine.recover();
    // It may have been stored, and it was: saving again makes sure, and changes nothing.
    session.save().await.unwrap();
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0,"more":true}"#);
}

async fn a_flush_that_failed_says_so_and_can_be_repeated(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    let session = request(&sessions, &key);
    engine.fail(When::Before, Operation::Delete);
    assert_unavailable(session.flush().await);
    assert!(session.key().is_some_and(|still| still == key));
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0}"#);
    engine.recover();
    session.flush().await.unwrap();
    assert_eq!(store.json(&key).await, None);
}

async fn a_cycle_that_failed_says_so_and_can_be_repeated(store: Store) {
    for operation in [Operation::Create, Operation::Delete] {
        let engine = store.gated();
        let sessions = store.sessions_over(engine.clone());
        let key = visitor(&sessions).await;
        let session = request(&sessions, &key);
        session.insert("user", "ann").unwrap();
        engine.fail(When::Before, operation);
        assert_unavailable(session.cycle_key().await);
        engine.recover();
        session.cycle_key().await.unwrap();
        session.finish(false).await.unwrap();
        let new = session.key().unwrap();
        let expected = r#"{"n":0,"user":"ann"}"#;
        assert_eq!(store.json(&new).await.unwrap(), expected);
        assert_eq!(store.json(&key).await, None);
    }
}

async fn a_save_is_finished_though_its_caller_vanished(store: Store) {
    for when in [When::Before, When::After] {
        let engine = store.gated();
        let sessions = store.sessions_over(engine.clone());
        let key = visitor(&sessions).await;
        let session = request(&sessions, &key);
        session.insert("more", true).unwrap();

        let mut gate = engine.hold(when, Operation::Replace);
        let mut finishing = tokio::spawn(async move { session.finish(false).await });
        stands_at(&mut gate, &mut finishing).await;
        finishing.abort();
        assert!(finishing.await.unwrap_err().is_cancelled());
        gate.open();
        holds(&store, &key, Some(r#"{"n":0,"more":true}"#)).await;
    }
}

async fn a_flush_is_finished_though_its_caller_vanished(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    let session = request(&sessions, &key);

    let mut gate = engine.hold(When::Before, Operation::Delete);
    let mut flushing = tokio::spawn(async move { session.flush().await });
    stands_at(&mut gate, &mut flushing).await;
    flushing.abort();
    assert!(flushing.await.unwrap_err().is_cancelled());
    gate.open();
    holds(&store, &key, None).await;
}

async fn a_cycle_is_finished_though_its_caller_vanished(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    let session = request(&sessions, &key);

    let mut gate = engine.hold(When::Before, Operation::Delete);
    let mut cycling = tokio::spawn({
        let session = session.clone();
        async move { session.cycle_key().await }
    });
    stands_at(&mut gate, &mut cycling).await;
    cycling.abort();
    assert!(cycling.await.unwrap_err().is_cancelled());
    gate.open();
    holds(&store, &key, None).await;
    // Whatever comes next waits for its turn, and finds the new key.
    session.save().await.unwrap();
    let new = session.key().unwrap();
    assert!(new != key);
    assert_eq!(store.json(&new).await.unwrap(), r#"{"n":0}"#);
}

async fn a_read_whose_caller_vanished_can_be_repeated(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    let session = request(&sessions, &key);
    session.insert("more", true).unwrap();

    let mut gate = engine.hold(When::After, Operation::Load);
    let mut reading = tokio::spawn({
        let session = session.clone();
        async move { session.get::<u8>("n").await }
    });
    stands_at(&mut gate, &mut reading).await;
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    gate.open();
    assert_eq!(session.get::<u8>("n").await.unwrap(), Some(0));
    session.finish(false).await.unwrap();
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0,"more":true}"#);
}
