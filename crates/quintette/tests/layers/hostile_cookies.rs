//! Cookies that no browser was given: an empty session, and never a panic, an error, or a record of the attacker's.

use axum::Router;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use quintette::sessions::{Session, SessionError, SessionErrorKind, SessionLayer};
use quintette::settings::SessionEngineName;
use serde_json::json;

use crate::site::{ENGINES, Site, Visitor, connect};

/// `Cookie` headers without a session that any store could know.
fn hostile() -> Vec<Vec<u8>> {
    let mut headers: Vec<Vec<u8>> = [
        "sessionid",
        "sessionid=",
        "sessionid=\"\"",
        "sessionid=short",
        "sessionid=abcdefghijklmnopqrstuvwxyz012345",
        "sessionid=../../../../etc/passwd",
        "sessionid=/etc/passwd\\000",
        r#"sessionid="\000\000\000\000\000\000\000\000""#,
        r#"sessionid="abcdefgh\012ijk\015\012Set-Cookie: a=b""#,
        r#"sessionid="\"#,
        r#"sessionid="\777\7\08""#,
        "sessionid=' OR 1=1; DROP TABLE django_session; --",
        "sessionid=%00%00%00%00%00%00%00%00",
        "sessionid=세션세션세션세션세션",
        "sessionid=🦀🦀🦀🦀🦀🦀🦀🦀",
        "sessionid=eyJuIjoxfQ:1aBcDe:0000000000000000000000000000000000000000000",
        "sessionid=.eJw:1aBcDe:x",
        "sessionid=::::::::::::::",
        ";;;;====;;;sessionid;=;",
        "=sessionid=sessionid",
        "sessionid=one-of-many; sessionid=another-one; sessionid=",
    ]
    .map(|header| header.as_bytes().to_vec())
    .into();
    headers.push(b"sessionid=\xff\xfe\x80\x81\xc3(\xa0\xa1\xf0".to_vec());
    headers.push(b"\xff\xfe=\x80; sessionid=\xe2\x82\xac\xe2\x82".to_vec());
    headers.push(b"sessionid=\tabcdefghijklmnop\t".to_vec());
    headers.push([b"sessionid=", "k".repeat(100 * 1024).as_bytes()].concat());
    headers.push([b"sessionid=\"", r"\\".repeat(50 * 1024).as_bytes()].concat());
    headers.push("; ".repeat(50 * 1024).into());
    headers
}

fn headers(cookie: &[u8]) -> HeaderMap {
    let value = HeaderValue::from_bytes(cookie).unwrap();
    HeaderMap::from_iter([(header::COOKIE, value)])
}

async fn read(session: Session) -> Result<String, SessionError> {
    let empty = session.keys().await?.is_empty() && session.key().is_none();
    Ok(empty.to_string())
}

async fn write(session: Session) -> Result<(), SessionError> {
    session.insert("n", 1)
}

fn name(cookie: &[u8]) -> String {
    String::from_utf8_lossy(&cookie[..cookie.len().min(60)]).into_owned()
}

#[tokio::test]
async fn a_forged_cookie_is_an_empty_session_on_every_engine_and_makes_no_record() {
    for engine in ENGINES {
        for save_every_request in [false, true] {
            let (sessions, _directory) = connect(engine, |settings| {
                settings.session_save_every_request = save_every_request;
            })
            .await;
            let app = Router::new().route(
                "/",
                get(async |session: Session| {
                    session.keys().await.map(|keys| keys.len().to_string())
                }),
            );
            let visitor = Visitor::new(app.layer(SessionLayer::new(sessions.clone())));
            for cookie in hostile() {
                let answer = visitor.send("/", headers(&cookie)).await;
                let case = format!("{engine}: {}", name(&cookie));
                assert_eq!(
                    (answer.status, &*answer.body),
                    (StatusCode::OK, "0"),
                    "{case}"
                );
            }
            match sessions.engine().list(None, 10).await {
                Ok(listed) => assert!(listed.is_empty(), "{engine}: {listed:?}"),
                Err(error) => assert_eq!(error.kind(), SessionErrorKind::Unsupported, "{engine}"),
            }
        }
    }
}

#[tokio::test]
async fn a_forged_key_is_not_adopted_and_the_browser_forgets_it() {
    for save_every_request in [false, true] {
        let site = Site::with(|settings| settings.session_save_every_request = save_every_request);
        let visitor = site.visitor(read);
        for cookie in hostile() {
            let answer = visitor.send("/", headers(&cookie)).await;
            let case = name(&cookie);
            assert_eq!(
                (answer.status, &*answer.body),
                (StatusCode::OK, "true"),
                "{case}"
            );
            let sent = cookie
                .split(|byte| *byte == b';')
                .any(|chunk| chunk.trim_ascii().starts_with(b"sessionid="));
            if sent {
                answer.assert_cookie_deleted();
            } else {
                assert!(answer.set_cookies().is_empty(), "{case}");
            }
        }
        assert!(site.counter.created_keys().is_empty());
    }
}

#[tokio::test]
async fn what_is_written_under_a_forged_key_goes_into_a_session_with_a_key_of_ours() {
    for engine in ENGINES {
        let (sessions, _directory) = connect(engine, |_| {}).await;
        let app = Router::new()
            .route("/", get(write))
            .layer(SessionLayer::new(sessions));
        let visitor = Visitor::new(app);
        for cookie in hostile() {
            let answer = visitor.send("/", headers(&cookie)).await;
            let case = format!("{engine}: {}", name(&cookie));
            assert_eq!(answer.status, StatusCode::OK, "{case}");
            let given = answer.cookie().unwrap();
            let pair = format!("sessionid={given}");
            assert!(
                !cookie
                    .windows(pair.len())
                    .any(|part| part == pair.as_bytes()),
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_cookie_with_every_request_saved_makes_no_record_and_is_deleted() {
    let site = Site::with(|settings| settings.session_save_every_request = true);
    let mut visitor = site.visitor(async || "untouched");
    visitor.cookie = Some("abcdefghijklmnopqrstuvwxyz012345".to_owned());
    let answer = visitor.get("/").await;
    assert_eq!(answer.body, "untouched");
    answer.assert_cookie_deleted();
    assert_eq!(answer.vary(), ["Cookie"]);
    assert!(site.counter.created_keys().is_empty());
    assert_eq!(site.count().await, 0);
}

#[tokio::test]
async fn an_expired_session_with_every_request_saved_is_not_revived() {
    for engine in ENGINES {
        if engine == SessionEngineName::SignedCookies {
            // As in Django, such a cookie is as old as its signature, whatever expiry is in it.
            continue;
        }
        let (sessions, _directory) = connect(engine, |settings| {
            settings.session_save_every_request = true;
        })
        .await;
        let expired = sessions.session(None);
        expired.insert("n", 1).unwrap();
        expired.set_expiry(quintette::sessions::Expiry::seconds(-60));
        expired.save().await.unwrap();
        let cookie = expired.key().unwrap();

        let read = async |session: Session| session.contains("n").await.map(|it| it.to_string());
        let app = Router::new()
            .route("/", get(read))
            .layer(SessionLayer::new(sessions));
        let mut visitor = Visitor::new(app).with_cookie(cookie.as_str());
        let answer = visitor.get("/").await;
        assert_eq!(answer.body, "false", "{engine}");
        assert_ne!(visitor.cookie.as_deref(), Some(cookie.as_str()), "{engine}");
    }
}

#[tokio::test]
async fn a_cookie_among_hostile_ones_still_counts() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let handler = async |session: Session| session.contains("n").await.map(|it| it.to_string());
    let visitor = site.visitor(handler);
    let mut headers = HeaderMap::new();
    for header in hostile() {
        headers.append(header::COOKIE, HeaderValue::from_bytes(&header).unwrap());
    }
    let own = HeaderValue::try_from(format!("sessionid=\"{cookie}\"")).unwrap();
    headers.append(header::COOKIE, own);
    assert_eq!(visitor.send("/", headers).await.body, "true");
}
