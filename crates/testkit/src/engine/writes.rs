//! Writes are compare-and-swap, and what is gone stays gone.

use std::collections::HashSet;

use quintette_core::session::{Deleted, Record, Replaced};

use super::store::{Store, data, in_an_hour, record};
use crate::case::{Case, case};
use crate::race::race;

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(replacing_the_newest_revision_stores_and_gives_the_next_revision),
        case(replacing_a_stale_revision_is_a_conflict_and_changes_nothing),
        case(replacing_a_deleted_session_is_gone_and_brings_nothing_back),
        case(touching_keeps_the_data_byte_for_byte),
        case(touching_a_stale_revision_is_a_conflict_and_changes_nothing),
        case(touching_a_deleted_session_is_gone_and_brings_nothing_back),
        case(a_touched_session_can_be_replaced),
        case(deleting_removes_whatever_is_stored),
        case(deleting_the_newest_revision_removes_it),
        case(deleting_a_stale_revision_is_a_conflict_and_deletes_nothing),
        case(deleting_twice_is_fine),
        case(of_many_who_replace_one_revision_at_once_one_does),
        case(of_a_delete_and_a_replace_at_once_one_is_done),
        case(replaces_during_a_delete_bring_nothing_back),
    ]
}

async fn replacing_the_newest_revision_stores_and_gives_the_next_revision(store: Store) {
    let (key, first) = store.create(r#"{"n":1}"#).await;
    let second = store.replaced(&key, &first, r#"{"n":2}"#).await;
    let third = store.replaced(&key, &second, r#"{"n":3,"more":[]}"#).await;
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":3,"more":[]}"#);
    assert!(first != second && second != third, "revisions repeat");
    // What a write returns is as good as what a load returns.
    let loaded = store.revision(&key).await;
    let fourth = store.replaced(&key, &loaded, r#"{"n":4}"#).await;
    store.replaced(&key, &fourth, r#"{"n":5}"#).await;
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":5}"#);
}

async fn replacing_a_stale_revision_is_a_conflict_and_changes_nothing(store: Store) {
    let (key, first) = store.create(r#"{"n":1}"#).await;
    let second = store.replaced(&key, &first, r#"{"n":2}"#).await;
    let replaced = store
        .replace(&key, &first, r#"{"n":9}"#, in_an_hour())
        .await;
    assert!(matches!(replaced, Replaced::Conflict), "{replaced:?}");
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":2}"#);
    store.replaced(&key, &second, r#"{"n":3}"#).await;
}

async fn replacing_a_deleted_session_is_gone_and_brings_nothing_back(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    store.engine.delete(&key, None).await.unwrap();
    for _ in 0..2 {
        let replaced = store
            .replace(&key, &revision, r#"{"n":2}"#, in_an_hour())
            .await;
        assert!(matches!(replaced, Replaced::Gone), "{replaced:?}");
        assert_eq!(store.json(&key).await, None);
    }
}

async fn touching_keeps_the_data_byte_for_byte(store: Store) {
    let json = data(r#"{"한국":"어","z":1.5,"a":[1180591620717411303424,"🍵"],"":null}"#);
    let json = json.to_json().unwrap();
    let (key, revision) = store.create(&json).await;
    let before = store.json(&key).await;
    let touched = store.touch(&key, &revision, &json, in_an_hour()).await;
    assert!(matches!(touched, Replaced::Stored(_)), "{touched:?}");
    assert_eq!(store.json(&key).await, before);
}

async fn touching_a_stale_revision_is_a_conflict_and_changes_nothing(store: Store) {
    let (key, first) = store.create(r#"{"n":1}"#).await;
    let second = store.replaced(&key, &first, r#"{"n":2}"#).await;
    let touched = store.touch(&key, &first, r#"{"n":1}"#, in_an_hour()).await;
    assert!(matches!(touched, Replaced::Conflict), "{touched:?}");
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":2}"#);
    store.replaced(&key, &second, r#"{"n":3}"#).await;
}

async fn touching_a_deleted_session_is_gone_and_brings_nothing_back(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    store.engine.delete(&key, None).await.unwrap();
    let touched = store
        .touch(&key, &revision, r#"{"n":1}"#, in_an_hour())
        .await;
    assert!(matches!(touched, Replaced::Gone), "{touched:?}");
    assert_eq!(store.json(&key).await, None);
}

async fn a_touched_session_can_be_replaced(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    let touched = store
        .touch(&key, &revision, r#"{"n":1}"#, in_an_hour())
        .await;
    let Replaced::Stored(receipt) = touched else {
        panic!("touching the newest revision gave {touched:?}");
    };
    let touched = store.revision_of(&key, receipt).await;
    store.replaced(&key, &touched, r#"{"n":2}"#).await;
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":2}"#);
}

async fn deleting_removes_whatever_is_stored(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    store.replaced(&key, &revision, r#"{"n":2}"#).await;
    let deleted = store.engine.delete(&key, None).await.unwrap();
    assert_eq!(deleted, Deleted::Deleted);
    assert_eq!(store.json(&key).await, None);
}

async fn deleting_the_newest_revision_removes_it(store: Store) {
    let (key, first) = store.create(r#"{"n":1}"#).await;
    let second = store.replaced(&key, &first, r#"{"n":2}"#).await;
    let deleted = store.engine.delete(&key, Some(&second)).await.unwrap();
    assert_eq!(deleted, Deleted::Deleted);
    assert_eq!(store.json(&key).await, None);
}

async fn deleting_a_stale_revision_is_a_conflict_and_deletes_nothing(store: Store) {
    let (key, first) = store.create(r#"{"n":1}"#).await;
    let second = store.replaced(&key, &first, r#"{"n":2}"#).await;
    let deleted = store.engine.delete(&key, Some(&first)).await.unwrap();
    assert_eq!(deleted, Deleted::Conflict);
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":2}"#);
    store.replaced(&key, &second, r#"{"n":3}"#).await;
}

async fn deleting_twice_is_fine(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    store.engine.delete(&key, None).await.unwrap();
    for seen in [None, Some(&revision)] {
        let deleted = store.engine.delete(&key, seen).await.unwrap();
        assert_eq!(deleted, Deleted::Gone);
    }
    assert_eq!(store.json(&key).await, None);
}

async fn of_many_who_replace_one_revision_at_once_one_does(store: Store) {
    let (key, mut revision) = store.create(r#"{"n":-1}"#).await;
    for _ in 0..8 {
        let replaced = race(16, |n| {
            let (engine, key, seen) = (store.engine.clone(), key.clone(), revision.clone());
            async move {
                let data = data(&format!(r#"{{"n":{n}}}"#));
                engine
                    .replace(&key, &seen, &record(&data, in_an_hour()))
                    .await
                    .unwrap()
            }
        })
        .await;
        let mut winners = HashSet::new();
        for (n, replaced) in replaced.into_iter().enumerate() {
            match replaced {
                Replaced::Stored(_) => _ = winners.insert(format!(r#"{{"n":{n}}}"#)),
                Replaced::Conflict => {}
                Replaced::Gone => panic!("nobody deleted the session"),
            }
        }
        assert_eq!(winners.len(), 1, "told to have stored: {winners:?}");
        assert!(winners.contains(&store.json(&key).await.unwrap()));
        revision = store.revision(&key).await;
        // The next round begins with data that none of its writers writes.
        revision = store.replaced(&key, &revision, r#"{"n":-1}"#).await;
    }
}

async fn of_a_delete_and_a_replace_at_once_one_is_done(store: Store) {
    for _ in 0..16 {
        let (key, revision) = store.create(r#"{"n":1}"#).await;
        let done = race(2, |n| {
            let (engine, key, seen) = (store.engine.clone(), key.clone(), revision.clone());
            async move {
                if n == 0 {
                    return engine.delete(&key, Some(&seen)).await.unwrap() == Deleted::Deleted;
                }
                let data = data(r#"{"n":2}"#);
                let replaced = engine
                    .replace(&key, &seen, &record(&data, in_an_hour()))
                    .await;
                matches!(replaced.unwrap(), Replaced::Stored(_))
            }
        })
        .await;
        match (done[0], done[1]) {
            (true, false) => assert_eq!(store.json(&key).await, None),
            (false, true) => assert_eq!(store.json(&key).await.unwrap(), r#"{"n":2}"#),
            both => panic!("deleted and replaced the same revision: {both:?}"),
        }
    }
}

async fn replaces_during_a_delete_bring_nothing_back(store: Store) {
    for _ in 0..8 {
        let (key, _) = store.create(r#"{"n":1}"#).await;
        race(8, |n| {
            let (engine, key) = (store.engine.clone(), key.clone());
            async move {
                if n == 0 {
                    engine.delete(&key, None).await.unwrap();
                    return;
                }
                while let Some(stored) = engine.load_for_update(&key).await.unwrap() {
                    let seen = stored.revision.expect("loaded for an update");
                    let record = Record {
                        data: &data(&format!(r#"{{"n":{n}}}"#)),
                        expires_at: in_an_hour(),
                    };
                    engine.replace(&key, &seen, &record).await.unwrap();
                    // A store in memory answers at once, and the one who deletes needs a thread as well.
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        assert_eq!(store.json(&key).await, None);
    }
}
