//! The layer in an axum application.

use axum::extract::{Form, Multipart};
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Method, StatusCode};
use quintette::csrf::{Csrf, CsrfLayer};
use quintette::sessions::SessionError;

use crate::log::Log;
use crate::site::{Sent, TOKEN, get_request, post as posted, request, settings};

async fn ask(csrf: Csrf) -> Result<Html<String>, SessionError> {
    Ok(Html(format!(
        "<form method=\"post\">{}</form>",
        csrf.input().await?
    )))
}

async fn answer(Form(fields): Form<Vec<(String, String)>>) -> String {
    fields[0].1.clone()
}

async fn upload(mut form: Multipart) -> String {
    let mut sizes = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        sizes.push(field.bytes().await.unwrap().len().to_string());
    }
    sizes.join(" ")
}

fn app() -> Router {
    Router::new()
        .route("/", get(ask).post(answer))
        .route("/upload", post(upload))
        .route(
            "/json",
            post(async |Json(json): Json<u64>| json.to_string()),
        )
        .layer(CsrfLayer::new(settings(|_| {})))
}

#[tokio::test]
async fn a_form_of_the_site_comes_back_with_its_fields() {
    let page = get_request("/").to(&app()).await;
    let (_, rest) = page
        .body
        .split_once("name=\"csrfmiddlewaretoken\" value=\"")
        .unwrap();
    let (token, _) = rest.split_once('"').unwrap();
    let sent = request(Method::POST, "/").cookie(page.cookie().unwrap());
    let answer = sent
        .form(&format!("wish=tea&csrfmiddlewaretoken={token}"))
        .to(&app())
        .await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "tea"));
}

#[tokio::test]
async fn extractors_of_files_and_of_json_read_the_whole_body() {
    let to = |sent: Sent, path: &str| sent.path(path);
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"csrfmiddlewaretoken\"\r\n\r\n{TOKEN}\r\n\
         --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n{}\r\n--x--\r\n",
        "x".repeat(1_000)
    );
    let sent = posted()
        .header("content-type", "multipart/form-data; boundary=x")
        .body(form);
    assert_eq!(to(sent, "/upload").to(&app()).await.body, "64 1000");
    let sent = posted()
        .header("content-type", "application/json")
        .token(TOKEN)
        .body("42");
    assert_eq!(to(sent, "/json").to(&app()).await.body, "42");
}

#[tokio::test]
async fn a_handler_without_the_layer_answers_with_the_line_to_add() {
    let log = Log::capture();
    let app = Router::new().route("/", get(async |_: Csrf| "never"));
    let answer = get_request("/").to(&app).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let line = ".layer(quintette::csrf::CsrfLayer::new(settings))";
    assert!(answer.body.contains(line), "{}", answer.body);
    assert!(log.lines()[0].contains(line), "{:?}", log.lines());
}

#[tokio::test]
async fn a_handle_that_is_optional_is_none_without_the_layer() {
    let app = Router::new().route(
        "/",
        get(async |csrf: Option<Csrf>| csrf.is_some().to_string()),
    );
    assert_eq!(get_request("/").to(&app).await.body, "false");
    let app = app.layer(CsrfLayer::new(settings(|_| {})));
    assert_eq!(get_request("/").to(&app).await.body, "true");
}
