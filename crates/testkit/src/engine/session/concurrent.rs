//! Many requests at once lose nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use quintette_core::session::Saved;

use crate::case::{Case, case};
use crate::engine::store::{Store, request};
use crate::race::{pause, race};

/// As many requests as a page with many parts sends at once.
const REQUESTS: usize = 64;

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(requests_that_write_different_keys_at_once_lose_none),
        case(requests_that_update_one_counter_at_once_count_exactly),
        case(removing_and_inserting_at_once_does_both),
        case(requests_at_once_on_one_key_leave_what_one_of_them_wrote),
        case(a_default_is_set_once_however_many_set_it),
        case(a_read_after_an_acknowledged_save_is_never_older),
        case(a_save_that_met_another_one_says_so),
        case(clones_of_one_session_lose_nothing),
        case(touching_and_writing_at_once_lose_nothing),
    ]
}

async fn requests_that_write_different_keys_at_once_lose_none(store: Store) {
    let (sessions, key) = store.visitor().await;
    race(REQUESTS, |n| {
        let session = request(&sessions, &key);
        async move {
            session.get::<u8>("n").await.unwrap();
            pause().await;
            session.insert(&format!("key {n}"), n).unwrap();
            session.finish(false).await.unwrap();
        }
    })
    .await;
    let session = request(&sessions, &key);
    for n in 0..REQUESTS {
        let value = session.get::<usize>(&format!("key {n}")).await.unwrap();
        assert_eq!(value, Some(n), "an acknowledged write was lost");
    }
    assert_eq!(session.keys().await.unwrap().len(), REQUESTS + 1);
}

async fn requests_that_update_one_counter_at_once_count_exactly(store: Store) {
    let (sessions, key) = store.visitor().await;
    race(REQUESTS, |_| {
        let session = request(&sessions, &key);
        async move {
            let add = |n: Option<usize>| n.unwrap_or(0) + 1;
            session.update("n", add).await.unwrap();
            pause().await;
            session.finish(false).await.unwrap();
        }
    })
    .await;
    let n = request(&sessions, &key).get::<usize>("n").await.unwrap();
    assert_eq!(n, Some(REQUESTS));
}

async fn removing_and_inserting_at_once_does_both(store: Store) {
    let (sessions, key) = store.visitor().await;
    let session = request(&sessions, &key);
    for n in 0..REQUESTS / 2 {
        session.insert(&format!("old {n}"), n).unwrap();
    }
    session.finish(false).await.unwrap();
    race(REQUESTS, |n| {
        let session = request(&sessions, &key);
        async move {
            session.keys().await.unwrap();
            pause().await;
            if n % 2 == 0 {
                session.remove(&format!("old {}", n / 2));
            } else {
                session.insert(&format!("new {}", n / 2), n).unwrap();
            }
            session.finish(false).await.unwrap();
        }
    })
    .await;
    let session = request(&sessions, &key);
    for n in 0..REQUESTS / 2 {
        let (old, new) = (format!("old {n}"), format!("new {n}"));
        assert!(!session.contains(&old).await.unwrap(), "{old} came back");
        assert!(session.contains(&new).await.unwrap(), "{new} was lost");
    }
}

async fn requests_at_once_on_one_key_leave_what_one_of_them_wrote(store: Store) {
    let (sessions, key) = store.visitor().await;
    race(REQUESTS, |n| {
        let session = request(&sessions, &key);
        async move {
            session.raw("contested").await.unwrap();
            pause().await;
            match n % 4 {
                0 => session.remove("contested"),
                _ => session.insert("contested", [n, n]).unwrap(),
            }
            // So that every request has something to store.
            session.insert(&format!("key {n}"), n).unwrap();
            session.finish(false).await.unwrap();
        }
    })
    .await;
    let session = request(&sessions, &key);
    if let Some([one, two]) = session.get::<[usize; 2]>("contested").await.unwrap() {
        assert!(one == two && one % 4 != 0 && one < REQUESTS);
    }
    let others = session.keys().await.unwrap().into_iter();
    let others = others.filter(|key| key.starts_with("key "));
    assert_eq!(others.count(), REQUESTS);
}

async fn a_default_is_set_once_however_many_set_it(store: Store) {
    let (sessions, key) = store.visitor().await;
    let defaults = race(16, |n| {
        let session = request(&sessions, &key);
        async move {
            let before = session.get_or_insert("token", n).await.unwrap();
            pause().await;
            session.save().await.unwrap();
            let after = session.get::<usize>("token").await.unwrap();
            (before, after.expect("it was set"))
        }
    })
    .await;
    let kept = defaults[0].1;
    // Before the save it may have been one's own; after it, it is everybody's.
    assert!(
        defaults.iter().all(|(_, after)| *after == kept),
        "{defaults:?}"
    );
    let stored = request(&sessions, &key)
        .get::<usize>("token")
        .await
        .unwrap();
    assert_eq!(stored, Some(kept));
}

async fn a_read_after_an_acknowledged_save_is_never_older(store: Store) {
    let (sessions, key) = store.visitor().await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    race(6, |task| {
        let (sessions, key) = (sessions.clone(), key.clone());
        let acknowledged = acknowledged.clone();
        async move {
            for _ in 0..40 {
                let session = request(&sessions, &key);
                if task < 2 {
                    session
                        .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                        .await
                        .unwrap();
                    session.save().await.unwrap();
                    // What this save has stored, another's included.
                    let stored = session.get::<u64>("n").await.unwrap().unwrap();
                    acknowledged.fetch_max(stored, Ordering::SeqCst);
                } else {
                    let floor = acknowledged.load(Ordering::SeqCst);
                    let seen = session.get::<u64>("n").await.unwrap().unwrap();
                    assert!(seen >= floor, "read {seen} after {floor} was acknowledged");
                }
                pause().await;
            }
        }
    })
    .await;
    assert_eq!(acknowledged.load(Ordering::SeqCst), 80);
}

async fn a_save_that_met_another_one_says_so(store: Store) {
    let (sessions, key) = store.visitor().await;
    let slow = request(&sessions, &key);
    slow.get::<u8>("n").await.unwrap();
    assert_eq!(slow.save().await.unwrap(), Saved::Unchanged);

    let quick = request(&sessions, &key);
    quick.insert("quick", true).unwrap();
    assert_eq!(quick.save().await.unwrap(), Saved::Saved);

    slow.insert("slow", true).unwrap();
    assert_eq!(slow.save().await.unwrap(), Saved::Merged { retries: 1 });
    assert_eq!(slow.get::<bool>("quick").await.unwrap(), Some(true));
    let expected = r#"{"n":0,"quick":true,"slow":true}"#;
    assert_eq!(store.json(&key).await.unwrap(), expected);
}

async fn clones_of_one_session_lose_nothing(store: Store) {
    let (sessions, key) = store.visitor().await;
    let shared = request(&sessions, &key);
    race(REQUESTS, |n| {
        let session = shared.clone();
        async move {
            session.insert(&format!("key {n}"), n).unwrap();
            if n % 3 == 0 {
                session.save().await.unwrap();
            }
            session
                .update("n", |n: Option<usize>| n.unwrap_or(0) + 1)
                .await
                .unwrap();
            if n % 3 == 1 {
                session.save().await.unwrap();
            }
        }
    })
    .await;
    shared.finish(false).await.unwrap();
    let session = request(&sessions, &key);
    assert_eq!(session.get::<usize>("n").await.unwrap(), Some(REQUESTS));
    assert_eq!(session.keys().await.unwrap().len(), REQUESTS + 1);
}

async fn touching_and_writing_at_once_lose_nothing(store: Store) {
    let (sessions, key) = store.visitor().await;
    let every = store.sessions_touched_every(TimeDelta::zero(), store.engine.clone());
    race(32, |n| {
        let session = match n % 2 {
            0 => request(&every, &key),
            _ => request(&sessions, &key),
        };
        async move {
            if n % 2 == 1 {
                session.insert(&format!("key {n}"), n).unwrap();
            }
            pause().await;
            session.finish(false).await.unwrap();
        }
    })
    .await;
    let keys = request(&sessions, &key).keys().await.unwrap();
    assert_eq!(keys.len(), 16 + 1);
}
