//! `CSRF_USE_SESSIONS`: the secret in the session, and no cookie.

use axum::Router;
use axum::routing::get;
use http::{Method, StatusCode};
use quintette::csrf::{Csrf, CsrfLayer};
use quintette::sessions::{Session, SessionError, SessionKey, SessionLayer, Sessions};

use crate::log::Log;
use crate::site::{
    MASKED, SECRET, Sent, TOKEN, get_request, request, routes, settings, site_with_sessions, unmask,
};

/// The cookie of a session that holds this.
async fn session(sessions: &Sessions, token: impl serde::Serialize) -> String {
    let session = sessions.session(None);
    session.insert("_csrftoken", token).unwrap();
    session.save().await.unwrap();
    session.key().unwrap().as_str().to_owned()
}

async fn stored(sessions: &Sessions, cookie: &str) -> Option<String> {
    let key = SessionKey::parse(cookie).unwrap();
    let stored = sessions.engine().load(&key).await.unwrap()?;
    Some(stored.data.to_json().unwrap())
}

fn visiting(sent: Sent, cookie: &str) -> Sent {
    sent.header("cookie", &format!("sessionid={cookie}"))
}

#[tokio::test]
async fn the_secret_comes_with_the_session_and_no_cookie_of_its_own_is_set() {
    let (site, sessions) = site_with_sessions(|_| {});
    let page = get_request("/token").to(&site).await;
    let [cookie] = page.set_cookies()[..] else {
        panic!("{page:?}")
    };
    assert!(cookie.starts_with("sessionid="), "{cookie}");
    assert_eq!(page.vary(), ["Cookie"]);
    let key = page.cookie().unwrap();
    let expected = format!(r#"{{"_csrftoken":"{}"}}"#, unmask(&page.body));
    assert_eq!(stored(&sessions, key).await, Some(expected));

    let sent = visiting(request(Method::POST, "/"), key).form_token(&page.body);
    assert_eq!(sent.to(&site).await.status, StatusCode::OK);
    let sent = visiting(request(Method::POST, "/"), key)
        .cookie(SECRET)
        .token(SECRET);
    assert_eq!(
        sent.to(&site).await.status,
        StatusCode::FORBIDDEN,
        "a cookie is nothing"
    );
}

#[tokio::test]
async fn a_session_that_has_the_secret_is_not_saved_again() {
    let (site, sessions) = site_with_sessions(|_| {});
    let key = session(&sessions, SECRET).await;
    let page = visiting(get_request("/token"), &key).to(&site).await;
    assert_eq!(unmask(&page.body), SECRET);
    assert_eq!((page.set_cookies(), page.vary()), (vec![], vec!["Cookie"]));
}

#[tokio::test]
async fn a_page_without_a_token_leaves_the_session_alone() {
    let (site, sessions) = site_with_sessions(|_| {});
    let key = session(&sessions, SECRET).await;
    let page = visiting(get_request("/"), &key).to(&site).await;
    assert_eq!((page.set_cookies(), page.vary()), (vec![], vec![]));
}

#[tokio::test]
async fn a_secret_that_an_old_django_masked_is_stored_unmasked() {
    let (site, sessions) = site_with_sessions(|_| {});
    let key = session(&sessions, MASKED).await;
    for token in [SECRET, MASKED, TOKEN] {
        let form = visiting(request(Method::POST, "/"), &key).form_token(token);
        assert_eq!(form.to(&site).await.status, StatusCode::OK);
        let header = visiting(request(Method::PUT, "/"), &key).token(token);
        assert_eq!(header.to(&site).await.status, StatusCode::OK);
    }
    visiting(get_request("/token"), &key).to(&site).await;
    let expected = format!(r#"{{"_csrftoken":"{SECRET}"}}"#);
    assert_eq!(stored(&sessions, &key).await, Some(expected));
}

#[tokio::test]
async fn what_is_no_secret_in_the_session_is_replaced() {
    let (site, sessions) = site_with_sessions(|_| {});
    for bad in [serde_json::json!(7), "short".into(), "*".repeat(64).into()] {
        let key = session(&sessions, &bad).await;
        let sent = visiting(request(Method::POST, "/"), &key).token(TOKEN);
        assert_eq!(sent.to(&site).await.status, StatusCode::FORBIDDEN, "{bad}");
        let page = visiting(get_request("/token"), &key).to(&site).await;
        let expected = format!(r#"{{"_csrftoken":"{}"}}"#, unmask(&page.body));
        assert_eq!(stored(&sessions, &key).await, Some(expected), "{bad}");
    }
}

#[tokio::test]
async fn a_rotation_replaces_the_secret_in_the_session() {
    let (site, sessions) = site_with_sessions(|_| {});
    let key = session(&sessions, SECRET).await;
    visiting(get_request("/rotate"), &key).to(&site).await;
    let now = stored(&sessions, &key).await.unwrap();
    assert!(
        now.starts_with(r#"{"_csrftoken":""#) && !now.contains(SECRET),
        "{now}"
    );
}

#[tokio::test]
async fn a_token_that_was_given_before_a_logout_is_good_after_it() {
    let page = async |csrf: Csrf, session: Session| -> Result<String, SessionError> {
        let token = csrf.token().await?;
        session.flush().await?;
        Ok(token)
    };
    let settings = settings(|settings| settings.csrf_use_sessions = true);
    let (_, sessions) = site_with_sessions(|_| {});
    let site = Router::new()
        .route("/", get(page).post(async || "ok"))
        .layer(CsrfLayer::new(settings))
        .layer(SessionLayer::new(sessions.clone()));
    let key = session(&sessions, SECRET).await;
    let page = visiting(get_request("/"), &key).to(&site).await;
    let new = page.cookie().unwrap();
    assert_ne!(new, key);
    let sent = visiting(request(Method::POST, "/"), new).token(&page.body);
    assert_eq!(sent.to(&site).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_session_nobody_gets_through() {
    let (site, _) = site_with_sessions(|_| {});
    for sent in [
        request(Method::POST, "/").token(TOKEN),
        visiting(request(Method::POST, "/").token(TOKEN), "0123456789abcdef"),
    ] {
        let answer = sent.to(&site).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn pages_of_hosts_that_share_the_session_get_through() {
    let (site, sessions) = site_with_sessions(|settings| {
        settings.session_cookie_domain = Some(".example.com".to_owned());
        settings.csrf_cookie_domain = Some("elsewhere.org".to_owned());
    });
    let key = session(&sessions, SECRET).await;
    for (referer, status) in [
        ("https://foo.example.com/", StatusCode::OK),
        ("https://elsewhere.org/", StatusCode::FORBIDDEN),
    ] {
        let sent = visiting(request(Method::POST, "/"), &key).token(TOKEN);
        let sent = sent.over_https().header("referer", referer);
        assert_eq!(sent.to(&site).await.status, status, "{referer}");
    }
}

#[tokio::test]
async fn without_the_session_layer_the_answer_names_the_line_to_add() {
    let log = Log::capture();
    let settings = settings(|settings| settings.csrf_use_sessions = true);
    let site = routes().layer(CsrfLayer::new(settings));
    let answer = get_request("/").to(&site).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let line = ".layer(quintette::sessions::SessionLayer::new(sessions))";
    assert!(answer.body.contains(line), "{}", answer.body);
    assert!(log.lines()[0].starts_with("ERROR"), "{:?}", log.lines());
}
