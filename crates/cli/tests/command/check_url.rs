use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::response::Redirect;
use axum::routing::get;
use quintette::sessions::{self, Session, SessionError, SessionLayer};
use quintette::settings::Settings;
use tower::ServiceExt as _;

use crate::site::{Ran, SECRET_KEY, Site};

async fn visits(session: Session) -> Result<String, SessionError> {
    let visits = session
        .update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)
        .await?;
    Ok(format!("Visit number {visits}"))
}

/// A service with sessions in its own memory, and these settings.
async fn service(variables: &[(&str, &str)]) -> Router {
    let defaults = [("SECRET_KEY", SECRET_KEY), ("SESSION_ENGINE", "cache")];
    let variables = defaults.into_iter().chain(variables.iter().copied());
    let settings = Settings::loader().variables(variables).load().unwrap();
    let sessions = sessions::connect(settings).await.unwrap();
    Router::new()
        .route("/", get(visits))
        .route("/plain", get(|| async { "no session here" }))
        .route("/old", get(|| async { Redirect::to("/") }))
        .route(
            "/broken",
            get(|| async { axum::http::StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .layer(SessionLayer::new(sessions))
}

async fn serve(service: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, service).into_future());
    address
}

async fn check(address: SocketAddr, path: &str) -> Ran {
    let url = format!("http://{address}{path}");
    tokio::task::spawn_blocking(move || Site::empty().run(&["check", "--url", &url]))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_session_that_comes_back_is_no_problem() {
    for engine in ["cache", "signed_cookies"] {
        let address = serve(service(&[("SESSION_ENGINE", engine)]).await).await;
        let ran = check(address, "/").await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("First       200 OK\n"), "{ran:?}");
        assert!(ran.stdout.contains("Set-Cookie: sessionid=…; "), "{ran:?}");
        assert!(ran.stdout.contains("Second      200 OK\n"), "{ran:?}");
        assert!(ran.stdout.ends_with("\nNo problems found.\n"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_page_without_a_session_is_told() {
    let address = serve(service(&[]).await).await;
    let ran = check(address, "/plain").await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("quintette.U001") && ran.stdout.contains("SessionLayer"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("Second"), "{ran:?}");
    let ran = check(address, "/old").await;
    assert!(
        ran.stdout
            .contains("303 See Other  to /, which is not followed"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("Redirects are not followed"), "{ran:?}");
    let ran = check(address, "/broken").await;
    assert!(ran.stdout.contains("quintette.U010"), "{ran:?}");
}

#[tokio::test]
async fn attributes_that_a_browser_refuses_are_told() {
    let wrong = [
        ("SESSION_COOKIE_SECURE", "true"),
        ("SESSION_COOKIE_DOMAIN", "shop.example"),
        ("SESSION_COOKIE_PATH", "/shop"),
    ];
    let ran = check(serve(service(&wrong).await).await, "/").await;
    assert_eq!(ran.code, 1);
    for id in [
        "quintette.U002",
        "quintette.U003",
        "quintette.U004",
        "\n3 errors.\n",
    ] {
        assert!(ran.stdout.contains(id), "{id}: {ran:?}");
    }
}

#[tokio::test]
async fn processes_that_do_not_share_a_store_are_found() {
    let processes = [service(&[]).await, service(&[]).await];
    let turn = Arc::new(AtomicUsize::new(0));
    let balancer = Router::new().fallback(move |request: Request| {
        let process = processes[turn.fetch_add(1, Ordering::Relaxed) % 2].clone();
        async move { process.oneshot(request).await }
    });
    let ran = check(serve(balancer).await, "/").await;
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("quintette.U008"), "{ran:?}");
}

#[tokio::test]
async fn the_cookie_is_called_as_the_settings_say() {
    let address = serve(service(&[("SESSION_COOKIE_NAME", "shopid")]).await).await;
    let url = format!("http://{address}/");
    let site = Site::new().with("SESSION_COOKIE_NAME", "shopid");
    let ran = tokio::task::spawn_blocking(move || site.run(&["check", "--url", &url]))
        .await
        .unwrap();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("Set-Cookie: shopid=…"), "{ran:?}");
}

#[tokio::test]
async fn a_service_that_does_not_run_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ran = check(address, "/").await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("cannot be reached, is the service running?"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn what_is_no_web_server_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example ESMTP\r\n")
            .await
            .unwrap();
    });
    let ran = check(address, "/").await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("does not answer as a web server does"),
        "{ran:?}"
    );
}
