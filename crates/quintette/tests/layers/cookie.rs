//! The `Set-Cookie` header, attribute by attribute, for each setting. The order is Python's.

use chrono::{DateTime, TimeDelta, Utc};
use quintette::sessions::{Expiry, Session, SessionError};
use quintette::settings::{SameSite, Settings};
use serde_json::json;

use crate::site::{Answer, Configure, Site};

/// The one `Set-Cookie` of an answer, with `KEY` and `DATE` for what differs each time.
fn pattern(answer: &Answer) -> String {
    let [cookie] = answer.set_cookies()[..] else {
        panic!("{answer:?}");
    };
    let mut parts: Vec<String> = cookie.split("; ").map(Into::into).collect();
    for part in &mut parts {
        if let Some((name, _)) = part.split_once('=') {
            match name {
                "sessionid" | "__Host-s" | "__Secure-s" => *part = format!("{name}=KEY"),
                "expires" => "expires=DATE".clone_into(part),
                _ => {}
            }
        }
    }
    parts.join("; ")
}

async fn cookie_of(configure: impl FnOnce(&mut Settings)) -> String {
    let handler = async |session: Session| session.insert("n", 1);
    let answer = Site::with(configure).visitor(handler).get("/").await;
    pattern(&answer)
}

/// The age in seconds and the date of the cookie of a session with this expiry.
async fn age_of(expiry: Option<Expiry>) -> (Option<i64>, Option<DateTime<Utc>>) {
    let handler = async move |session: Session| {
        session.insert("n", 1).unwrap();
        session.set_expiry(expiry);
    };
    let answer = Site::new().visitor(handler).get("/").await;
    let value = |name: &str| {
        let mut parts = answer.set_cookies()[0].split("; ");
        parts.find_map(|part| Some(part.strip_prefix(name)?.to_owned()))
    };
    let date = value("expires=").map(|date| {
        let format = "%a, %d %b %Y %H:%M:%S GMT";
        let naive = chrono::NaiveDateTime::parse_from_str(&date, format);
        naive.unwrap().and_utc()
    });
    (value("Max-Age=").map(|age| age.parse().unwrap()), date)
}

#[tokio::test]
async fn the_defaults_are_djangos() {
    assert_eq!(
        cookie_of(|_| {}).await,
        "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"
    );
}

#[tokio::test]
async fn each_setting_changes_its_attribute_and_no_other() {
    let cases: [(&str, Configure, &str); 11] = [
        (
            "SESSION_COOKIE_AGE",
            |settings| settings.session_cookie_age = TimeDelta::seconds(60),
            "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=60; Path=/; SameSite=Lax",
        ),
        (
            "SESSION_COOKIE_DOMAIN",
            |settings| settings.session_cookie_domain = Some("example.com".into()),
            "sessionid=KEY; Domain=example.com; expires=DATE; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax",
        ),
        (
            "SESSION_COOKIE_HTTPONLY",
            |settings| settings.session_cookie_httponly = false,
            "sessionid=KEY; expires=DATE; Max-Age=1209600; Path=/; SameSite=Lax",
        ),
        (
            "SESSION_COOKIE_NAME",
            |settings| {
                settings.session_cookie_name = "__Host-s".parse().unwrap();
                settings.session_cookie_secure = true;
            },
            "__Host-s=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax; Secure",
        ),
        (
            "SESSION_COOKIE_PATH",
            |settings| settings.session_cookie_path = "/shop/".into(),
            "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Path=/shop/; SameSite=Lax",
        ),
        (
            "SESSION_COOKIE_SAMESITE",
            |settings| settings.session_cookie_samesite = SameSite::Strict,
            "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Path=/; SameSite=Strict",
        ),
        (
            "SESSION_COOKIE_SAMESITE",
            |settings| {
                settings.session_cookie_samesite = SameSite::None;
                settings.session_cookie_secure = true;
            },
            "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Path=/; SameSite=None; Secure",
        ),
        (
            "SESSION_COOKIE_SAMESITE",
            |settings| settings.session_cookie_samesite = SameSite::Unset,
            "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Path=/",
        ),
        (
            "SESSION_COOKIE_SECURE",
            |settings| settings.session_cookie_secure = true,
            "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax; Secure",
        ),
        (
            "SESSION_COOKIE_PARTITIONED",
            |settings| {
                settings.session_cookie_partitioned = true;
                settings.session_cookie_secure = true;
            },
            "sessionid=KEY; expires=DATE; HttpOnly; Max-Age=1209600; Partitioned; Path=/; SameSite=Lax; Secure",
        ),
        (
            "SESSION_EXPIRE_AT_BROWSER_CLOSE",
            |settings| settings.session_expire_at_browser_close = true,
            "sessionid=KEY; HttpOnly; Path=/; SameSite=Lax",
        ),
    ];
    for (name, configure, expected) in cases {
        assert_eq!(cookie_of(configure).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_deletion_reaches_the_cookie_that_was_set_whatever_the_settings() {
    // Without the domain, path and (where browsers insist on it) Secure of the original, another cookie is deleted.
    let cases: [(Configure, &str); 4] = [
        (
            |_| {},
            "sessionid=KEY; expires=DATE; Max-Age=0; Path=/; SameSite=Lax",
        ),
        (
            |settings| {
                settings.session_cookie_domain = Some("example.com".into());
                settings.session_cookie_path = "/shop/".into();
                settings.session_cookie_samesite = SameSite::Strict;
            },
            "sessionid=KEY; Domain=example.com; expires=DATE; Max-Age=0; Path=/shop/; SameSite=Strict",
        ),
        (
            |settings| {
                settings.session_cookie_samesite = SameSite::None;
                settings.session_cookie_secure = true;
            },
            "sessionid=KEY; expires=DATE; Max-Age=0; Path=/; SameSite=None; Secure",
        ),
        (
            |settings| {
                settings.session_cookie_partitioned = true;
                settings.session_cookie_secure = true;
            },
            "sessionid=KEY; expires=DATE; Max-Age=0; Partitioned; Path=/; SameSite=Lax; Secure",
        ),
    ];
    for (configure, expected) in cases {
        let site = Site::with(configure);
        let cookie = site.session(&[("n", json!(1))]).await;
        let handler = async |session: Session| session.flush().await;
        let answer = site.visitor(handler).with_cookie(cookie).get("/").await;
        assert_eq!(pattern(&answer), expected);
        let deleted = answer.set_cookies()[0];
        assert!(
            deleted.contains("expires=Thu, 01 Jan 1970 00:00:00 GMT"),
            "{deleted}"
        );
    }
}

#[tokio::test]
async fn the_date_is_the_age_from_now() {
    let before = Utc::now();
    let (age, date) = age_of(None).await;
    let (age, date) = (TimeDelta::seconds(age.unwrap()), date.unwrap());
    // The header has whole seconds.
    assert!(before - TimeDelta::seconds(1) < date - age && date - age <= Utc::now());
}

#[tokio::test]
async fn a_sessions_own_expiry_counts_over_the_settings() {
    let (age, _) = age_of(Some(Expiry::AfterIdle(TimeDelta::minutes(20)))).await;
    assert_eq!(age, Some(1_200));
    assert_eq!(age_of(Some(Expiry::BrowserClose)).await, (None, None));

    let end = Utc::now() + TimeDelta::hours(3);
    let (age, date) = age_of(Some(end.into())).await;
    assert!(age.unwrap() <= 3 * 60 * 60);
    assert!(date.unwrap() <= end);
}

#[tokio::test]
async fn a_session_with_an_age_of_its_own_outlives_the_browser_where_the_settings_say_otherwise() {
    let site = Site::with(|settings| settings.session_expire_at_browser_close = true);
    let handler = async |session: Session| -> Result<(), SessionError> {
        session.set_expiry(Expiry::AfterIdle(TimeDelta::seconds(300)));
        session.insert("n", 1)
    };
    let answer = site.visitor(handler).get("/").await;
    assert!(pattern(&answer).contains("; Max-Age=300;"), "{answer:?}");
}
