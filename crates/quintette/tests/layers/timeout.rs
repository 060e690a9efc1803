//! The timeout layer. Sessions are as old as the clock that a test writes into them.

use axum::Router;
use axum::routing::get;
use chrono::{TimeDelta, Utc};
use http::{StatusCode, header};
use quintette::sessions::{Session, SessionError, SessionLayer, TimeoutLayer};
use quintette::settings::Settings;
use quintette_testkit::{Operation, When};
use serde_json::{Value, json};

use crate::site::{Answer, Configure, Site, Visitor};

const ACTIVITY: &str = "_session_init_timestamp_";
const START: &str = "_session_start_timestamp_";

/// Python's `time.time()`, so many seconds ago.
fn ago(seconds: f64) -> Value {
    json!(now() - seconds)
}

fn now() -> f64 {
    TimeDelta::microseconds(Utc::now().timestamp_micros()).as_seconds_f64()
}

/// A site whose sessions end after 60 seconds.
fn site(configure: impl FnOnce(&mut Settings)) -> Site {
    Site::with(|settings| {
        settings.session_expire_seconds = Some(TimeDelta::seconds(60));
        configure(settings);
    })
}

fn visitor(site: &Site) -> Visitor {
    let write = async |session: Session| session.insert("n", 2);
    let read = async |session: Session| -> Result<String, SessionError> {
        Ok(format!("{:?}", session.get::<u64>("n").await?))
    };
    let app = Router::new()
        .route("/write", get(write))
        .route("/fail", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/read", get(read))
        .fallback(async || "page")
        .layer(TimeoutLayer::new(site.sessions.settings()))
        .layer(SessionLayer::new(site.sessions.clone()));
    Visitor::new(app)
}

/// One visit to `/page` with this in the session, which has another key as well.
async fn visit(site: &Site, clocks: &[(&str, Value)]) -> (Answer, String) {
    let cookie = site.session(&[&[("n", json!(1))], clocks].concat()).await;
    let answer = visitor(site).with_cookie(&cookie).get("/page").await;
    (answer, cookie)
}

async fn has_ended(site: &Site, clocks: &[(&str, Value)]) -> bool {
    let (answer, cookie) = visit(site, clocks).await;
    let ended = answer.status == StatusCode::FOUND;
    assert_eq!(site.stored(&cookie).await.is_none(), ended);
    assert!(ended || answer.body == "page", "{answer:?}");
    ended
}

async fn clock(site: &Site, cookie: &str, key: &str) -> Option<f64> {
    site.sessions.session(Some(cookie)).get(key).await.unwrap()
}

#[tokio::test]
async fn a_session_that_has_timed_out_is_flushed_and_its_visitor_sent_to_the_login() {
    let site = site(|_| {});
    let (answer, cookie) = visit(&site, &[(ACTIVITY, ago(61.0))]).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(
        answer.all(header::LOCATION),
        ["/accounts/login/?next=/page"]
    );
    assert!(answer.body.is_empty(), "the handler did not run");
    answer.assert_cookie_deleted();
    assert_eq!(answer.vary(), ["Cookie"]);
    assert_eq!(site.stored(&cookie).await, None);
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Delete]
    );
}

#[tokio::test]
async fn a_session_whose_time_is_not_over_is_left_alone() {
    let site = site(|_| {});
    let clock = ago(30.0);
    let (answer, cookie) = visit(&site, &[(ACTIVITY, clock.clone())]).await;
    assert_eq!(answer.body, "page");
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    assert!(answer.set_cookies().is_empty());
    assert_eq!(answer.vary(), ["Cookie"]);
    let stored = site.stored(&cookie).await.unwrap();
    assert_eq!(stored, format!(r#"{{"n":1,"{ACTIVITY}":{clock}}}"#));
}

#[tokio::test]
async fn the_clock_starts_with_the_first_request_that_finds_a_session() {
    let site = site(|_| {});
    let before = now();
    let (answer, cookie) = visit(&site, &[]).await;
    assert_eq!(answer.body, "page");
    let clock = clock(&site, &cookie, ACTIVITY).await.unwrap();
    assert!((before..=now()).contains(&clock), "{clock}");
}

#[tokio::test]
async fn by_default_activity_does_not_prolong_a_session() {
    let site = site(|_| {});
    let mut visitor = visitor(&site);
    let clock = ago(59.0);
    let cookie = site.session(&[(ACTIVITY, clock.clone())]).await;
    visitor.cookie = Some(cookie.clone());
    assert_eq!(visitor.get("/write").await.status, StatusCode::OK);
    let stored = site.stored(&cookie).await.unwrap();
    assert_eq!(stored, format!(r#"{{"{ACTIVITY}":{clock},"n":2}}"#));
}

#[tokio::test]
async fn activity_prolongs_a_session_where_the_settings_say_so() {
    let site = site(|settings| settings.session_expire_after_last_activity = true);
    let before = now();
    let (_, cookie) = visit(&site, &[(ACTIVITY, ago(30.0))]).await;
    assert!(clock(&site, &cookie, ACTIVITY).await.unwrap() >= before);
    assert_eq!(
        site.counter.take_calls()[..2],
        [Operation::Load, Operation::Replace]
    );
    assert!(has_ended(&site, &[(ACTIVITY, ago(61.0))]).await);
}

#[tokio::test]
async fn within_the_grace_period_a_request_does_not_write() {
    let site = site(|settings| {
        settings.session_expire_after_last_activity = true;
        settings.session_expire_after_last_activity_grace_period = TimeDelta::seconds(40);
    });
    visit(&site, &[(ACTIVITY, ago(30.0))]).await;
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    visit(&site, &[(ACTIVITY, ago(41.0))]).await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Replace]
    );
}

#[tokio::test]
async fn the_absolute_limit_ends_a_session_however_active_it_is() {
    let site = site(|settings| {
        settings.session_expire_after_last_activity = true;
        settings.session_expire_absolute_seconds = Some(TimeDelta::seconds(600));
    });
    for (idle, old, ended) in [
        (0.0, 0.0, false),
        (30.0, 590.0, false),
        (0.0, 601.0, true),
        (61.0, 100.0, true),
        (61.0, 601.0, true),
    ] {
        let clocks = [(ACTIVITY, ago(idle)), (START, ago(old))];
        assert_eq!(has_ended(&site, &clocks).await, ended, "{idle} {old}");
    }
}

#[tokio::test]
async fn activity_does_not_move_the_absolute_limit() {
    let site = site(|settings| {
        settings.session_expire_after_last_activity = true;
        settings.session_expire_absolute_seconds = Some(TimeDelta::seconds(600));
    });
    let start = ago(590.0);
    let (_, cookie) = visit(&site, &[(ACTIVITY, ago(30.0)), (START, start.clone())]).await;
    assert_eq!(clock(&site, &cookie, START).await, start.as_f64());
}

#[tokio::test]
async fn without_an_absolute_limit_no_start_is_kept_and_none_is_asked() {
    let site = site(|_| {});
    let (_, cookie) = visit(&site, &[]).await;
    assert_eq!(clock(&site, &cookie, START).await, None);
    assert!(!has_ended(&site, &[(ACTIVITY, ago(1.0)), (START, ago(1e9))]).await);
}

#[tokio::test]
async fn an_absolute_limit_counts_for_a_session_that_django_made_from_now() {
    let site = site(|settings| {
        settings.session_expire_absolute_seconds = Some(TimeDelta::seconds(600));
    });
    let before = now();
    let (answer, cookie) = visit(&site, &[(ACTIVITY, ago(30.0))]).await;
    assert_eq!(answer.body, "page");
    assert!(clock(&site, &cookie, START).await.unwrap() >= before);
}

#[tokio::test]
async fn without_expire_seconds_the_cookies_age_is_the_limit() {
    let site = Site::with(|settings| settings.session_cookie_age = TimeDelta::seconds(100));
    assert!(!has_ended(&site, &[(ACTIVITY, ago(90.0))]).await);
    assert!(has_ended(&site, &[(ACTIVITY, ago(101.0))]).await);
}

#[tokio::test]
async fn the_redirect_is_the_settings_or_the_login_with_the_way_back() {
    let cases: [(Configure, &str, &str); 4] = [
        (|_| {}, "/a/b?c=d", "/accounts/login/?next=/a/b"),
        (
            |_| {},
            "/caf%C3%A9/a%20b",
            "/accounts/login/?next=/caf%C3%A9/a%20b",
        ),
        (
            |settings| settings.login_url = "/in?lang=ko".into(),
            "/a",
            "/in?lang=ko&next=/a",
        ),
        (
            |settings| settings.session_timeout_redirect = Some("/bye?x=1".into()),
            "/a",
            "/bye?x=1",
        ),
    ];
    for (configure, path, location) in cases {
        let site = site(configure);
        let cookie = site.session(&[(ACTIVITY, ago(61.0))]).await;
        let answer = visitor(&site).with_cookie(cookie).get(path).await;
        assert_eq!(answer.all(header::LOCATION), [location]);
    }
}

#[tokio::test]
async fn a_path_that_looks_like_another_host_stays_a_path_in_the_query() {
    let site = site(|_| {});
    let cookie = site.session(&[(ACTIVITY, ago(61.0))]).await;
    let path = "//evil.example/%0d%0aSet-Cookie:a=b";
    let answer = visitor(&site).with_cookie(cookie).get(path).await;
    assert_eq!(
        answer.all(header::LOCATION),
        ["/accounts/login/?next=//evil.example/%0D%0ASet-Cookie%3Aa%3Db"]
    );
}

#[tokio::test]
async fn a_visitor_without_a_session_is_left_alone() {
    let site = site(|_| {});
    let answer = visitor(&site).get("/page").await;
    assert_eq!(answer.body, "page");
    assert_eq!(site.counter.take_calls(), []);
    assert!(answer.vary().is_empty() && answer.set_cookies().is_empty());
}

#[tokio::test]
async fn an_unknown_session_is_not_made_known() {
    let site = site(|_| {});
    let unknown = "abcdefghijklmnopqrstuvwxyz012345";
    let answer = visitor(&site).with_cookie(unknown).get("/page").await;
    assert_eq!(answer.body, "page");
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    answer.assert_cookie_deleted();
    assert_eq!(site.count().await, 0);
}

#[tokio::test]
async fn a_session_that_the_handler_begins_is_not_old() {
    let site = site(|_| {});
    let mut visitor = visitor(&site);
    assert_eq!(visitor.get("/write").await.status, StatusCode::OK);
    assert_eq!(visitor.get("/read").await.body, "Some(2)");
    let clock = clock(&site, &visitor.cookie.unwrap(), ACTIVITY).await;
    assert!(clock.is_some(), "the second request has started it");
}

#[tokio::test]
async fn a_clock_that_is_no_time_is_set_anew() {
    let site = site(|_| {});
    for wrong in [json!("yesterday"), json!(null), json!([0]), json!({})] {
        let before = now();
        let (answer, cookie) = visit(&site, &[(ACTIVITY, wrong.clone())]).await;
        assert_eq!(answer.body, "page", "{wrong}");
        assert!(
            clock(&site, &cookie, ACTIVITY).await.unwrap() >= before,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_number_of_whole_seconds_is_a_clock_too() {
    let site = site(|_| {});
    let earlier = Utc::now().timestamp() - 100;
    assert!(has_ended(&site, &[(ACTIVITY, json!(earlier))]).await);
}

#[tokio::test]
async fn the_clock_and_what_the_handler_writes_are_one_save() {
    let site = site(|_| {});
    let cookie = site.session(&[("n", json!(1))]).await;
    visitor(&site).with_cookie(cookie).get("/write").await;
    assert_eq!(
        site.counter.take_calls(),
        [Operation::Load, Operation::Replace]
    );
}

#[tokio::test]
async fn a_server_error_does_not_move_the_clock() {
    let site = site(|settings| settings.session_expire_after_last_activity = true);
    let cookie = site.session(&[(ACTIVITY, ago(30.0))]).await;
    let before = site.stored(&cookie).await;
    visitor(&site).with_cookie(&cookie).get("/fail").await;
    assert_eq!(site.stored(&cookie).await, before);
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_and_the_handler_does_not_run() {
    let site = site(|_| {});
    let cookie = site.session(&[(ACTIVITY, ago(61.0))]).await;
    for operation in [Operation::Load, Operation::Delete] {
        site.gates.fail(When::Before, operation);
        let mut visitor = visitor(&site).with_cookie(&cookie);
        let answer = visitor.get("/page").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.all(header::RETRY_AFTER).is_empty());
        assert!(answer.set_cookies().is_empty());
        assert_ne!(answer.body, "page");
        site.gates.recover();
    }
    assert!(site.stored(&cookie).await.is_some());
}

#[tokio::test]
async fn a_redirect_that_no_header_can_carry_as_it_is_is_quoted() {
    let elsewhere = "/끝\r\nSet-Cookie: a=b";
    let site = site(|settings| settings.session_timeout_redirect = Some(elsewhere.into()));
    let cookie = site.session(&[(ACTIVITY, ago(61.0))]).await;
    let answer = visitor(&site).with_cookie(cookie).get("/page").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(
        answer.all(header::LOCATION),
        ["/%EB%81%9D%0D%0ASet-Cookie:%20a=b"]
    );
    answer.assert_cookie_deleted();
}
