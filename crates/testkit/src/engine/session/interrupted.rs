//! Logouts and logins in the middle of other requests.

use chrono::TimeDelta;
use quintette_core::session::{Session, SessionError, SessionErrorKind, SessionKey, Sessions};

use crate::case::{Case, case};
use crate::doubles::{Operation, When};
use crate::engine::store::{Store, request, visitor};
use crate::race::{joined, pause, race, stands_at};

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(a_session_flushed_during_a_slow_request_is_not_brought_back),
        case(a_session_flushed_during_a_save_is_not_brought_back),
        case(a_session_flushed_during_a_touch_is_not_brought_back),
        case(writers_during_a_flush_bring_nothing_back),
        case(a_write_during_a_cycle_moves_along),
        case(writers_during_a_cycle_lose_no_acknowledged_write),
        case(a_write_after_a_cycle_is_interrupted),
        case(a_flush_during_a_cycle_ends_both_keys),
        case(a_cycle_during_a_flush_leaves_nothing_under_the_old_key),
        case(of_two_cycles_at_once_one_has_the_session),
    ]
}

fn assert_interrupted<T: std::fmt::Debug>(result: Result<T, SessionError>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Interrupted, "{error}");
    assert_eq!(error.status(), 400);
}

/// A request that has read its session, so that the store has confirmed it.
async fn reading(sessions: &Sessions, key: &SessionKey) -> Session {
    let session = request(sessions, key);
    assert_eq!(session.get::<u8>("n").await.unwrap(), Some(0));
    session
}

async fn a_session_flushed_during_a_slow_request_is_not_brought_back(store: Store) {
    let (sessions, key) = store.visitor().await;
    let slow = reading(&sessions, &key).await;
    request(&sessions, &key).flush().await.unwrap();
    slow.insert("late", true).unwrap();
    for _ in 0..2 {
        assert_interrupted(slow.finish(false).await);
        assert_interrupted(slow.save().await);
        assert_eq!(store.json(&key).await, None);
    }
}

async fn a_session_flushed_during_a_save_is_not_brought_back(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let key = visitor(&sessions).await;
    let slow = reading(&sessions, &key).await;
    slow.insert("late", true).unwrap();

    let mut gate = engine.hold(When::Before, Operation::Replace);
    let mut finishing = tokio::spawn(async move { slow.finish(false).await });
    stands_at(&mut gate, &mut finishing).await;
    request(&sessions, &key).flush().await.unwrap();
    gate.open();
    assert_interrupted(joined(finishing).await);
    assert_eq!(store.json(&key).await, None);
}

async fn a_session_flushed_during_a_touch_is_not_brought_back(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_touched_every(TimeDelta::zero(), engine.clone());
    let key = visitor(&sessions).await;
    let slow = request(&sessions, &key);

    let mut gate = engine.hold(When::Before, Operation::Touch);
    let mut finishing = tokio::spawn(async move { slow.finish(false).await });
    stands_at(&mut gate, &mut finishing).await;
    request(&sessions, &key).flush().await.unwrap();
    gate.open();
    assert_interrupted(joined(finishing).await);
    assert_eq!(store.json(&key).await, None);
}

async fn writers_during_a_flush_bring_nothing_back(store: Store) {
    for _ in 0..8 {
        let (sessions, key) = store.visitor().await;
        let mut requests = Vec::new();
        for _ in 0..8 {
            requests.push(reading(&sessions, &key).await);
        }
        race(8, |n| {
            let session = requests[n].clone();
            async move {
                pause().await;
                if n == 0 {
                    session.flush().await.unwrap();
                    return;
                }
                session.insert("late", n).unwrap();
                if let Err(error) = session.finish(false).await {
                    assert_eq!(error.kind(), SessionErrorKind::Interrupted, "{error}");
                }
            }
        })
        .await;
        assert_eq!(store.json(&key).await, None, "a logout was undone");
    }
}

async fn a_write_during_a_cycle_moves_along(store: Store) {
    let engine = store.gated();
    let sessions = store.sessions_over(engine.clone());
    let old = visitor(&sessions).await;
    let login = reading(&sessions, &old).await;
    login.insert("user", "ann").unwrap();

    // The copy under the new key is made, the old key is still there.
    let mut gate = engine.hold(When::Before, Operation::Delete);
    let mut cycling = tokio::spawn({
        let login = login.clone();
        async move { login.cycle_key().await }
    });
    stands_at(&mut gate, &mut cycling).await;
    let writer = reading(&sessions, &old).await;
    writer.insert("cart", 3).unwrap();
    writer.finish(false).await.unwrap();
    login.insert("meanwhile", true).unwrap();
    gate.open();
    joined(cycling).await.unwrap();

    let new = login.key().unwrap();
    assert!(new != old);
    assert_eq!(login.get::<u8>("cart").await.unwrap(), Some(3));
    login.finish(false).await.unwrap();
    let next = request(&sessions, &new);
    assert_eq!(next.get::<u8>("cart").await.unwrap(), Some(3));
    assert_eq!(next.get::<String>("user").await.unwrap().unwrap(), "ann");
    assert_eq!(next.get::<bool>("meanwhile").await.unwrap(), Some(true));
    assert_eq!(store.json(&old).await, None);
}

async fn writers_during_a_cycle_lose_no_acknowledged_write(store: Store) {
    for _ in 0..8 {
        let (sessions, old) = store.visitor().await;
        let login = reading(&sessions, &old).await;
        let mut requests = Vec::new();
        for _ in 0..8 {
            requests.push(reading(&sessions, &old).await);
        }
        let acknowledged = race(8, |n| {
            let (writer, login) = (requests[n].clone(), login.clone());
            async move {
                pause().await;
                if n == 0 {
                    login.cycle_key().await.unwrap();
                    return None;
                }
                let key = format!("key {n}");
                writer.insert(&key, n).unwrap();
                match writer.finish(false).await {
                    Ok(_) => Some(key),
                    Err(error) => {
                        assert_eq!(error.kind(), SessionErrorKind::Interrupted, "{error}");
                        None
                    }
                }
            }
        })
        .await;
        let next = request(&sessions, &login.key().unwrap());
        for key in acknowledged.into_iter().flatten() {
            assert!(next.contains(&key).await.unwrap(), "{key} was lost");
        }
        assert_eq!(store.json(&old).await, None);
    }
}

async fn a_write_after_a_cycle_is_interrupted(store: Store) {
    let (sessions, old) = store.visitor().await;
    let writer = reading(&sessions, &old).await;
    let login = reading(&sessions, &old).await;
    login.cycle_key().await.unwrap();
    login.finish(false).await.unwrap();
    writer.insert("late", true).unwrap();
    assert_interrupted(writer.finish(false).await);
    assert_eq!(store.json(&old).await, None);
    let new = login.key().unwrap();
    assert_eq!(store.json(&new).await.unwrap(), r#"{"n":0}"#);
}

async fn a_flush_during_a_cycle_ends_both_keys(store: Store) {
    // Before the copy is made, and after it.
    for place in [
        (When::Before, Operation::Create),
        (When::After, Operation::Create),
        (When::Before, Operation::Delete),
    ] {
        let gated = store.gated();
        let sessions = store.sessions_over(gated.clone());
        let key = visitor(&sessions).await;
        let counted = std::sync::Arc::new(crate::CountingEngine::new(gated.clone()));
        let login = reading(&store.sessions_over(counted.clone()), &key).await;
        login.insert("user", "ann").unwrap();

        let mut gate = gated.hold(place.0, place.1);
        let mut cycling = tokio::spawn({
            let login = login.clone();
            async move { login.cycle_key().await }
        });
        stands_at(&mut gate, &mut cycling).await;
        request(&store.sessions(), &key).flush().await.unwrap();
        gate.open();
        assert_interrupted(joined(cycling).await);
        assert_eq!(store.json(&key).await, None);
        let copies = counted.created_keys();
        assert_eq!(copies.len(), 1);
        assert_eq!(store.json(&copies[0]).await, None, "the copy outlived it");
    }
}

async fn a_cycle_during_a_flush_leaves_nothing_under_the_old_key(store: Store) {
    for _ in 0..16 {
        let counted = store.counted();
        let sessions = store.sessions_over(counted.clone());
        let (_, old) = store.visitor().await;
        let login = reading(&sessions, &old).await;
        let results = race(2, |n| {
            let (login, logout) = (login.clone(), request(&sessions, &old));
            async move {
                pause().await;
                match n {
                    0 => login.cycle_key().await,
                    _ => logout.flush().await,
                }
            }
        })
        .await;
        assert_eq!(store.json(&old).await, None);
        results[1].as_ref().unwrap();
        if results[0].is_err() {
            for copy in counted.created_keys() {
                assert_eq!(store.json(&copy).await, None, "the copy outlived it");
            }
        }
    }
}

async fn of_two_cycles_at_once_one_has_the_session(store: Store) {
    for _ in 0..8 {
        let counted = store.counted();
        let sessions = store.sessions_over(counted.clone());
        let (_, old) = store.visitor().await;
        let logins = [
            reading(&sessions, &old).await,
            reading(&sessions, &old).await,
        ];
        let results = race(2, |n| {
            let login = logins[n].clone();
            async move {
                login.insert("user", n).unwrap();
                login.cycle_key().await.map(|()| (n, login.key().unwrap()))
            }
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{lost:?}");
        lost.into_iter().for_each(assert_interrupted);
        let (winner, key) = won.into_iter().next().unwrap().unwrap();
        assert_eq!(
            store.json(&key).await.unwrap(),
            format!(r#"{{"n":0,"user":{winner}}}"#)
        );
        assert_eq!(store.json(&old).await, None);
        for copy in counted.created_keys().iter().filter(|copy| **copy != key) {
            assert_eq!(store.json(copy).await, None, "the loser's copy is left");
        }
    }
}
