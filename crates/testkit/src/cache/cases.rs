use std::time::{Duration, Instant};

use quintette_core::cache::Swapped;
use quintette_core::session::Revision;

use super::FreshCache;
use crate::case::{Case, case};
use crate::race::race;

/// Longer than any test.
const HOUR: Duration = Duration::from_hours(1);
/// The shortest that a cache which counts in whole seconds can tell from none.
const SHORT: Duration = Duration::from_secs(1);

pub(super) fn cases() -> Vec<Case<FreshCache>> {
    vec![
        case(a_name_that_was_never_set_is_none),
        case(what_is_set_is_there),
        case(setting_replaces_whatever_was_there),
        case(any_bytes_come_back_as_they_were),
        case(names_as_django_makes_them_are_told_apart),
        case(adding_stores_only_where_there_is_nothing),
        case(replacing_what_was_seen_is_done),
        case(replacing_something_else_is_a_conflict_and_changes_nothing),
        case(replacing_what_is_missing_stores_nothing),
        case(what_a_write_returns_is_what_a_read_sees),
        case(touching_keeps_the_value_and_what_was_seen),
        case(touching_something_else_is_a_conflict_and_what_is_missing_stays_so),
        case(deleting_what_was_seen_is_done),
        case(deleting_something_else_is_a_conflict_and_deletes_nothing),
        case(deleting_whatever_is_there_is_done_once),
        case(a_value_is_forgotten_when_its_time_has_passed),
        case(every_write_sets_the_time_anew),
        case(what_has_expired_is_missing),
        case(of_many_who_add_at_once_one_does),
        case(of_many_who_delete_at_once_one_does),
        case(of_many_who_replace_at_once_none_is_lost),
        case(replaces_during_a_delete_bring_nothing_back),
        case(a_value_that_is_set_is_not_replaced_by_whoever_saw_the_one_before),
    ]
}

impl FreshCache {
    async fn value(&self, name: &str) -> Option<Vec<u8>> {
        let cached = self.cache.get(name).await.unwrap();
        cached.map(|cached| cached.value)
    }

    /// What is there, as a later write compares it.
    async fn seen(&self, name: &str) -> Revision {
        let cached = self.cache.get(name).await.unwrap();
        cached.expect("it is there").into_revision()
    }

    async fn set(&self, name: &str, value: &[u8], ttl: Duration) -> Revision {
        self.cache.set(name, value.to_vec(), ttl).await.unwrap()
    }

    async fn add(&self, name: &str, value: &[u8], ttl: Duration) -> Option<Revision> {
        self.cache.add(name, value.to_vec(), ttl).await.unwrap()
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: &[u8],
        ttl: Duration,
    ) -> Swapped<Revision> {
        let replaced = self.cache.replace(name, seen, value.to_vec(), ttl).await;
        replaced.unwrap()
    }

    async fn touch(&self, name: &str, seen: &Revision, ttl: Duration) -> Swapped {
        self.cache.touch(name, seen, ttl).await.unwrap()
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Swapped {
        self.cache.delete(name, seen).await.unwrap()
    }

    /// Waits until the cache has forgotten this, for as long as the slowest machine may need.
    async fn forgets(&self, name: &str) {
        for _ in 0..200 {
            if self.value(name).await.is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("after 10 s, {name} is still there");
    }
}

/// The revision of a replacement that must have been made.
fn done(replaced: Swapped<Revision>) -> Revision {
    match replaced {
        Swapped::Done(revision) => revision,
        other => panic!("it was not replaced: {other:?}"),
    }
}

async fn a_name_that_was_never_set_is_none(fresh: FreshCache) {
    assert_eq!(fresh.value("name").await, None);
}

async fn what_is_set_is_there(fresh: FreshCache) {
    fresh.set("name", b"value", HOUR).await;
    assert_eq!(fresh.value("name").await.unwrap(), b"value");
    assert_eq!(fresh.value("name").await.unwrap(), b"value");
    assert_eq!(fresh.value("other").await, None);
}

async fn setting_replaces_whatever_was_there(fresh: FreshCache) {
    fresh.set("name", b"one", HOUR).await;
    fresh.set("name", b"two", HOUR).await;
    assert_eq!(fresh.value("name").await.unwrap(), b"two");
}

async fn any_bytes_come_back_as_they_were(fresh: FreshCache) {
    let all: Vec<u8> = (0..=255).collect();
    let large = all.repeat(256);
    for value in [&b""[..], b"\0", b"\r\nEND\r\n", b"12", &all, &large] {
        let set = fresh.set("name", value, HOUR).await;
        assert_eq!(fresh.value("name").await.unwrap(), value);
        let next = done(fresh.replace("name", &set, b"next", HOUR).await);
        let last = done(fresh.replace("name", &next, value, HOUR).await);
        assert_eq!(fresh.value("name").await.unwrap(), value);
        assert_eq!(fresh.delete("name", Some(&last)).await, Swapped::Done(()));
    }
}

async fn names_as_django_makes_them_are_told_apart(fresh: FreshCache) {
    let names = [
        ":1:django.contrib.sessions.cacheabcdefgh",
        ":1:django.contrib.sessions.cacheABCDEFGH",
        ":1:django.contrib.sessions.cached_dbabcdefgh",
        "prefix:1:django.contrib.sessions.cacheabcdefgh",
        ":2:django.contrib.sessions.cacheabcdefgh",
    ];
    for name in names {
        assert_eq!(fresh.value(name).await, None);
        fresh.set(name, name.as_bytes(), HOUR).await;
    }
    for name in names {
        assert_eq!(fresh.value(name).await.unwrap(), name.as_bytes());
    }
}

async fn adding_stores_only_where_there_is_nothing(fresh: FreshCache) {
    assert!(fresh.add("name", b"one", HOUR).await.is_some());
    assert_eq!(fresh.add("name", b"two", HOUR).await, None);
    assert_eq!(fresh.value("name").await.unwrap(), b"one");
    fresh.delete("name", None).await;
    assert!(fresh.add("name", b"three", HOUR).await.is_some());
    assert_eq!(fresh.value("name").await.unwrap(), b"three");
}

async fn what_a_write_returns_is_what_a_read_sees(fresh: FreshCache) {
    let added = fresh.add("name", b"one", HOUR).await.unwrap();
    assert_eq!(added, fresh.seen("name").await);
    let replaced = done(fresh.replace("name", &added, b"two", HOUR).await);
    assert_eq!(replaced, fresh.seen("name").await);
    let set = fresh.set("name", b"three", HOUR).await;
    assert_eq!(set, fresh.seen("name").await);
}

async fn replacing_what_was_seen_is_done(fresh: FreshCache) {
    let seen = fresh.set("name", b"one", HOUR).await;
    done(fresh.replace("name", &seen, b"two", HOUR).await);
    assert_eq!(fresh.value("name").await.unwrap(), b"two");
}

async fn replacing_something_else_is_a_conflict_and_changes_nothing(fresh: FreshCache) {
    for other in [&b"two"[..], b"", b"on", b"one\0", b"ONE"] {
        let seen = fresh.set("name", other, HOUR).await;
        fresh.set("name", b"one", HOUR).await;
        let replaced = fresh.replace("name", &seen, b"three", HOUR).await;
        assert_eq!(replaced, Swapped::Conflict, "{other:?}");
        assert_eq!(fresh.value("name").await.unwrap(), b"one");
    }
}

async fn replacing_what_is_missing_stores_nothing(fresh: FreshCache) {
    for value in [&b""[..], b"one"] {
        let seen = fresh.set("name", value, HOUR).await;
        fresh.delete("name", None).await;
        let replaced = fresh.replace("name", &seen, b"two", HOUR).await;
        assert_eq!(replaced, Swapped::Missing);
        assert_eq!(fresh.value("name").await, None);
    }
}

async fn touching_keeps_the_value_and_what_was_seen(fresh: FreshCache) {
    let seen = fresh.set("name", b"one", HOUR).await;
    assert_eq!(fresh.touch("name", &seen, HOUR).await, Swapped::Done(()));
    assert_eq!(fresh.value("name").await.unwrap(), b"one");
    assert_eq!(fresh.seen("name").await, seen);
    done(fresh.replace("name", &seen, b"two", HOUR).await);
}

async fn touching_something_else_is_a_conflict_and_what_is_missing_stays_so(fresh: FreshCache) {
    let seen = fresh.set("name", b"one", HOUR).await;
    fresh.set("name", b"two", HOUR).await;
    assert_eq!(fresh.touch("name", &seen, HOUR).await, Swapped::Conflict);
    assert_eq!(fresh.value("name").await.unwrap(), b"two");
    fresh.delete("name", None).await;
    assert_eq!(fresh.touch("name", &seen, HOUR).await, Swapped::Missing);
    assert_eq!(fresh.value("name").await, None);
}

async fn deleting_what_was_seen_is_done(fresh: FreshCache) {
    let seen = fresh.set("name", b"one", HOUR).await;
    assert_eq!(fresh.delete("name", Some(&seen)).await, Swapped::Done(()));
    assert_eq!(fresh.value("name").await, None);
    assert_eq!(fresh.delete("name", Some(&seen)).await, Swapped::Missing);
}

async fn deleting_something_else_is_a_conflict_and_deletes_nothing(fresh: FreshCache) {
    for other in [&b"two"[..], b""] {
        let seen = fresh.set("name", other, HOUR).await;
        fresh.set("name", b"one", HOUR).await;
        assert_eq!(fresh.delete("name", Some(&seen)).await, Swapped::Conflict);
        assert_eq!(fresh.value("name").await.unwrap(), b"one");
    }
}

async fn deleting_whatever_is_there_is_done_once(fresh: FreshCache) {
    fresh.set("name", b"one", HOUR).await;
    assert_eq!(fresh.delete("name", None).await, Swapped::Done(()));
    assert_eq!(fresh.delete("name", None).await, Swapped::Missing);
    assert_eq!(fresh.value("name").await, None);
}

async fn a_value_is_forgotten_when_its_time_has_passed(fresh: FreshCache) {
    fresh.set("kept", b"kept", HOUR).await;
    fresh.set("set", b"one", SHORT).await;
    fresh.add("added", b"one", SHORT).await;
    let seen = fresh.set("replaced", b"one", HOUR).await;
    fresh.replace("replaced", &seen, b"two", SHORT).await;
    let seen = fresh.set("touched", b"one", HOUR).await;
    fresh.touch("touched", &seen, SHORT).await;
    for name in ["set", "added", "replaced", "touched"] {
        fresh.forgets(name).await;
    }
    assert_eq!(fresh.value("kept").await.unwrap(), b"kept");
}

async fn every_write_sets_the_time_anew(fresh: FreshCache) {
    let begun = Instant::now();
    fresh.set("set", b"one", SHORT).await;
    fresh.set("set", b"two", HOUR).await;
    // Where this machine is too busy to replace it in time, it lives longer the next time.
    for ttl in [2, 8, 32].map(Duration::from_secs) {
        let replaced = fresh.set("replaced", b"one", ttl).await;
        let touched = fresh.set("touched", b"one", ttl).await;
        let replaced = fresh.replace("replaced", &replaced, b"two", HOUR).await;
        let touched = fresh.touch("touched", &touched, HOUR).await;
        if matches!((replaced, touched), (Swapped::Done(_), Swapped::Done(()))) {
            tokio::time::sleep(ttl + SHORT).await;
            break;
        }
    }
    assert!(begun.elapsed() > SHORT);
    assert_eq!(fresh.value("set").await.unwrap(), b"two");
    assert_eq!(fresh.value("replaced").await.unwrap(), b"two");
    assert_eq!(fresh.value("touched").await.unwrap(), b"one");
}

async fn what_has_expired_is_missing(fresh: FreshCache) {
    let seen = fresh.set("name", b"one", SHORT).await;
    fresh.set("added", b"one", SHORT).await;
    for name in ["name", "added"] {
        fresh.forgets(name).await;
    }
    let replaced = fresh.replace("name", &seen, b"two", HOUR).await;
    assert_eq!(replaced, Swapped::Missing);
    assert_eq!(fresh.touch("name", &seen, HOUR).await, Swapped::Missing);
    assert_eq!(fresh.delete("name", Some(&seen)).await, Swapped::Missing);
    assert!(fresh.add("added", b"two", HOUR).await.is_some());
    assert_eq!(fresh.value("added").await.unwrap(), b"two");
    assert_eq!(fresh.value("name").await, None);
}

async fn of_many_who_add_at_once_one_does(fresh: FreshCache) {
    for round in 0..16 {
        let name = format!("name-{round}");
        let added = race(16, |n| {
            let (cache, name) = (fresh.cache.clone(), name.clone());
            async move {
                cache
                    .add(&name, n.to_string().into_bytes(), HOUR)
                    .await
                    .unwrap()
                    .is_some()
            }
        })
        .await;
        let winners: Vec<usize> = (0..16).filter(|n| added[*n]).collect();
        assert_eq!(winners.len(), 1, "told to have added: {winners:?}");
        assert_eq!(
            fresh.value(&name).await.unwrap(),
            winners[0].to_string().as_bytes()
        );
    }
}

async fn of_many_who_delete_at_once_one_does(fresh: FreshCache) {
    for whatever_is_there in [true, false] {
        let seen = fresh.set("name", b"one", HOUR).await;
        let seen = (!whatever_is_there).then_some(seen);
        let deleted = race(16, |_| {
            let (cache, seen) = (fresh.cache.clone(), seen.clone());
            async move { cache.delete("name", seen.as_ref()).await.unwrap() }
        })
        .await;
        let done = deleted
            .iter()
            .filter(|deleted| **deleted == Swapped::Done(()));
        assert_eq!(done.count(), 1);
        assert!(!deleted.contains(&Swapped::Conflict));
    }
}

async fn of_many_who_replace_at_once_none_is_lost(fresh: FreshCache) {
    const TASKS: usize = 32;
    const ROUNDS: usize = 8;
    fresh.set("n", b"0", HOUR).await;
    race(TASKS, |_| {
        let cache = fresh.cache.clone();
        async move {
            let mut left = ROUNDS;
            while left > 0 {
                let seen = cache.get("n").await.unwrap().expect("it is there");
                let n: usize = String::from_utf8(seen.value.clone())
                    .unwrap()
                    .parse()
                    .unwrap();
                let next = (n + 1).to_string().into_bytes();
                let seen = seen.into_revision();
                match cache.replace("n", &seen, next, HOUR).await.unwrap() {
                    Swapped::Done(_) => left -= 1,
                    Swapped::Conflict => {}
                    Swapped::Missing => panic!("nobody deleted it"),
                }
            }
        }
    })
    .await;
    let n = fresh.value("n").await.unwrap();
    assert_eq!(n, (TASKS * ROUNDS).to_string().as_bytes());
}

async fn replaces_during_a_delete_bring_nothing_back(fresh: FreshCache) {
    for _ in 0..8 {
        fresh.set("name", b"0", HOUR).await;
        race(8, |n| {
            let cache = fresh.cache.clone();
            async move {
                if n == 0 {
                    cache.delete("name", None).await.unwrap();
                    return;
                }
                while let Some(seen) = cache.get("name").await.unwrap() {
                    let value = n.to_string().into_bytes();
                    let seen = seen.into_revision();
                    cache.replace("name", &seen, value, HOUR).await.unwrap();
                    // A cache in memory answers at once, and the one who deletes needs a thread as well.
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        assert_eq!(fresh.value("name").await, None);
    }
}

async fn a_value_that_is_set_is_not_replaced_by_whoever_saw_the_one_before(fresh: FreshCache) {
    for _ in 0..2_000 {
        let seen = fresh.set("name", b"seen", HOUR).await;
        race(2, |n| {
            let (cache, seen) = (fresh.cache.clone(), seen.clone());
            async move {
                if n == 0 {
                    cache.set("name", b"set".to_vec(), HOUR).await.unwrap();
                } else {
                    let replaced = cache.replace("name", &seen, b"late".to_vec(), HOUR);
                    replaced.await.unwrap();
                }
            }
        })
        .await;
        // Before it or after it, what was set is what stays.
        assert_eq!(fresh.value("name").await.unwrap(), b"set");
    }
}
