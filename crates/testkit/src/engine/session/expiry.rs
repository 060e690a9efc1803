//! A session's own expiry, in its data, its cookie and the store.

use chrono::{TimeDelta, Utc};
use quintette_core::session::{CookieAction, Expiry, Session, SessionErrorKind};

use crate::case::{Case, case};
use crate::engine::store::{Store, request};

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(an_idle_time_is_kept_and_is_the_cookies_age),
        case(a_point_in_time_is_kept_and_is_the_cookies_end),
        case(a_session_that_ends_with_the_browser_has_a_cookie_without_an_age),
        case(a_session_without_its_own_expiry_follows_the_settings),
        case(a_session_whose_time_has_passed_is_gone),
    ]
}

/// Sets the expiry in one request; the cookie's age, and the session of the next request.
async fn with_expiry(
    store: &Store,
    expiry: impl Into<Option<Expiry>>,
) -> (Option<TimeDelta>, Session) {
    let (sessions, key) = store.visitor().await;
    let session = request(&sessions, &key);
    session.set_expiry(expiry);
    let outcome = session.finish(false).await.unwrap();
    let CookieAction::Set { max_age, .. } = outcome.cookie else {
        panic!("a changed session without a cookie: {outcome:?}");
    };
    (max_age, request(&sessions, &key))
}

/// A stored time may be rounded to whole seconds, and a test may be slow.
fn about(age: TimeDelta, expected: TimeDelta) -> bool {
    (age - expected).abs() < TimeDelta::minutes(5)
}

async fn an_idle_time_is_kept_and_is_the_cookies_age(store: Store) {
    let idle = TimeDelta::minutes(20);
    let (max_age, next) = with_expiry(&store, Expiry::AfterIdle(idle)).await;
    assert_eq!(max_age, Some(idle));
    assert_eq!(next.expiry_age().await.unwrap(), idle);
    assert_eq!(
        next.get::<i64>("_session_expiry").await.unwrap(),
        Some(1_200)
    );
    let ends = next.expiry_date().await.unwrap() - Utc::now();
    assert!(about(ends, idle), "ends in {ends}");
}

async fn a_point_in_time_is_kept_and_is_the_cookies_end(store: Store) {
    let span = TimeDelta::days(100);
    let time = Utc::now() + span;
    let (max_age, next) = with_expiry(&store, Expiry::from(time)).await;
    assert!(about(max_age.unwrap(), span), "{max_age:?}");
    assert!(about(next.expiry_age().await.unwrap(), span));
    let off = (next.expiry_date().await.unwrap() - time).abs();
    assert!(off < TimeDelta::milliseconds(1), "{off} off");
    assert!(!next.expires_at_browser_close().await.unwrap());
}

async fn a_session_that_ends_with_the_browser_has_a_cookie_without_an_age(store: Store) {
    let (max_age, next) = with_expiry(&store, Expiry::BrowserClose).await;
    assert_eq!(max_age, None);
    assert!(next.expires_at_browser_close().await.unwrap());
    assert_eq!(next.get::<i64>("_session_expiry").await.unwrap(), Some(0));
    let age = next.expiry_age().await.unwrap();
    assert_eq!(age, store.settings.session_cookie_age);
}

async fn a_session_without_its_own_expiry_follows_the_settings(store: Store) {
    let (_, session) = with_expiry(&store, Expiry::AfterIdle(TimeDelta::minutes(20))).await;
    session.set_expiry(None);
    let outcome = session.finish(false).await.unwrap();
    let CookieAction::Set { max_age, key } = outcome.cookie else {
        panic!("a changed session without a cookie: {outcome:?}");
    };
    assert_eq!(max_age, Some(store.settings.session_cookie_age));
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":0}"#);
}

async fn a_session_whose_time_has_passed_is_gone(store: Store) {
    let past = Utc::now() - TimeDelta::hours(1);
    for expiry in [Expiry::AfterIdle(TimeDelta::hours(-1)), Expiry::from(past)] {
        let (sessions, key) = store.visitor().await;
        let slow = request(&sessions, &key);
        assert_eq!(slow.get::<u8>("n").await.unwrap(), Some(0));

        let session = request(&sessions, &key);
        session.set_expiry(expiry);
        session.finish(false).await.unwrap();
        assert_eq!(store.json(&key).await, None);

        slow.insert("n", 1).unwrap();
        let error = slow.finish(false).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Interrupted);
        assert_eq!(store.json(&key).await, None);
    }
}
