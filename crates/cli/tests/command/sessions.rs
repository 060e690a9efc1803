use std::io::Read as _;
use std::process::Stdio;

use quintette::signing::TimestampSigner;
use serde_json::Value;

use crate::site::{Site, keys};

const FUTURE: &str = "2100-01-01 00:00:00";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn no_sessions_are_no_sessions() {
    let site = Site::migrated();
    assert_eq!(site.run(&["sessions", "list"]).stdout, "No sessions.\n");
    assert_eq!(
        json(&site.run(&["sessions", "list", "--json"]).stdout),
        Value::Array(Vec::new())
    );
}

#[tokio::test]
async fn a_list_shortens_keys_and_names_the_user() {
    let site = Site::migrated();
    site.insert(&keys(1), r#"{"_auth_user_id":"42","n":1}"#, FUTURE)
        .await;
    let ran = site.run(&["sessions", "list"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let row: Vec<&str> = ran
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(
        &row[..6],
        ["00000000…", "2100-01-01", "00:00", "UTC", "in", row[5]]
    );
    assert_eq!(&row[row.len() - 2..], ["2", "42"]);
    assert!(!ran.stdout.contains(&keys(1)[0]));
    assert!(
        site.run(&["sessions", "list", "--keys"])
            .stdout
            .contains(&keys(1)[0])
    );
    assert!(
        !site
            .run(&["sessions", "list", "--json"])
            .stdout
            .contains(&keys(1)[0])
    );
}

#[tokio::test]
async fn a_long_list_is_paged_and_loses_and_repeats_nobody() {
    let site = Site::migrated();
    let all = keys(1_203);
    site.insert(&all, r#"{"n":1}"#, FUTURE).await;
    for (limit, expected) in [
        ("5000", 1_203),
        ("1203", 1_203),
        ("1000", 1_000),
        ("500", 500),
        ("1", 1),
    ] {
        let ran = site.run(&["sessions", "list", "--json", "--keys", "--limit", limit]);
        let rows = json(&ran.stdout);
        let listed: Vec<_> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["key"].as_str().unwrap())
            .collect();
        assert_eq!(listed, all[..expected]);
        assert_eq!(
            ran.stderr.contains("there are more sessions"),
            expected < all.len(),
            "{limit}"
        );
    }
    assert!(
        site.run(&["sessions", "list", "--limit", "5000"])
            .stdout
            .ends_with("\n1,203 sessions.\n")
    );
}

#[tokio::test]
async fn a_reader_that_leaves_early_is_no_error() {
    let site = Site::migrated();
    site.insert(&keys(2_000), "{}", FUTURE).await;
    let mut child = site
        .command(&["sessions", "list", "--limit", "5000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stderr, "");
}

#[test]
fn a_cache_cannot_be_listed() {
    for engine in ["cache", "signed_cookies"] {
        let ran = Site::new()
            .with("SESSION_ENGINE", engine)
            .run(&["sessions", "list"]);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("cannot list its sessions"), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
}

#[tokio::test]
async fn a_session_is_shown_by_its_key_or_by_what_the_list_prints() {
    let site = Site::migrated();
    let data = r#"{"name":"\ud55c\uad6d\u001b[2J","cart":[{"n":1180591620717411303424}],"nan":NaN,"_session_expiry":0}"#;
    site.insert(&keys(2), data, FUTURE).await;
    let key = &keys(2)[1];
    for text in [key.as_str(), "00000001", "00000001…", &key[..20]] {
        let ran = site.run(&["sessions", "show", text]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("2100-01-01 00:00 UTC, in "), "{ran:?}");
        assert!(ran.stdout.contains("ends with the browser"), "{ran:?}");
        assert!(
            ran.stdout.contains("\"name\": \"한국\\u001b[2J\",\n"),
            "{ran:?}"
        );
        assert!(
            ran.stdout.contains(
                "  \"cart\": [\n    {\n      \"n\": 1180591620717411303424\n    }\n  ],\n"
            ),
            "{ran:?}"
        );
        assert!(!ran.stdout.contains(key.as_str()));
    }
    let shown = json(&site.run(&["sessions", "show", key, "--json"]).stdout);
    assert_eq!(shown["expires"], "2100-01-01T00:00:00Z");
    assert_eq!(shown["ends_with_browser"], true);
    assert_eq!(shown["data"]["name"], "한국\u{1b}[2J");
    assert_eq!(shown["not_json"]["nan"], "NaN");
}

#[tokio::test]
async fn a_value_that_only_python_has_is_marked_by_its_type() {
    let site = Site::migrated().with("SESSION_SERIALIZER", "pickle");
    // pickle.dumps({"n": 1, "at": datetime.date(2025, 1, 1)}, protocol=0)
    let pickle = b"(dVn\nI1\nsVat\ncdatetime\ndate\n(c_codecs\nencode\n(V\xe9\nVlatin1\ntRtRs.";
    let signer = TimestampSigner::new(
        &site.settings().secret_key,
        "django.contrib.sessions.SessionStore",
    );
    site.insert_stored(&keys(1), &signer.sign_bytes(pickle, true), FUTURE)
        .await;
    let ran = site.run(&["sessions", "show", &keys(1)[0]]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("\"at\": <Python datetime.date>\n"),
        "{ran:?}"
    );
    let shown = json(
        &site
            .run(&["sessions", "show", &keys(1)[0], "--json"])
            .stdout,
    );
    assert_eq!(shown["not_json"]["at"], "Python datetime.date");
    assert_eq!(shown["data"], serde_json::json!({"n": 1}));
}

#[tokio::test]
async fn unknown_and_expired_sessions_are_not_shown() {
    let site = Site::migrated();
    site.insert(&keys(1), "{}", "2020-01-01 00:00:00").await;
    for key in [
        keys(1)[0].as_str(),
        "unknown-key",
        "../../etc/passwd",
        "' OR 1=1 --",
    ] {
        let ran = site.run(&["sessions", "show", key]);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("there is no such session"), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
    assert!(
        site.run(&["sessions", "show", "short"])
            .stderr
            .contains("eight characters")
    );
}

#[tokio::test]
async fn a_beginning_that_several_keys_have_is_not_enough() {
    let site = Site::migrated();
    let twins = [
        "aaaaaaaa1bbbbbbbbbbbbbbbbbbbbbbb".to_owned(),
        "aaaaaaaa2bbbbbbbbbbbbbbbbbbbbbbb".to_owned(),
    ];
    site.insert(&twins, "{}", FUTURE).await;
    let ran = site.run(&["sessions", "show", "aaaaaaaa"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("give more of it"), "{ran:?}");
    assert_eq!(site.run(&["sessions", "show", "aaaaaaaa2"]).code, 0);
}

#[tokio::test]
async fn a_session_of_another_secret_key_is_said_to_be_unreadable() {
    let site = Site::migrated();
    site.insert_stored(
        &keys(1),
        "eyJuIjoxfQ:1vLyAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        FUTURE,
    )
    .await;
    let ran = site.run(&["sessions", "show", &keys(1)[0]]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("signed with another SECRET_KEY"),
        "{ran:?}"
    );
    let ran = site.run(&["sessions", "list"]);
    assert!(ran.stderr.contains("warning: "), "{ran:?}");
}

#[test]
fn a_signed_cookie_is_shown_by_its_value() {
    let site = Site::new().with("SESSION_ENGINE", "signed_cookies");
    let signer = TimestampSigner::new(
        &site.settings().secret_key,
        "django.contrib.sessions.backends.signed_cookies",
    );
    let cookie = signer.sign_bytes(br#"{"color":"green"}"#, true);
    let ran = site.run(&["sessions", "show", &cookie]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("\"color\": \"green\""), "{ran:?}");
    assert_eq!(site.run(&["sessions", "show", &cookie[1..]]).code, 1);
}
