use serde_json::json;

use super::*;

const STRONG: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO";

/// The ids for a deployment that has nothing to be warned of, but for this change.
fn ids(change: impl FnOnce(&mut Settings)) -> Vec<&'static str> {
    let mut settings = Settings::new(STRONG);
    settings.session_cookie_secure = true;
    settings.csrf_cookie_secure = true;
    settings.allowed_hosts = vec!["shop.example.com".to_owned()];
    change(&mut settings);
    settings.check().unwrap();
    // Those of logins have tests of their own.
    let of_logins = settings.auth_warnings();
    settings
        .deploy_warnings()
        .iter()
        .filter(|warning| !of_logins.contains(warning))
        .map(|warning| warning.id)
        .collect()
}

#[test]
fn a_sound_deployment_is_warned_of_nothing() {
    assert!(ids(|_| {}).is_empty());
}

#[test]
fn djangos_defaults_are_warned_of_as_django_does() {
    let warnings = Settings::new("django-insecure-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH")
        .deploy_warnings();
    let ids: Vec<_> = warnings.iter().map(|warning| warning.id).collect();
    assert_eq!(
        ids,
        [
            "security.W009",
            "security.W012",
            "security.W016",
            "security.W020"
        ]
    );
}

#[test]
fn a_weak_key_is_short_monotonous_or_djangos_own() {
    for (weak, key) in [
        (false, STRONG.to_owned()),
        (true, STRONG.chars().take(49).collect()),
        (false, STRONG.chars().take(50).collect()),
        (true, "abcd".repeat(20)),
        (false, "abcde".repeat(20)),
        (true, format!("django-insecure-{STRONG}")),
        (true, "é".repeat(49)),
    ] {
        assert_eq!(is_weak(&SecretKey::from(key.as_str())), weak, "{key}");
    }
}

#[test]
fn a_weak_fallback_is_named_by_its_place_and_not_by_its_text() {
    let mut settings = Settings::new(STRONG);
    settings.secret_key = settings.secret_key.with_fallbacks([STRONG, "hunter2"]);
    let warnings = settings.deploy_warnings();
    let weak = warnings
        .iter()
        .find(|warning| warning.id == "security.W025")
        .unwrap();
    assert!(
        weak.message.starts_with("SECRET_KEY_FALLBACKS[1]"),
        "{weak}"
    );
    assert!(!weak.to_string().contains("hunter2"));
}

#[test]
fn each_insecure_flag_has_djangos_id() {
    assert_eq!(ids(|s| s.session_cookie_secure = false), ["security.W012"]);
    assert_eq!(
        ids(|s| s.session_cookie_httponly = false),
        ["security.W015"]
    );
    assert_eq!(ids(|s| s.csrf_cookie_secure = false), ["security.W016"]);
    let in_session = |s: &mut Settings| {
        s.csrf_cookie_secure = false;
        s.csrf_use_sessions = true;
    };
    assert_eq!(ids(in_session), [""; 0]);
    assert_eq!(ids(|s| s.debug = true), ["security.W018"]);
    assert_eq!(ids(|s| s.allowed_hosts.clear()), ["security.W020"]);
}

#[test]
fn a_cookie_that_browsers_drop_is_warned_of() {
    assert_eq!(
        ids(|s| {
            s.session_cookie_samesite = SameSite::None;
            s.session_cookie_secure = false;
        }),
        ["security.W012", "quintette.W001"]
    );
    assert_eq!(
        ids(|s| s.session_cookie_age = TimeDelta::zero()),
        ["quintette.W002"]
    );
    assert_eq!(
        ids(|s| s.session_cookie_path = "/shop".to_owned()),
        ["quintette.W003"]
    );
    assert_eq!(
        ids(|s| s.session_cookie_path = "shop".to_owned()),
        ["quintette.W003"]
    );
}

#[test]
fn hosts_outside_the_cookies_domain_are_named() {
    for (host, domain, allowed) in [
        ("shop.example.com", "example.com", true),
        ("example.com", ".Example.com", true),
        (".example.com", "shop.example.com", true),
        ("localhost", "example.com", true),
        ("badexample.com", "example.com", false),
        ("example.com", "shop.example.com", false),
        ("example.org", "example.com", false),
    ] {
        assert_eq!(may_set_cookie(host, domain), allowed, "{host} {domain}");
    }
    assert_eq!(
        ids(|s| s.session_cookie_domain = Some("example.org".to_owned())),
        ["quintette.W004"]
    );
    assert!(
        ids(|s| {
            s.session_cookie_domain = Some("example.org".to_owned());
            s.allowed_hosts = vec!["*".to_owned()];
        })
        .is_empty()
    );
}

#[test]
fn a_cache_that_forgets_is_warned_of_where_sessions_live_in_it() {
    let sessions_in = |engine, backend, options: &[&str]| {
        ids(|s| {
            s.session_engine = engine;
            let mut cache = CacheSettings::new(backend);
            cache.options.extend(
                options
                    .iter()
                    .map(|name| ((*name).to_owned(), json!(100_000))),
            );
            s.caches.insert("default".to_owned(), cache);
        })
    };
    let (cache, cached_db) = (SessionEngineName::Cache, SessionEngineName::CachedDb);
    assert_eq!(
        sessions_in(cache, CacheBackend::LocMem, &[]),
        ["quintette.W005"]
    );
    assert_eq!(
        sessions_in(cached_db, CacheBackend::LocMem, &[]),
        ["quintette.W006"]
    );
    assert_eq!(
        sessions_in(cache, CacheBackend::Dummy, &[]),
        ["quintette.W007"]
    );
    assert!(sessions_in(cached_db, CacheBackend::Dummy, &[]).is_empty());
    assert_eq!(
        sessions_in(cache, CacheBackend::FileBased, &[]),
        ["quintette.W008"]
    );
    assert!(sessions_in(cache, CacheBackend::Database, &["MAX_ENTRIES"]).is_empty());
    assert!(sessions_in(cache, CacheBackend::Redis, &[]).is_empty());
    assert!(sessions_in(SessionEngineName::Db, CacheBackend::LocMem, &[]).is_empty());
}

#[test]
fn storage_that_does_not_last_is_warned_of() {
    let memory = |s: &mut Settings| s.database_url = Some("sqlite::memory:".parse().unwrap());
    assert_eq!(ids(memory), ["quintette.W009"]);
    assert_eq!(
        ids(|s| s.session_engine = SessionEngineName::File),
        ["quintette.W010"]
    );
    assert!(
        ids(|s| {
            memory(s);
            s.session_engine = SessionEngineName::File;
            s.session_file_path = Some("/srv/shop/sessions".into());
        })
        .is_empty()
    );
}

#[test]
fn signed_cookies_saved_on_every_request_undo_each_other() {
    let every_request = |s: &mut Settings| s.session_save_every_request = true;
    assert!(ids(every_request).is_empty());
    assert_eq!(
        ids(|s| {
            every_request(s);
            s.session_engine = SessionEngineName::SignedCookies;
        }),
        ["quintette.W011"]
    );
}

#[test]
fn a_grace_period_as_long_as_the_limit_is_warned_of() {
    assert_eq!(
        ids(|s| {
            s.session_expire_seconds = Some(TimeDelta::seconds(60));
            s.session_expire_after_last_activity = true;
            s.session_expire_after_last_activity_grace_period = TimeDelta::seconds(60);
        }),
        ["quintette.W012"]
    );
}
