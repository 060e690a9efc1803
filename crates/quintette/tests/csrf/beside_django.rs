//! Requests that Django 5.2 answered, answered here. `answers.py` asked it.

use http::{Method, StatusCode};
use quintette::settings::Settings;
use serde_json::{Map, Value};

use axum::Router;

use crate::site::{SECRET, Sent, request, routes};

const ANSWERS: &str = include_str!("answers.json");

/// Where we answer otherwise on purpose.
fn is_divergence(sent: &Map<String, Value>) -> bool {
    let content_type = sent["form"][0].as_str().unwrap_or_default();
    // Django takes any case of a method for the same method; HTTP does not (RFC 9110, section 9.1).
    sent["method"] == "get"
        // Django's parser takes a body without its boundary for one field, and refuses a type that is not in lower case.
        || content_type.contains("boundary=\"other\"")
        || content_type.starts_with("Multipart")
}

fn site(configured: &Value) -> Router {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), Into::into);
    let configured = configured.as_object().unwrap();
    let proxy = (
        "SECURE_PROXY_SSL_HEADER".to_owned(),
        r#"["HTTP_X_FORWARDED_PROTO", "https"]"#.to_owned(),
    );
    let configured = configured
        .iter()
        .map(|(name, value)| (name.clone(), text(value)));
    let settings = Settings::loader()
        .default("SECRET_KEY", "a secret that is for tests alone")
        .variables(configured.chain([proxy]))
        .load()
        .unwrap();
    let reason = |failure: &quintette::csrf::CsrfFailure<'_>| {
        let mut response = http::Response::new(failure.reason().to_string());
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    };
    routes().layer(quintette::csrf::CsrfLayer::new(settings).with_failure_response(reason))
}

/// The values of a request, by their places in the lists.
fn values(document: &Value, places: &Value) -> Map<String, Value> {
    let lists = document["values"].as_object().unwrap();
    let pick = |(key, list): (&String, &Value)| {
        let place = places.get(key).unwrap_or(&document["plain"][key]);
        let place = usize::try_from(place.as_u64().unwrap()).unwrap();
        (key.clone(), list[place].clone())
    };
    lists.iter().map(pick).collect()
}

fn sent(values: &Map<String, Value>, configured: &Value) -> Sent {
    let text = |key: &str| values[key].as_str();
    let method = Method::from_bytes(text("method").unwrap().as_bytes()).unwrap();
    let path = match text("view").unwrap() {
        "plain" => "/page".to_owned(),
        view => format!("/{view}"),
    };
    let mut sent = request(method, &path).host(text("host").unwrap());
    if values["secure"] == true {
        sent = sent.over_https();
    }
    let name = configured["CSRF_COOKIE_NAME"]
        .as_str()
        .unwrap_or("csrftoken");
    let cookie = text("cookie").map(|value| format!("{name}={value}"));
    let token_header = if configured.get("CSRF_HEADER_NAME").is_some() {
        "x-2fa-token"
    } else {
        "x-csrftoken"
    };
    for (header, value) in [
        ("origin", text("origin")),
        ("referer", text("referer")),
        ("x-forwarded-host", text("forwarded_host")),
        ("x-forwarded-port", text("forwarded_port")),
        ("cookie", cookie.as_deref()),
        (token_header, text("header")),
        ("content-type", values["form"][0].as_str()),
    ] {
        if let Some(value) = value {
            sent = sent.latin1_header(header, value);
        }
    }
    sent.body(values["form"][1].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn two_thousand_requests_are_answered_as_django_answers_them() {
    let document: Value = serde_json::from_str(ANSWERS).unwrap();
    let settings = document["settings"].as_array().unwrap();
    let sites: Vec<Router> = settings.iter().map(site).collect();
    let cases = document["cases"].as_array().unwrap();
    let (mut same, mut wrong) = (0, Vec::new());
    for case in cases {
        let index = usize::try_from(case[0].as_u64().unwrap()).unwrap();
        let values = values(&document, &case[1]);
        if is_divergence(&values) {
            continue;
        }
        let answer = sent(&values, &settings[index]).to(&sites[index]).await;
        let status = answer.status.as_u16();
        let cookie = answer.cookie().map(|value| match value {
            SECRET => SECRET,
            value if value == "a".repeat(32) => value,
            _ => "new",
        });
        let reason = (status == 403).then_some(&*answer.body);
        let vary = answer.vary();
        let found = serde_json::json!([status, reason, cookie, vary.first()]);
        if found.as_array().unwrap()[..] == case.as_array().unwrap()[2..] {
            same += 1;
        } else {
            wrong.push(format!(
                "{} {values:?}\n  {found}\n  {case}",
                settings[index]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(same > 1_500, "{same}");
}
