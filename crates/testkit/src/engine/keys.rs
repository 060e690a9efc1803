//! Keys are the attacker's to choose.

use quintette_core::session::{Created, Deleted, Replaced, Revision, SessionKey};

use super::store::{Store, data, in_an_hour, new_key, record};
use crate::case::{Case, case};
use crate::race::race;

pub(super) fn cases() -> Vec<Case<Store>> {
    vec![
        case(an_unknown_key_is_none_and_creates_nothing),
        case(a_hostile_key_is_none_and_creates_nothing),
        case(a_key_is_matched_to_the_letter),
        case(creating_under_a_key_that_exists_is_taken_and_leaves_it_as_it_was),
        case(of_many_who_create_one_key_at_once_one_has_it),
    ]
}

/// Texts that a visitor may send, and that some store somewhere stumbles over.
pub(super) fn hostile_keys() -> Vec<SessionKey> {
    let long = "k".repeat(10_000);
    let texts = [
        "../../../../etc/passwd",
        "..\\..\\..\\windows\\system.ini",
        "/etc/passwd",
        "nul\0nul\0nul\0",
        "' OR '1'='1' --",
        "'; DROP TABLE django_session; --",
        "%' OR session_key LIKE '%",
        "line\r\nset x 0 0 1\r\nx\r\n",
        "with spaces and\ttabs",
        "한국어열쇠입니다",
        "🍵🍵🍵🍵🍵🍵🍵🍵",
        "*[a-z]*?{1,2}",
        "CON.aaaaaaaa",
        "aaaaaaaa.lock",
        "....................",
        "\u{feff}\u{202e}\u{200b}\u{301}aaaa",
        &long,
    ];
    let keys = texts.into_iter().map(SessionKey::parse);
    keys.map(|key| key.expect("eight characters or more"))
        .collect()
}

/// Everything but `create` finds nothing under this key, and leaves nothing there.
async fn is_unknown(store: &Store, key: &SessionKey, foreign: &Revision) {
    let what = key.as_str().escape_debug().take(80).collect::<String>();
    let json = r#"{"intruder":true}"#;
    for _ in 0..2 {
        assert_eq!(store.json(key).await, None, "{what} is known");
        let replaced = store.replace(key, foreign, json, in_an_hour()).await;
        assert!(matches!(replaced, Replaced::Gone), "{what}: {replaced:?}");
        let touched = store.touch(key, foreign, json, in_an_hour()).await;
        assert!(matches!(touched, Replaced::Gone), "{what}: {touched:?}");
        for seen in [Some(foreign), None] {
            let deleted = store.engine.delete(key, seen).await.unwrap();
            assert_eq!(deleted, Deleted::Gone, "{what}");
        }
    }
}

async fn an_unknown_key_is_none_and_creates_nothing(store: Store) {
    let (known, revision) = store.create(r#"{"n":1}"#).await;
    is_unknown(&store, &new_key(), &revision).await;
    is_unknown(&store, &SessionKey::parse("12345678").unwrap(), &revision).await;
    assert_eq!(store.json(&known).await.unwrap(), r#"{"n":1}"#);
}

async fn a_hostile_key_is_none_and_creates_nothing(store: Store) {
    let (known, revision) = store.create(r#"{"n":1}"#).await;
    for key in hostile_keys() {
        is_unknown(&store, &key, &revision).await;
    }
    assert_eq!(store.json(&known).await.unwrap(), r#"{"n":1}"#);
}

async fn a_key_is_matched_to_the_letter(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    let text = key.as_str();
    let accented = text.replacen(|letter: char| letter.is_ascii_alphabetic(), "á", 1);
    let others = [
        text.to_uppercase(),
        format!("{text} "),
        format!(" {text}"),
        format!("{text}\0"),
        format!("{text}\n"),
        format!("{text}x"),
        format!("./{text}"),
        text[..31].to_owned(),
        format!("{}%", &text[..31]),
        format!("{}_", &text[..31]),
        accented,
    ];
    // A key of digits alone is its own upper case.
    for other in others.iter().filter(|other| *other != text) {
        let other = SessionKey::parse(other.as_str()).unwrap();
        is_unknown(&store, &other, &revision).await;
    }
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":1}"#);
}

async fn creating_under_a_key_that_exists_is_taken_and_leaves_it_as_it_was(store: Store) {
    let (key, revision) = store.create(r#"{"n":1}"#).await;
    let data = data(r#"{"n":2}"#);
    let created = store
        .engine
        .create(&key, &record(&data, in_an_hour()))
        .await
        .unwrap();
    assert!(matches!(created, Created::Taken), "{created:?}");
    assert_eq!(store.json(&key).await.unwrap(), r#"{"n":1}"#);
    store.replaced(&key, &revision, r#"{"n":3}"#).await;
}

async fn of_many_who_create_one_key_at_once_one_has_it(store: Store) {
    let key = new_key();
    let engine = store.engine.clone();
    let created = race(16, |n| {
        let (engine, key) = (engine.clone(), key.clone());
        async move {
            let data = data(&format!(r#"{{"n":{n}}}"#));
            let created = engine.create(&key, &record(&data, in_an_hour())).await;
            matches!(created.unwrap(), Created::Stored(_)).then_some(n)
        }
    })
    .await;
    let winners: Vec<usize> = created.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "who was told that it had created it");
    let expected = format!(r#"{{"n":{}}}"#, winners[0]);
    assert_eq!(store.json(&key).await.unwrap(), expected);
}
