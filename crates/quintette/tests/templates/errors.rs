use std::error::Error as _;

use async_trait::async_trait;
use quintette::sessions::SessionError;
use quintette::settings::Settings;
use quintette::templates::minijinja::{Environment, Value};
use quintette::templates::{
    ContextProcessor, TemplateError, TemplateErrorKind, TemplateRequest, Templates,
};
use quintette_testkit::{Operation, When};

use super::site::{Plan, Site};

struct Broken;

#[async_trait]
impl ContextProcessor for Broken {
    fn names(&self) -> &[&str] {
        &["broken"]
    }

    async fn values(&self, _: &TemplateRequest) -> Result<Value, TemplateError> {
        tokio::task::yield_now().await;
        Err(TemplateError::new(
            TemplateErrorKind::Value,
            "no idea, says db.internal",
        ))
    }
}

async fn error(template: &str, source: &'static str) -> TemplateError {
    let mut environment = Environment::new();
    environment.set_loader(move |name| Ok((name == "page.html").then(|| source.to_owned())));
    let templates = Templates::new(environment, Settings::new("a secret")).with_processor(Broken);
    let request = TemplateRequest::from(&http::Request::new(()));
    let error = templates.render(&request, template, ()).await.unwrap_err();
    assert!(
        error.status() != 500
            || error.kind() == TemplateErrorKind::Value
            || error.source().is_some()
    );
    error
}

#[tokio::test]
async fn an_error_says_what_and_where() {
    for (template, source, kind, text) in [
        ("none.html", "", TemplateErrorKind::Missing, "none.html"),
        (
            "page.html",
            "{% include 'part.html' %}",
            TemplateErrorKind::Missing,
            "part.html",
        ),
        (
            "page.html",
            "{% extends 'base.html' %}",
            TemplateErrorKind::Missing,
            "base.html",
        ),
        (
            "page.html",
            "\n{% if %}",
            TemplateErrorKind::Template,
            "page.html:2",
        ),
        (
            "page.html",
            "\n\n{{ user.profile.name }}",
            TemplateErrorKind::Template,
            "page.html:3",
        ),
        (
            "page.html",
            "{{ own|no_filter }}",
            TemplateErrorKind::Template,
            "no_filter",
        ),
        (
            "page.html",
            "{{ broken }}",
            TemplateErrorKind::Value,
            "no idea",
        ),
    ] {
        let error = error(template, source).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.status(), 500);
        assert!(!error.public_message().contains(text));
    }
}

#[tokio::test]
async fn a_visitor_reads_nothing_of_what_went_wrong() {
    let mut plan = Plan::new("{{ broken }}");
    plan.with = |templates| templates.with_processor(Broken);
    let answer = plan.build().await.visitor().get("/").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("internal"), "{}", answer.body);
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_and_no_anonymous_visitor() {
    for page in [
        "{{ user }}",
        "{{ user.is_authenticated }}",
        "{% if user.is_authenticated %}in{% else %}out{% endif %}",
        "{% if perms.shop %}in{% else %}out{% endif %}",
        "{% if 'shop.add_order' in perms %}in{% else %}out{% endif %}",
        "{% if request.user.is_staff %}in{% else %}out{% endif %}",
        "{{ user|default('nobody') }}{{ user|upper }}",
    ] {
        let site = Site::new(page).await;
        let mut user = site.user("clerk").await;
        site.gates.fail(When::Before, Operation::Load);
        let answer = user.get("/").await;
        assert_eq!(answer.status, 503, "{page}: {}", answer.body);
        assert_eq!(answer.headers["retry-after"], "2");
        site.gates.recover();
        assert_eq!(user.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn messages_that_cannot_be_read_are_a_503() {
    for page in [
        "{% for m in messages %}{{ m }}{% endfor %}",
        "{% if messages %}some{% else %}none{% endif %}",
        "{{ messages|length }}",
        "{{ messages }}",
    ] {
        let mut plan = Plan::new(page);
        plan.settings.message_storage = quintette::settings::MessageStorageName::Session;
        let site = plan.build().await;
        let mut visitor = site.visitor();
        visitor.is_told("Ordered", false).await;
        site.gates.fail(When::Before, Operation::Load);
        assert_eq!(visitor.get("/").await.status, 503, "{page}");
        site.gates.recover();
        assert!(
            visitor
                .page("/")
                .await
                .contains(if page.contains("length") {
                    "1"
                } else if page.contains("some") {
                    "some"
                } else {
                    "Ordered"
                })
        );
    }
}

#[test]
fn errors_of_stores_keep_their_status_and_their_source() {
    let error = TemplateError::from(SessionError::unavailable("Redis", "refused"));
    assert_eq!(error.kind(), TemplateErrorKind::Unavailable);
    assert_eq!((error.status(), error.retry_after()), (503, Some(2)));
    assert!(error.source().unwrap().is::<SessionError>());
    assert!(!error.public_message().contains("Redis"));
    let error = TemplateError::from(SessionError::interrupted());
    assert_eq!(
        (error.kind(), error.status()),
        (TemplateErrorKind::Request, 400)
    );
}
