//! What has expired is as good as gone.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use quintette_core::session::{Cleared, Deleted, Replaced};

use super::store::{Store, an_hour_ago, in_an_hour, new_key};
use crate::case::{Case, case};

pub(super) fn cases(expires_by_itself: bool) -> Vec<Case<Store>> {
    let clearing = if expires_by_itself {
        case(clearing_what_has_expired_finds_nothing_to_do)
    } else {
        case(clearing_what_has_expired_removes_exactly_that_and_counts_it)
    };
    vec![
        case(a_session_expires_when_its_time_comes),
        case(a_session_that_is_created_expired_is_none),
        case(replacing_moves_the_expiry),
        case(touching_moves_the_expiry_back),
        case(touching_moves_the_expiry_on),
        case(writing_to_an_expired_session_is_gone_and_brings_nothing_back),
        clearing,
    ]
}

/// Waits until it has happened, for as long as the slowest machine may need.
async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("after 10 s, {what}");
}

async fn a_session_expires_when_its_time_comes(store: Store) {
    let key = new_key();
    // Stores that count in whole seconds may round either way.
    let expires_at = Utc::now() + TimeDelta::seconds(2);
    store.create_under(&key, r#"{"n":1}"#, expires_at).await;
    // One load alone: its time may come between two.
    until("the session has not expired", async || {
        store.engine.load(&key).await.unwrap().is_none()
    })
    .await;
    assert!(Utc::now() > expires_at - TimeDelta::seconds(1), "too early");
    assert_eq!(store.json(&key).await, None);
}

async fn a_session_that_is_created_expired_is_none(store: Store) {
    let key = new_key();
    let data = super::store::data(r#"{"n":1}"#);
    let record = super::store::record(&data, an_hour_ago());
    store.engine.create(&key, &record).await.unwrap();
    assert_eq!(store.json(&key).await, None);
}

async fn replacing_moves_the_expiry(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    let replaced = store
        .replace(&key, &revision, r#"{"n":2}"#, an_hour_ago())
        .await;
    assert!(matches!(replaced, Replaced::Stored(_)), "{replaced:?}");
    assert_eq!(store.json(&key).await, None);
}

async fn touching_moves_the_expiry_back(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    let touched = store
        .touch(&key, &revision, r#"{"n":1}"#, an_hour_ago())
        .await;
    assert!(matches!(touched, Replaced::Stored(_)), "{touched:?}");
    assert_eq!(store.json(&key).await, None);
}

async fn touching_moves_the_expiry_on(store: Store) {
    for seconds in [2, 8, 32] {
        let key = new_key();
        let expires_at = Utc::now() + TimeDelta::seconds(seconds);
        let revision = store.create_under(&key, r#"{"n":1}"#, expires_at).await;
        let touched = store
            .touch(&key, &revision, r#"{"n":1}"#, in_an_hour())
            .await;
        if matches!(touched, Replaced::Gone) && Utc::now() > expires_at - TimeDelta::seconds(1) {
            // This machine was too busy to touch it in time.
            continue;
        }
        assert!(matches!(touched, Replaced::Stored(_)), "{touched:?}");
        let past_it = expires_at + TimeDelta::milliseconds(1_100) - Utc::now();
        tokio::time::sleep(past_it.to_std().unwrap_or_default()).await;
        assert_eq!(store.json(&key).await.unwrap(), r#"{"n":1}"#);
        return;
    }
    panic!("no touch came in time");
}

async fn writing_to_an_expired_session_is_gone_and_brings_nothing_back(store: Store) {
    let (key, first) = store.create(r#"{"n":1}"#).await;
    let touched = store.touch(&key, &first, r#"{"n":1}"#, an_hour_ago()).await;
    let Replaced::Stored(receipt) = touched else {
        panic!("touching the newest revision gave {touched:?}");
    };
    let last = receipt.revision.unwrap_or_else(|| first.clone());
    for seen in [&first, &last] {
        let replaced = store.replace(&key, seen, r#"{"n":2}"#, in_an_hour()).await;
        assert!(matches!(replaced, Replaced::Gone), "{replaced:?}");
        let touched = store.touch(&key, seen, r#"{"n":1}"#, in_an_hour()).await;
        assert!(matches!(touched, Replaced::Gone), "{touched:?}");
        assert_eq!(store.json(&key).await, None);
    }
    let deleted = store.engine.delete(&key, Some(&first)).await.unwrap();
    assert_ne!(deleted, Deleted::Conflict);
    assert_eq!(store.json(&key).await, None);
}

/// Clears, and looks at what it reports on the way.
async fn clear(store: &Store) -> Cleared {
    let mut reports: Vec<Cleared> = Vec::new();
    let cleared = store
        .engine
        .clear_expired(&mut |so_far| reports.push(so_far))
        .await
        .unwrap();
    reports.push(cleared);
    let removed = reports.iter().map(|report| report.removed);
    assert!(removed.is_sorted(), "counts go backwards: {reports:?}");
    for report in &reports {
        assert!(
            report
                .expired
                .is_none_or(|expired| report.removed <= expired)
        );
    }
    cleared
}

async fn clearing_what_has_expired_removes_exactly_that_and_counts_it(store: Store) {
    let mut live = Vec::new();
    for n in 0..30 {
        let json = format!(r#"{{"n":{n}}}"#);
        if n % 5 == 0 {
            live.push((store.create(&json).await.0, json));
        } else {
            let data = super::store::data(&json);
            let record = super::store::record(&data, an_hour_ago());
            store.engine.create(&new_key(), &record).await.unwrap();
        }
    }
    let cleared = clear(&store).await;
    assert_eq!(cleared.removed, 24);
    assert!(cleared.expired.is_none_or(|expired| expired == 24));
    assert_eq!(clear(&store).await.removed, 0, "cleared twice");
    for (key, json) in live {
        assert_eq!(store.json(&key).await, Some(json));
    }
}

async fn clearing_what_has_expired_finds_nothing_to_do(store: Store) {
    let (live, _) = store.create(r#"{"n":1}"#).await;
    let (expired, revision) = store.create(r#"{"n":2}"#).await;
    store
        .touch(&expired, &revision, r#"{"n":2}"#, an_hour_ago())
        .await;
    assert_eq!(clear(&store).await.removed, 0);
    assert_eq!(store.json(&live).await.unwrap(), r#"{"n":1}"#);
    assert_eq!(store.json(&expired).await, None);
}
