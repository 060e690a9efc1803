use axum::body::Body;
use axum::{Extension, Router};
use http::Request;
use http_body_util::BodyExt;
use quintette::db::{Database, QueryLogLayer};
use quintette::http::ClientAddress;
use quintette::sessions::{Session, SessionLayer};
use quintette::settings::Settings;
use quintette::templates::minijinja::Environment;
use quintette::templates::{TemplatePage, Templates};
use tower::ServiceExt;

use super::site::{Plan, knowing};

async fn page(debug: bool, from: [u8; 4]) -> String {
    let mut plan = Plan::new("{% if debug %}yes{% else %}no{% endif %} {{ sql_queries|length }}");
    plan.settings.debug = debug;
    plan.settings.internal_ips = vec![[127, 0, 0, 1].into()];
    let site = plan.build().await;
    knowing(&site, ClientAddress(from.into())).page("/").await
}

#[tokio::test]
async fn debugging_is_for_internal_addresses() {
    assert_eq!(page(true, [127, 0, 0, 1]).await, "yes 0");
    assert_eq!(page(true, [192, 0, 2, 1]).await, "no 0");
    assert_eq!(page(false, [127, 0, 0, 1]).await, "no 0");
}

#[tokio::test]
async fn nobody_is_internal_whose_address_is_unknown() {
    let mut plan = Plan::new("{{ debug }}");
    plan.settings.debug = true;
    plan.settings.internal_ips = vec![[127, 0, 0, 1].into()];
    assert_eq!(plan.build().await.page().await, "False");
}

/// A site whose sessions are in SQLite, and which reads the one of the visitor before its page is rendered.
async fn statements(debug: bool) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::new("a secret that is for tests alone");
    let file = directory.path().join("db.sqlite3");
    settings.database_url = Some(format!("sqlite://{}", file.display()).parse().unwrap());
    settings.debug = debug;
    settings.internal_ips = vec![[10, 0, 0, 1].into()];
    let database = Database::create(&settings).await.unwrap();
    database.migrate().await.unwrap();
    let sessions = quintette::sessions::connect(settings.clone())
        .await
        .unwrap();
    let mut environment = Environment::new();
    let page = "{{ sql_queries|length }}{% for query in sql_queries %}|{{ query.sql }}|{{ query.time }}{% endfor %}";
    environment.add_template("page.html", page).unwrap();

    let log = QueryLogLayer::new(&settings);
    let app = Router::new()
        .fallback(async |session: Session, page: TemplatePage| {
            session.get::<String>("cart").await.unwrap();
            page.render("page.html", ()).await
        })
        .with_state(Templates::new(environment, settings))
        .layer(SessionLayer::new(sessions))
        .layer(log)
        .layer(Extension(ClientAddress([10, 0, 0, 1].into())));
    let request = Request::get("/").header("cookie", "sessionid=a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6");
    let response = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.into()).unwrap()
}

#[tokio::test]
async fn the_statements_of_a_request_are_listed_with_their_times() {
    let shown = statements(true).await;
    let parts: Vec<_> = shown.split('|').collect();
    assert_eq!(parts.len(), 3, "{shown}");
    assert_eq!(parts[0], "1");
    assert!(parts[1].starts_with("SELECT"), "{shown}");
    // Seconds with three decimals.
    let (seconds, fraction) = parts[2].split_once('.').unwrap();
    assert!(
        seconds.parse::<u32>().is_ok() && fraction.len() == 3,
        "{shown}"
    );
}

#[tokio::test]
async fn without_debug_no_statements_are_listed() {
    assert_eq!(statements(false).await, "0");
}
