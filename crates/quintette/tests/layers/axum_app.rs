//! The session in an axum application: a visit from the first page to the logout.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use quintette::sessions::{Session, SessionError, SessionLayer};

use crate::site::{ENGINES, Site, Visitor, connect};

async fn add(session: Session, Path(item): Path<String>) -> Result<String, SessionError> {
    let cart = session.update("cart", move |cart: Option<Vec<String>>| {
        let mut cart = cart.unwrap_or_default();
        cart.push(item.clone());
        cart
    });
    Ok(cart.await?.join(" "))
}

async fn login(session: Session, State(user): State<u64>) -> Result<(), SessionError> {
    session.insert("user", user)?;
    session.cycle_key().await
}

async fn home(session: Session) -> Result<String, SessionError> {
    let user: Option<u64> = session.get("user").await?;
    // The handle is held over an await that is none of its own.
    tokio::task::yield_now().await;
    let cart: Option<Vec<String>> = session.get("cart").await?;
    Ok(format!("{user:?} {cart:?}"))
}

fn shop() -> Router {
    Router::new()
        .route("/", get(home))
        .route("/add/{item}", get(add))
        .route("/login", get(login))
        .route(
            "/logout",
            get(async |session: Session| session.flush().await),
        )
        .with_state(42)
}

#[tokio::test]
async fn a_visit_is_one_session_on_every_engine() {
    for engine in ENGINES {
        let (sessions, _directory) = connect(engine, |_| {}).await;
        let mut visitor = Visitor::new(shop().layer(SessionLayer::new(sessions)));
        assert_eq!(visitor.get("/").await.body, "None None", "{engine}");
        assert_eq!(visitor.cookie, None, "{engine}");
        assert_eq!(visitor.get("/add/tea").await.body, "tea", "{engine}");
        assert_eq!(visitor.get("/add/cups").await.body, "tea cups", "{engine}");

        let before = visitor.clone();
        assert_eq!(
            visitor.get("/login").await.status,
            StatusCode::OK,
            "{engine}"
        );
        assert_ne!(
            visitor.cookie, before.cookie,
            "{engine}: a login changes the key"
        );
        let page = r#"Some(42) Some(["tea", "cups"])"#;
        assert_eq!(visitor.get("/").await.body, page, "{engine}");

        visitor.get("/logout").await.assert_cookie_deleted();
        assert_eq!(visitor.get("/").await.body, "None None", "{engine}");
    }
}

#[tokio::test]
async fn visitors_do_not_see_each_other() {
    let site = Site::new();
    let app = shop().layer(SessionLayer::new(site.sessions.clone()));
    let (mut one, mut other) = (Visitor::new(app.clone()), Visitor::new(app));
    one.get("/add/tea").await;
    other.get("/add/cups").await;
    assert_eq!(one.get("/").await.body, r#"None Some(["tea"])"#);
    assert_eq!(other.get("/").await.body, r#"None Some(["cups"])"#);
}

#[tokio::test]
async fn the_layer_serves_nested_routers_and_fallbacks() {
    let app = Router::new()
        .nest("/shop", shop())
        .fallback(async |session: Session| {
            session.insert("lost", true).unwrap();
            StatusCode::NOT_FOUND
        })
        .layer(SessionLayer::new(Site::new().sessions));
    let mut visitor = Visitor::new(app);
    assert_eq!(visitor.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    let cookie = visitor.cookie.clone().unwrap();
    assert_eq!(visitor.get("/shop/add/tea").await.body, "tea");
    assert_eq!(visitor.cookie.unwrap(), cookie, "one session for both");
}

#[tokio::test]
async fn of_two_layers_the_inner_one_gives_the_session_and_each_keeps_its_cookie() {
    let inner = Site::with(|settings| settings.session_cookie_name = "shop".parse().unwrap());
    let outer = Site::new();
    let app = Router::new()
        .route("/", get(async |session: Session| session.insert("n", 1)))
        .layer(SessionLayer::new(inner.sessions.clone()))
        .layer(SessionLayer::new(outer.sessions.clone()));
    let answer = Visitor::new(app).send("/", HeaderMap::new()).await;
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert!(cookies[0].starts_with("shop="), "{cookies:?}");
    assert_eq!((inner.count().await, outer.count().await), (1, 0));
    assert_eq!(outer.counter.take_calls(), []);
}

#[tokio::test]
async fn the_cookie_is_found_in_several_headers_and_the_last_one_counts() {
    // HTTP/2 sends each pair in a header of its own (RFC 9113, section 8.2.3).
    let site = Site::new();
    let first = site.session(&[("user", 1.into())]).await;
    let last = site.session(&[("user", 2.into())]).await;
    let app = shop().layer(SessionLayer::new(site.sessions.clone()));
    let mut headers = HeaderMap::new();
    for pair in [
        "theme=dark".to_owned(),
        format!("sessionid={first}"),
        format!("a=b; sessionid={last}; c"),
        "sessionid2=none".to_owned(),
    ] {
        headers.append(header::COOKIE, HeaderValue::try_from(pair).unwrap());
    }
    let answer = Visitor::new(app).send("/", headers).await;
    assert_eq!(answer.body, "Some(2) None");
}
