use http::Request;

use super::site::{Plan, Site};

#[tokio::test]
async fn a_form_gets_a_field_that_the_layer_takes() {
    let site = Site::new("<form>{{ csrf_input }}</form>").await;
    let mut visitor = site.visitor();
    let answer = visitor.get("/").await;
    let field = answer.body.strip_prefix("<form>").unwrap();
    let token = field
        .strip_prefix("<input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"")
        .and_then(|rest| rest.strip_suffix("\"></form>"))
        .unwrap();
    assert_eq!(token.len(), 64);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(answer.headers["vary"], "Cookie");
    assert_eq!(visitor.cookies["csrftoken"].len(), 32);

    let mut post = async |token: &str| {
        let request = Request::post("/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("csrfmiddlewaretoken={token}").into());
        visitor.send(request.unwrap()).await.status
    };
    // The page answers only GET, so that a form which gets past the layer is told so.
    assert_eq!(post(token).await, 405);
    assert_eq!(post(&token.replace(&token[..1], "-")).await, 403);
}

#[tokio::test]
async fn a_script_gets_the_token_alone() {
    let site = Site::new("{{ csrf_token }}").await;
    let token = site.page().await;
    assert_eq!(token.len(), 64);
    assert_ne!(token, site.page().await);
}

#[tokio::test]
async fn a_page_has_one_token() {
    let site = Site::new("{{ csrf_token == csrf_token }}{{ csrf_input == csrf_input }}").await;
    assert_eq!(site.page().await, "TrueTrue");
}

#[tokio::test]
async fn no_cookie_is_set_for_a_form_that_is_not_shown() {
    let site = Site::new("{% if user.is_authenticated %}{{ csrf_input }}{% endif %}").await;
    let answer = site.visitor().get("/").await;
    assert_eq!(answer.body, "");
    assert!(!answer.headers.contains_key("set-cookie"));
    let mut user = site.user("clerk").await;
    assert!(user.page("/").await.starts_with("<input"));
    assert!(user.cookies.contains_key("csrftoken"));
}

#[tokio::test]
async fn the_secret_may_live_in_the_session() {
    let mut plan = Plan::new("{{ csrf_input }}");
    plan.settings.csrf_use_sessions = true;
    let site = plan.build().await;
    let mut visitor = site.visitor();
    assert!(visitor.page("/").await.starts_with("<input"));
    assert_eq!(visitor.cookies.keys().collect::<Vec<_>>(), ["sessionid"]);
}

#[tokio::test]
async fn without_the_layer_there_is_no_field_and_djangos_word_for_no_token() {
    let plan = Plan::new("[{{ csrf_input }}]{{ csrf_token }}");
    let site = Plan {
        layers: false,
        ..plan
    };
    assert_eq!(site.build().await.page().await, "[]NOTPROVIDED");
}
