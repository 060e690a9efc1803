//! Attacks that are tried and refused.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use http::{Request, StatusCode};
use quintette::auth::{Auth, AuthLayer, Credentials, UserRecord};
use quintette::csrf::CsrfLayer;
use quintette::sessions::SessionKey;
use quintette_testkit::{Gate, Operation, When};

use crate::site::{Site, gated, pages};

#[tokio::test]
async fn a_key_that_was_planted_is_not_the_key_after_the_login() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut mallory = site.visitor();
    mallory.get("/cart").await;
    let mut victim = site.visitor();
    victim.cookie = mallory.cookie.clone();
    victim.log_in("mei", "right").await;
    assert_ne!(victim.cookie, mallory.cookie);
    assert_eq!(mallory.who().await, "a stranger");
    let mut victim = site.visitor();
    victim.cookie = Some("plantedplantedplantedplantedplan".to_owned());
    victim.log_in("mei", "right").await;
    assert_ne!(
        victim.cookie.as_deref(),
        Some("plantedplantedplantedplantedplan")
    );
}

/// A page that logs mei in, and whatever happens is answered as if nothing were wrong.
async fn careless_login(auth: Auth, gate: Option<Gate>) -> String {
    let credentials = Credentials::new("mei", "right");
    let mei = auth.authenticate(&credentials).await.unwrap().unwrap();
    let Some(mut gate) = gate else {
        return format!("logged in: {}", auth.login(&mei).await.is_ok());
    };
    let outcome = tokio::select! {
        biased;
        _ = auth.login(&mei) => "in time",
        () = gate.reached() => "too late",
    };
    gate.open();
    outcome.to_owned()
}

#[tokio::test]
async fn a_login_that_fails_half_way_lets_nobody_in_by_a_planted_key() {
    let (site, engine) = gated(Site::new().await);
    site.user("mei").await;
    let mut mallory = site.visitor();
    mallory.get("/cart").await;
    let login = post(async |auth: Auth| careless_login(auth, None).await);
    let mut victim = site.visitor_of(pages().route("/careless", login));
    victim.cookie = mallory.cookie.clone();
    engine.fail(When::Before, Operation::Delete);
    let answer = victim.post("/careless", &[]).await;
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::OK, "logged in: false")
    );
    engine.recover();
    assert_eq!(mallory.who().await, "a stranger");
    assert_eq!(victim.who().await, "a stranger");
}

#[tokio::test]
async fn a_login_that_is_given_up_half_way_lets_nobody_in() {
    for operation in [Operation::Create, Operation::Delete] {
        let (site, engine) = gated(Site::new().await);
        site.user("mei").await;
        let mut mallory = site.visitor();
        mallory.get("/cart").await;
        let gate = Arc::new(Mutex::new(Some(engine.hold(When::Before, operation))));
        let login = post(async move |auth: Auth| {
            let gate = gate.lock().unwrap().take();
            careless_login(auth, gate).await
        });
        let mut victim = site.visitor_of(pages().route("/careless", login));
        victim.cookie = mallory.cookie.clone();
        let answer = victim.post("/careless", &[]).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "too late"));
        assert_eq!(mallory.who().await, "a stranger", "{operation}");
        assert_eq!(victim.who().await, "a stranger", "{operation}");
    }
}

#[tokio::test]
async fn a_login_changes_the_csrf_secret_in_whatever_order_the_layers_stand() {
    let site = Site::new().await;
    site.user("mei").await;
    let csrf = CsrfLayer::new(site.sessions.settings().clone()).exempt();
    let auth = AuthLayer::new(site.authentication.clone());
    for pages in [pages().layer(csrf.clone()), pages().layer(auth).layer(csrf)] {
        let planted = "plantedplantedplantedplantedplan";
        let login = Request::post("/login")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", format!("csrftoken={planted}"))
            .body("username=mei&password=right".into());
        let answer = site.visitor_of(pages).send(login.unwrap()).await;
        let cookies = answer.headers.get_all("set-cookie").iter();
        let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
        let secret = cookies.find(|cookie| cookie.starts_with("csrftoken="));
        assert!(!secret.unwrap().contains(planted));
    }
}

#[tokio::test]
async fn a_cookie_is_worth_nothing_after_the_logout() {
    let site = Site::new().await;
    site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    let stolen = visitor.cookie.clone();
    visitor.post("/logout", &[]).await;
    visitor.cookie = stolen;
    assert_eq!(visitor.who().await, "a stranger");
}

#[tokio::test]
async fn a_slow_request_does_not_undo_a_logout() {
    let site = Site::new().await;
    site.user("mei").await;
    let slow = async |auth: quintette::auth::Auth| {
        let user = auth.user().await.unwrap().unwrap();
        // Another window logs out in the meantime.
        let other = auth
            .session()
            .sessions()
            .session(auth.session().key().as_ref().map(SessionKey::as_str));
        other.flush().await.unwrap();
        auth.session().insert("late", 1).unwrap();
        user.to_string()
    };
    let cookie = site.logged_in("mei").await.cookie;
    let mut visitor = site.visitor_of(pages().route("/slow", get(slow)));
    visitor.cookie = cookie.clone();
    assert_eq!(visitor.get("/slow").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.stored(&cookie.unwrap()).await, None);
}

#[tokio::test]
async fn the_way_back_leads_to_no_other_site() {
    let site = Site::new().await;
    let app = Router::new().fallback(get(async |_: quintette::auth::User| "inside"));
    let mut visitor = site.visitor_of(app);
    for path in [
        "//evil.com/",
        "/\\evil.com",
        "/%0d%0aSet-Cookie:%20x=y",
        "/%5c%5cevil.com",
        "/?next=https://evil.com",
    ] {
        let Ok(request) = Request::get(path).body(axum::body::Body::empty()) else {
            continue;
        };
        let answer = visitor.send(request).await;
        let location = answer.header("location").unwrap();
        assert!(
            location.starts_with("/accounts/login/?next=/"),
            "{path}: {location}"
        );
        assert!(
            location.bytes().all(|byte| byte.is_ascii_graphic()),
            "{location}"
        );
    }
}

#[tokio::test]
async fn hostile_names_and_passwords_are_wrong_and_nothing_worse() {
    let site = Site::new().await;
    site.user("mei").await;
    let long = "x".repeat(100_000);
    for name in [
        "mei' OR '1'='1",
        "mei\0",
        "\u{0}",
        "mei%",
        "_ei",
        "😀",
        &long,
        "mei\r\nX: y",
        "../mei",
    ] {
        for password in ["right", "' OR 1=1 --", "\0", &long] {
            let answer = site.visitor().log_in(name, password).await;
            assert_eq!(
                answer.status,
                StatusCode::FORBIDDEN,
                "{name:.20?} {password:.20?}"
            );
        }
    }
}

#[tokio::test]
async fn whatever_another_program_wrote_into_a_users_row_is_no_accident() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let pool = site.pool().await;
    let columns = [
        "password",
        "last_login",
        "is_superuser",
        "username",
        "first_name",
        "email",
        "is_active",
        "date_joined",
    ];
    let values = [
        "X'00ff'",
        "''",
        "'yes'",
        "-1",
        "1.5e300",
        "'9999-99-99 25:61:61'",
        "zeroblob(100000)",
        "9223372036854775807",
        "'+262142-12-31 23:59:59'",
    ];
    let row: UserRecord = mei.downcast_ref::<UserRecord>().unwrap().clone();
    for column in columns {
        for value in values {
            let proven = site.logged_in("mei").await.cookie;
            let update = format!("UPDATE auth_user SET {column} = {value}");
            let update = sqlx::query(sqlx::AssertSqlSafe(update));
            update.execute(&pool).await.unwrap();
            let mut visitor = site.visitor();
            let answer = visitor.log_in("mei", "right").await;
            assert!(
                !answer.status.is_server_error(),
                "{column} = {value}: {answer:?}"
            );
            visitor.cookie = proven;
            let page = visitor.get("/who").await;
            assert_eq!(page.status, StatusCode::OK, "{column} = {value}: {page:?}");
            site.users().save(&row).await.unwrap();
        }
    }
}
