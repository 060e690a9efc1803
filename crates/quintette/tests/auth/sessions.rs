//! Where a user is logged in, and the end of it.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use quintette::auth::{Auth, AuthError, UserSessions};
use quintette::sessions::SessionKey;
use quintette::settings::SessionEngineName;

use crate::site::{Site, pages};

fn device_pages() -> Router {
    pages()
        .route("/devices", get(devices))
        .route("/devices/end/{id}", post(end))
        .route("/devices/end-others", post(end_others))
        .route("/devices/end-all", post(end_all))
}

/// A line for each session: whether it is this one, the browser, the address, the id.
async fn devices(auth: Auth) -> Result<String, AuthError> {
    let sessions = auth.sessions().await?.list().await?;
    let lines = sessions.into_iter().map(|session| {
        format!(
            "{} {} {} {}",
            session.is_current, session.user_agent, session.address, session.id
        )
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

async fn end(auth: Auth, Path(id): Path<String>) -> Result<String, AuthError> {
    Ok(auth.sessions().await?.end(&id).await?.to_string())
}

async fn end_others(auth: Auth) -> Result<String, AuthError> {
    Ok(auth.sessions().await?.end_others().await?.to_string())
}

async fn end_all(auth: Auth) -> Result<String, AuthError> {
    Ok(auth.sessions().await?.end_all().await?.to_string())
}

/// Two devices of one user, both seen by the site.
async fn two_devices(site: &Site) -> (crate::site::Visitor, crate::site::Visitor) {
    let mut laptop = site.visitor_of(device_pages());
    laptop.log_in("mei", "right").await;
    let mut phone = site.visitor_of(device_pages());
    "Phone".clone_into(&mut phone.user_agent);
    phone.address = "2001:db8::7".parse().unwrap();
    phone.log_in("mei", "right").await;
    phone.get("/devices").await;
    laptop.get("/devices").await;
    (laptop, phone)
}

fn id_of(list: &str, device: &str) -> String {
    let line = list.lines().find(|line| line.contains(device)).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_sees_where_she_is_logged_in() {
    let site = Site::new().await;
    site.user("mei").await;
    let (mut laptop, _) = two_devices(&site).await;
    let list = laptop.get("/devices").await.body;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains("true Firefox 192.0.2.1"), "{list}");
    assert!(list.contains("false Phone 2001:db8::7"), "{list}");
    assert!(
        !list.contains(laptop.cookie.as_deref().unwrap()),
        "an id is no key"
    );
}

#[tokio::test]
async fn one_session_is_ended_and_the_others_go_on() {
    let site = Site::new().await;
    site.user("mei").await;
    let (mut laptop, mut phone) = two_devices(&site).await;
    let list = laptop.get("/devices").await.body;
    let ended = laptop
        .post(&format!("/devices/end/{}", id_of(&list, "Phone")), &[])
        .await;
    assert_eq!(ended.body, "true");
    assert_eq!(phone.who().await, "a stranger");
    assert_eq!(laptop.who().await, "mei");
    assert_eq!(laptop.get("/devices").await.body.lines().count(), 1);
}

#[tokio::test]
async fn nobody_ends_the_session_of_another_user() {
    let site = Site::new().await;
    site.user("mei").await;
    site.user("mallory").await;
    let (mut laptop, _) = two_devices(&site).await;
    let id = id_of(&laptop.get("/devices").await.body, "Firefox");
    let mut mallory = site.visitor_of(device_pages());
    mallory.log_in("mallory", "right").await;
    for path in [format!("/devices/end/{id}"), "/devices/end/x".to_owned()] {
        assert_eq!(mallory.post(&path, &[]).await.body, "false");
    }
    assert_eq!(laptop.who().await, "mei");
    let stranger = site.visitor_of(device_pages()).get("/devices").await;
    assert_eq!(stranger.status, http::StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn all_others_are_ended_or_all() {
    let site = Site::new().await;
    site.user("mei").await;
    let (mut laptop, mut phone) = two_devices(&site).await;
    assert_eq!(laptop.post("/devices/end-others", &[]).await.body, "1");
    assert_eq!(
        (laptop.who().await.as_str(), phone.who().await.as_str()),
        ("mei", "a stranger")
    );
    phone.log_in("mei", "right").await;
    phone.get("/devices").await;
    assert_eq!(laptop.post("/devices/end-all", &[]).await.body, "2");
    assert_eq!(
        (laptop.who().await.as_str(), phone.who().await.as_str()),
        ("a stranger", "a stranger")
    );
}

#[tokio::test]
async fn a_session_that_has_ended_otherwise_is_on_no_list() {
    let site = Site::new().await;
    site.user("mei").await;
    let (mut laptop, mut phone) = two_devices(&site).await;
    let key = SessionKey::parse(phone.cookie.as_deref().unwrap()).unwrap();
    site.sessions.engine().delete(&key, None).await.unwrap();
    assert_eq!(laptop.get("/devices").await.body.lines().count(), 1);
    assert_eq!(phone.who().await, "a stranger");
}

#[tokio::test]
async fn a_session_gets_on_the_list_when_its_user_is_asked_for() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let mut visitor = site.visitor();
    visitor.log_in("mei", "right").await;
    visitor.who().await;
    let sessions = UserSessions::of(&site.authentication, &site.sessions, mei.id()).unwrap();
    for _ in 0..500 {
        if sessions.list().await.unwrap().len() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody noted the session");
}

#[tokio::test]
async fn sessions_that_no_request_has_brought_are_found_in_the_store() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    for _ in 0..3 {
        site.logged_in("mei").await;
    }
    site.visitor().get("/cart").await;
    let sessions = UserSessions::of(&site.authentication, &site.sessions, mei.id()).unwrap();
    assert_eq!(sessions.list().await.unwrap(), []);
    let mut seen = 0;
    let listed = UserSessions::fill(&site.authentication, &site.sessions, |number| seen = number);
    assert_eq!(listed.await.unwrap(), 3);
    assert_eq!(seen, 4);
    assert_eq!(sessions.list().await.unwrap().len(), 3);
    let again = UserSessions::fill(&site.authentication, &site.sessions, |_| {})
        .await
        .unwrap();
    assert_eq!(again, 0);
    assert_eq!(sessions.end_all().await.unwrap(), 3);
}

#[tokio::test]
async fn the_table_holds_no_key_that_could_be_used() {
    let site = Site::new().await;
    site.user("mei").await;
    let (laptop, _) = two_devices(&site).await;
    let cookie = laptop.cookie.unwrap();
    let url = site.sessions.settings().database_url.clone().unwrap();
    let quintette::settings::DatabaseUrl::Sqlite(quintette::settings::SqliteLocation::File(path)) =
        url
    else {
        panic!("an SQLite file")
    };
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT id, sealed_key FROM quintette_user_session")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert!(!rows.is_empty());
    assert!(
        rows.iter()
            .all(|(id, sealed)| !id.contains(&cookie) && !sealed.contains(&cookie))
    );
}

#[tokio::test]
async fn sessions_in_cookies_cannot_be_listed_and_the_error_says_why() {
    let site =
        Site::with(|settings| settings.session_engine = SessionEngineName::SignedCookies).await;
    let error = UserSessions::of(&site.authentication, &site.sessions, "1").unwrap_err();
    assert!(error.to_string().contains("signed_cookies"), "{error}");
}

#[tokio::test]
async fn a_session_that_the_password_has_ended_is_on_no_list() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let (_laptop, _phone) = two_devices(&site).await;
    let sessions = UserSessions::of(&site.authentication, &site.sessions, mei.id()).unwrap();
    assert_eq!(sessions.list().await.unwrap().len(), 2);
    site.users().set_password(&mei, Some("new")).await.unwrap();
    assert_eq!(sessions.list().await.unwrap(), []);
    assert_eq!(
        sessions.end_all().await.unwrap(),
        2,
        "they are in the store until they are deleted"
    );
}
