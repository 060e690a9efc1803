use chrono::Utc;
use quintette_core::json::RawJson;
use quintette_core::signing::{Keys, dumps};

use super::*;

fn settings() -> Settings {
    Settings::new("a secret of no one")
}

fn encrypted() -> Settings {
    let mut settings = settings();
    settings.session_cookie_encrypted = true;
    settings
}

fn data(key: &str, text: &str) -> SessionData {
    let mut data = SessionData::default();
    data.insert(key, RawJson::from_value(text).unwrap());
    data
}

fn key(text: &str) -> SessionKey {
    SessionKey::parse(text).unwrap()
}

async fn cookie(settings: &Settings, data: &SessionData) -> String {
    let record = Record {
        data,
        expires_at: Utc::now(),
    };
    let created = SignedCookiesEngine::new(settings)
        .create(&key("00000000"), &record)
        .await
        .unwrap();
    let Created::Stored(Receipt { key: Some(key), .. }) = created else {
        panic!("{created:?}");
    };
    key.as_str().to_owned()
}

async fn read(settings: &Settings, cookie: &str) -> Stored {
    SignedCookiesEngine::new(settings)
        .load(&key(cookie))
        .await
        .unwrap()
        .unwrap()
}

async fn is_rejected(settings: &Settings, cookie: &str) -> bool {
    let stored = read(settings, cookie).await;
    assert_eq!(stored.rewrite, stored.data.is_empty());
    assert!(stored.revision.is_some());
    stored.rewrite
}

/// Every cut of a cookie, and every byte of it changed into some others.
fn damaged(cookie: &str) -> impl Iterator<Item = String> {
    let cuts = (8..cookie.len()).map(|end| cookie[..end].to_owned());
    let changes = (0..cookie.len()).flat_map(move |at| {
        "A_.:~\u{e9}".chars().filter_map(move |other| {
            let changed = format!("{}{other}{}", &cookie[..at], &cookie[at + 1..]);
            (changed != cookie).then_some(changed)
        })
    });
    cuts.chain(changes)
}

#[tokio::test]
async fn the_cookie_is_the_session() {
    for settings in [settings(), encrypted()] {
        let data = data("color", "green");
        let stored = read(&settings, &cookie(&settings, &data).await).await;
        assert_eq!(stored.data, data);
        assert!(!stored.rewrite && stored.revision.is_some());
    }
}

#[tokio::test]
async fn a_cookie_of_djangos_is_read() {
    // signing.dumps({"color": "green"}, key="a secret of no one", salt=…, compress=True) of Django 5.2, of 2025-10-09.
    let django = "eyJjb2xvciI6ImdyZWVuIn0:1v6mOm:9WWC9T2zHonl2b6VhE5RryidHlFO1WEq3EgD8lgZr_g";
    let mut settings = settings();
    settings.session_cookie_age = TimeDelta::days(36_500);
    assert_eq!(read(&settings, django).await.data, data("color", "green"));
}

#[tokio::test]
async fn every_save_gives_the_cookie_another_text() {
    let settings = settings();
    let engine = SignedCookiesEngine::new(&settings);
    let old = key(&cookie(&settings, &data("color", "green")).await);
    let revision = engine.load(&old).await.unwrap().unwrap().revision.unwrap();
    let newer = data("color", "red");
    let record = Record {
        data: &newer,
        expires_at: Utc::now(),
    };

    let replaced = engine.replace(&old, &revision, &record).await.unwrap();
    let Replaced::Stored(Receipt {
        key: Some(new),
        revision: Some(_),
    }) = replaced
    else {
        panic!("{replaced:?}");
    };
    assert_eq!(engine.load(&new).await.unwrap().unwrap().data, newer);
    // The old one is good still: a cookie cannot be taken back.
    assert_eq!(
        engine.load(&old).await.unwrap().unwrap().data,
        data("color", "green")
    );

    let Replaced::Stored(touched) = engine.touch(&new, &revision, &record).await.unwrap() else {
        panic!("a touch never conflicts");
    };
    assert_eq!(
        engine
            .load(&touched.key.unwrap())
            .await
            .unwrap()
            .unwrap()
            .data,
        newer
    );
}

#[tokio::test]
async fn a_damaged_cookie_is_an_empty_session_that_is_written_anew() {
    for settings in [settings(), encrypted()] {
        let cookie = cookie(&settings, &data("color", &"green".repeat(20))).await;
        for damaged in damaged(&cookie) {
            assert!(
                is_rejected(&settings, &damaged).await,
                "{damaged} was taken for {cookie}"
            );
        }
    }
}

#[tokio::test]
async fn what_never_was_a_cookie_of_ours_is_rejected() {
    let hostile = [
        "........",
        "::::::::",
        "e1.e1.e1.",
        "e1.AAAAAAAA",
        "e1.éééééééé",
        "\0\0\0\0\0\0\0\0",
        "%00%00%00",
    ];
    for settings in [settings(), encrypted()] {
        for text in hostile {
            assert!(is_rejected(&settings, text).await, "{text}");
        }
        assert!(is_rejected(&settings, &"A".repeat(1 << 20)).await);
    }
}

#[tokio::test]
async fn signed_text_of_another_purpose_is_rejected() {
    let settings = settings();
    let json = serde_json::json!({"color": "green"});
    let other = dumps(
        &settings.secret_key,
        "django.contrib.sessions.SessionStore",
        &json,
        true,
    )
    .unwrap();
    assert!(is_rejected(&settings, &other).await);
    let right = dumps(&settings.secret_key, SALT, &json, true).unwrap();
    assert!(!is_rejected(&settings, &right).await);
}

#[tokio::test]
async fn what_is_signed_and_no_object_is_rejected() {
    let settings = settings();
    for json in [
        serde_json::json!([1]),
        serde_json::json!("text"),
        serde_json::json!(null),
    ] {
        let signed = dumps(&settings.secret_key, SALT, &json, true).unwrap();
        assert!(is_rejected(&settings, &signed).await, "{json}");
    }
}

#[tokio::test]
async fn an_old_cookie_is_rejected() {
    let long_ago = Utc::now() - TimeDelta::weeks(2) - TimeDelta::seconds(1);
    let lately = Utc::now() - TimeDelta::weeks(2) + TimeDelta::minutes(1);
    for (time, rejected) in [(long_ago, true), (lately, false)] {
        let settings = settings();
        let signed = TimestampSigner::new(&settings.secret_key, SALT).sign_at("eyJhIjoxfQ", time);
        assert_eq!(is_rejected(&settings, &signed).await, rejected);

        let settings = encrypted();
        let cipher = Cipher::new(&settings.secret_key, "sessionid");
        let sealed = cipher.encrypt_at(br#"{"a":1}"#, time).unwrap();
        assert_eq!(is_rejected(&settings, &sealed).await, rejected);
    }
}

#[tokio::test]
async fn a_cookie_of_a_fallback_key_is_read_and_one_of_a_lost_key_is_not() {
    for old in [settings(), encrypted()] {
        let cookie = cookie(&old, &data("color", "green")).await;
        let mut new = old.clone();
        new.secret_key = Keys::new("another").with_fallbacks(["a third", "a secret of no one"]);
        assert!(!is_rejected(&new, &cookie).await);
        new.secret_key = Keys::new("another").with_fallbacks(["a third"]);
        assert!(is_rejected(&new, &cookie).await);
    }
}

#[tokio::test]
async fn neither_mode_takes_the_cookies_of_the_other() {
    let data = data("color", "green");
    assert!(is_rejected(&encrypted(), &cookie(&settings(), &data).await).await);
    assert!(is_rejected(&settings(), &cookie(&encrypted(), &data).await).await);
}

#[tokio::test]
async fn an_encrypted_cookie_shows_nothing_and_is_never_the_same() {
    let settings = encrypted();
    let data = data("color", "green");
    let one = cookie(&settings, &data).await;
    assert_ne!(one, cookie(&settings, &data).await);
    assert!(
        one.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    );
    let bytes =
        base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, &one[3..]).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"green"));
}

#[tokio::test]
async fn an_encrypted_cookie_cannot_stand_in_for_one_of_another_name() {
    let settings = encrypted();
    let cookie = cookie(&settings, &data("color", "green")).await;
    let mut other = settings.clone();
    other.session_cookie_name = "admin_sessionid".parse().unwrap();
    assert!(is_rejected(&other, &cookie).await);
}

#[tokio::test]
async fn a_session_that_no_browser_would_keep_is_an_error() {
    for mut settings in [settings(), encrypted()] {
        let data = data("color", "green");
        let length = cookie(&settings, &data).await.len();
        for (size, fits) in [(4_096, true), (4_097, false)] {
            // Name, equals sign and value.
            settings.session_cookie_name = "n".repeat(size - 1 - length).parse().unwrap();
            let record = Record {
                data: &data,
                expires_at: Utc::now(),
            };
            let created = SignedCookiesEngine::new(&settings)
                .create(&key("00000000"), &record)
                .await;
            assert_eq!(created.is_ok(), fits);
            if let Err(error) = created {
                assert_eq!(error.kind(), SessionErrorKind::TooLarge);
                let message = error.to_string();
                assert!(
                    ["4097", "4096", "SESSION_ENGINE"]
                        .iter()
                        .all(|part| message.contains(part)),
                    "{message}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_compresses_well_fits() {
    for settings in [settings(), encrypted()] {
        let data = data("color", &"green".repeat(10_000));
        let cookie = cookie(&settings, &data).await;
        assert_eq!(read(&settings, &cookie).await.data, data);
    }
}

#[tokio::test]
async fn a_cookie_larger_than_browsers_keep_is_read_up_to_an_end() {
    let settings = settings();
    for (length, rejected) in [(10_000, false), (50_000, true)] {
        let json = serde_json::json!({"text": "a".repeat(length)});
        let signed = dumps(&settings.secret_key, SALT, &json, false).unwrap();
        assert_eq!(is_rejected(&settings, &signed).await, rejected);
    }
}

#[tokio::test]
async fn there_is_nothing_to_delete_to_clear_or_to_list() {
    let engine = SignedCookiesEngine::new(&settings());
    assert_eq!(
        engine.delete(&key("00000000"), None).await.unwrap(),
        Deleted::Deleted
    );
    assert_eq!(
        engine.clear_expired(&mut |_| {}).await.unwrap(),
        Cleared::default()
    );
    let error = engine.list(None, 10).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unsupported);
    assert!(error.to_string().contains("signed_cookies"));
}

#[test]
fn debug_keeps_the_secret() {
    for settings in [settings(), encrypted()] {
        let shown = format!("{:?}", SignedCookiesEngine::new(&settings));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
