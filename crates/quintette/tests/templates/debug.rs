use std::net::IpAddr;

use quintette::db::{Database, QueryLog};
use quintette::http::ClientAddress;
use quintette::settings::Settings;
use quintette::templates::minijinja::Environment;
use quintette::templates::{TemplateRequest, Templates};

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

#[tokio::test]
async fn statements_are_listed_as_they_are_when_a_page_looks() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::new("a secret that is for tests alone");
    let file = directory.path().join("db.sqlite3");
    settings.database_url = Some(format!("sqlite://{}", file.display()).parse().unwrap());
    settings.debug = true;
    settings.internal_ips = vec![IpAddr::from([10, 0, 0, 1])];
    let database = Database::create(&settings).await.unwrap();
    database.migrate().await.unwrap();
    let sessions = quintette::sessions::connect(settings.clone())
        .await
        .unwrap();

    let mut environment = Environment::new();
    environment
        .add_template(
            "page.html",
            "{{ sql_queries|length }}{% for query in sql_queries %}|{{ query.sql }}|{{ query.time }}{% endfor %}",
        )
        .unwrap();
    let templates = Templates::new(environment, settings);
    let log = QueryLog::new();
    let mut request = http::Request::new(());
    request.extensions_mut().insert(log.clone());
    request
        .extensions_mut()
        .insert(ClientAddress([10, 0, 0, 1].into()));
    let request = TemplateRequest::from(&request);
    let page = async || templates.render(&request, "page.html", ()).await.unwrap();
    assert_eq!(page().await, "0");

    let session = sessions.session(Some("a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6"));
    log.record(session.get::<String>("cart")).await.unwrap();
    let shown = page().await;
    let parts: Vec<_> = shown.split('|').collect();
    assert_eq!(parts.len(), 3, "{shown}");
    assert_eq!(parts[0], "1");
    assert!(parts[1].starts_with("SELECT"), "{shown}");
    // Seconds with three decimals.
    let (seconds, fraction) = parts[2].split_once('.').unwrap();
    assert!(seconds.parse::<u32>().is_ok() && fraction.len() == 3);
}
