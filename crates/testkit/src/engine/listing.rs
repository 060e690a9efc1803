//! A store that can enumerate its sessions loses none and repeats none.

use chrono::{TimeDelta, Utc};
use quintette_core::session::{Listed, SessionErrorKind, SessionKey};

use super::store::{Store, an_hour_ago, data, in_an_hour, new_key, record};
use crate::case::{Case, case};

pub(super) fn cases(cannot_list: bool) -> Vec<Case<Store>> {
    if cannot_list {
        return vec![case(listing_is_unsupported)];
    }
    vec![
        case(a_list_has_each_session_with_its_data_and_expiry),
        case(pages_of_a_list_lose_none_and_repeat_none),
        case(a_list_is_without_the_expired_and_the_deleted),
    ]
}

async fn listing_is_unsupported(store: Store) {
    store.create(r#"{"n":1}"#).await;
    let error = store.engine.list(None, 10).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unsupported);
}

async fn list(store: &Store, after: Option<&SessionKey>, limit: usize) -> Vec<Listed> {
    store.engine.list(after, limit).await.unwrap()
}

async fn a_list_has_each_session_with_its_data_and_expiry(store: Store) {
    assert!(list(&store, None, 10).await.is_empty());
    let key = new_key();
    let expires_at = Utc::now() + TimeDelta::minutes(17);
    let json = r#"{"name":"tea","n":[0.1]}"#;
    store.create_under(&key, json, expires_at).await;
    let listed = list(&store, None, 10).await;
    let [listed] = &*listed else {
        panic!("{} sessions in place of one", listed.len());
    };
    assert!(listed.key == key, "another key");
    assert_eq!(listed.data.to_json().unwrap(), json);
    assert!(listed.size > 0);
    // A store may round to whole seconds.
    let off = (listed.expires_at - expires_at).abs();
    assert!(off <= TimeDelta::seconds(1), "expires {off} off");
}

async fn pages_of_a_list_lose_none_and_repeat_none(store: Store) {
    let mut keys = Vec::new();
    for n in 0..23 {
        keys.push(store.create(&format!(r#"{{"n":{n}}}"#)).await.0);
    }
    keys.sort();
    for limit in [1, 5, 23, 100] {
        let mut seen: Vec<SessionKey> = Vec::new();
        loop {
            let page = list(&store, seen.last(), limit).await;
            assert!(page.len() <= limit, "{} in a page of {limit}", page.len());
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|listed| listed.key));
            assert!(seen.len() <= keys.len(), "pages of {limit} repeat");
        }
        assert!(
            seen == keys,
            "pages of {limit}: not the keys in their order"
        );
    }
}

async fn a_list_is_without_the_expired_and_the_deleted(store: Store) {
    let (kept, _) = store.create(r#"{"n":1}"#).await;
    let (deleted, _) = store.create(r#"{"n":2}"#).await;
    store.engine.delete(&deleted, None).await.unwrap();
    let (touched, revision) = store.create(r#"{"n":3}"#).await;
    store
        .touch(&touched, &revision, r#"{"n":3}"#, an_hour_ago())
        .await;
    let expired = data(r#"{"n":4}"#);
    for _ in 0..5 {
        let record = record(&expired, an_hour_ago());
        store.engine.create(&new_key(), &record).await.unwrap();
    }
    store.create_under(&new_key(), "{}", in_an_hour()).await;
    // The expired must not take up a page's places either.
    let first = list(&store, None, 1).await;
    let rest = list(&store, Some(&first[0].key), 10).await;
    let listed: Vec<_> = first
        .iter()
        .chain(&rest)
        .map(|listed| &listed.key)
        .collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&&kept));
}
