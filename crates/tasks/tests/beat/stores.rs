//! What each store promises.

use std::time::Duration;

use quintette_tasks::Signature;
use quintette_tasks::beat::{BeatErrorKind, Entry};
use tokio::time::sleep;

use super::places::Place;

const LONG: Duration = Duration::from_mins(10);

fn entry(name: &str, last_run_at: &str, total_run_count: u64) -> Entry {
    let mut entry = Entry::new(name, Duration::from_secs(1), Signature::new("task"));
    entry.last_run_at = Some(last_run_at.parse().unwrap());
    entry.total_run_count = total_run_count;
    entry
}

#[tokio::test]
async fn one_beat_has_the_lease_until_it_lets_it_go() {
    for place in Place::all() {
        let (first, second) = (place.store(), place.store());
        let fence = first.acquire(LONG).await.unwrap().unwrap();
        assert_eq!(second.acquire(LONG).await.unwrap(), None, "{place:?}");
        assert!(first.renew(fence, LONG).await.unwrap(), "{place:?}");
        first.release(fence).await.unwrap();
        let next = second.acquire(LONG).await.unwrap().unwrap();
        assert!(next > fence, "{place:?}");
        assert_eq!(first.acquire(LONG).await.unwrap(), None, "{place:?}");
    }
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_goes_to_another() {
    for place in Place::all() {
        if place.address.starts_with("file:") {
            continue; // It goes when its process does: see `killed`.
        }
        let (first, second) = (place.store(), place.store());
        let old = first
            .acquire(Duration::from_millis(20))
            .await
            .unwrap()
            .unwrap();
        let new = loop {
            if let Some(new) = second.acquire(LONG).await.unwrap() {
                break new;
            }
            sleep(Duration::from_millis(10)).await;
        };
        assert!(new > old, "{place:?}");
        assert!(!first.renew(old, LONG).await.unwrap(), "{place:?}");
        first.release(old).await.unwrap();
        assert_eq!(first.acquire(LONG).await.unwrap(), None, "{place:?}");
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_can_be_renewed_while_nobody_else_has_it() {
    for place in Place::all() {
        let store = place.store();
        let fence = store
            .acquire(Duration::from_millis(1))
            .await
            .unwrap()
            .unwrap();
        sleep(Duration::from_millis(5)).await;
        assert!(store.renew(fence, LONG).await.unwrap(), "{place:?}");
        assert_eq!(
            place.store().acquire(LONG).await.unwrap(),
            None,
            "{place:?}"
        );
    }
}

#[tokio::test]
async fn what_was_recorded_is_there_for_the_next_process() {
    for place in Place::all() {
        let first = place.store();
        let fence = first.acquire(LONG).await.unwrap().unwrap();
        let new = [
            entry("a", "2026-03-01T12:00:00Z", 0),
            entry("b", "2026-03-01T12:00:00Z", 0),
        ];
        first.install(fence, &new).await.unwrap();
        let ran = entry("a", "2026-03-01T12:30:00.123456Z", 7);
        first.record(fence, &ran).await.unwrap();
        first.release(fence).await.unwrap();
        drop(first);

        let second = place.store();
        let fence = second.acquire(LONG).await.unwrap().unwrap();
        let later = ["a", "b", "c"].map(|name| entry(name, "2026-03-02T00:00:00Z", 0));
        second.install(fence, &later).await.unwrap();
        let loaded = second.load().await.unwrap();
        let b = entry("b", "2026-03-01T12:00:00Z", 0);
        let c = entry("c", "2026-03-02T00:00:00Z", 0);
        assert_eq!(loaded, [ran, b, c], "{place:?}");
    }
}

#[tokio::test]
async fn an_entry_that_was_away_counts_from_its_return() {
    for place in Place::all() {
        let store = place.store();
        let fence = store.acquire(LONG).await.unwrap().unwrap();
        let both = ["a", "b"].map(|name| entry(name, "2026-01-01T00:00:00Z", 3));
        store.install(fence, &both).await.unwrap();
        store.install(fence, &both[..1]).await.unwrap();
        let back = ["a", "b"].map(|name| entry(name, "2026-03-01T00:00:00Z", 0));
        store.install(fence, &back).await.unwrap();
        let loaded = store.load().await.unwrap();
        assert_eq!(loaded, [both[0].clone(), back[1].clone()], "{place:?}");
    }
}

#[tokio::test]
async fn what_an_old_leader_writes_is_refused() {
    for place in Place::all() {
        let (first, second) = (place.store(), place.store());
        let old = first.acquire(LONG).await.unwrap().unwrap();
        let entries = [entry("a", "2026-03-01T12:00:00Z", 0)];
        first.install(old, &entries).await.unwrap();
        first.release(old).await.unwrap();
        let new = second.acquire(LONG).await.unwrap().unwrap();
        second.install(new, &entries).await.unwrap();
        let record = first
            .record(old, &entry("a", "2026-03-01T13:00:00Z", 1))
            .await;
        assert_eq!(
            record.unwrap_err().kind(),
            BeatErrorKind::LeaseLost,
            "{place:?}"
        );
        let install = first.install(old, &[]).await;
        assert_eq!(
            install.unwrap_err().kind(),
            BeatErrorKind::LeaseLost,
            "{place:?}"
        );
        assert_eq!(second.load().await.unwrap(), entries, "{place:?}");
    }
}

#[tokio::test]
async fn many_that_ask_at_once_get_one_lease() {
    for place in Place::all() {
        let asking = (0..8).map(|_| {
            let store = place.store();
            tokio::spawn(async move { store.acquire(LONG).await })
        });
        let mut leaders = 0;
        for asked in asking.collect::<Vec<_>>() {
            // A database may turn away who comes while its tables are being made; a beat asks again.
            leaders += i32::from(matches!(asked.await.unwrap(), Ok(Some(_))));
        }
        assert!(leaders <= 1, "{place:?}");
        assert!(
            leaders == 1 || place.store().acquire(LONG).await.unwrap().is_some(),
            "{place:?}"
        );
    }
}

#[test]
fn a_password_is_in_no_debug_output() {
    let urls = [
        "postgres://u:hunter2@127.0.0.1:1/x",
        "mysql://u:hunter2@127.0.0.1:1/x",
    ];
    for url in urls {
        let store = super::places::store(url);
        assert!(!format!("{store:?}").contains("hunter2"));
    }
    let redis = super::places::store("redis://:hunter2@127.0.0.1:1/0#name");
    assert!(!format!("{redis:?}").contains("hunter2"));
}
