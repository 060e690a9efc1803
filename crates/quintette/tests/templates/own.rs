use async_trait::async_trait;
use quintette::templates::minijinja::{Value, context};
use quintette::templates::{ContextProcessor, TemplateError, TemplateRequest};
use quintette_testkit::Operation;

use super::site::Plan;

/// From the session, and over names that are taken.
struct Cart;

#[async_trait]
impl ContextProcessor for Cart {
    fn names(&self) -> &[&str] {
        &["cart_count", "own", "debug", "MEDIA_URL", "user"]
    }

    async fn values(&self, request: &TemplateRequest) -> Result<Value, TemplateError> {
        let session = request.session().expect("a session");
        let cart: Option<u64> = session.get("cart").await?;
        Ok(context! {
            cart_count => cart.unwrap_or(0),
            own => "the processor's",
            debug => "the processor's",
            secret => "not announced",
        })
    }
}

fn plan(page: &'static str) -> Plan {
    let mut plan = Plan::new(page);
    plan.with = |templates| templates.with_processor(Cart);
    plan
}

#[tokio::test]
async fn an_application_has_processors_of_its_own() {
    let site = plan("{{ cart_count }} {{ cart_count }}").build().await;
    let mut user = site.user("clerk").await;
    assert_eq!(user.page("/").await, "0 0");
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
}

#[tokio::test]
async fn a_processor_whose_names_are_not_used_is_not_asked() {
    let site = plan("{{ secret }}{{ csrf_token|length }}{{ request.method }}")
        .build()
        .await;
    let mut user = site.user("clerk").await;
    assert_eq!(user.page("/").await, "64GET");
    assert!(site.counter.take_calls().is_empty());
}

#[tokio::test]
async fn the_view_counts_over_processors_and_a_later_processor_over_an_earlier() {
    let site = plan("{{ own }}|{{ debug }}|{{ user }}").build().await;
    assert_eq!(
        site.page().await,
        "the view&#x27;s|the processor&#x27;s|AnonymousUser"
    );
}

#[tokio::test]
async fn the_own_ones_stay_when_djangos_are_chosen() {
    let mut plan = plan("{{ cart_count }} {{ TIME_ZONE }} [{{ request }}] {{ csrf_token|length }}");
    plan.with = |templates| {
        let chosen = ["django.template.context_processors.tz"];
        let templates = templates.with_processor(Cart);
        templates.with_context_processors(chosen).unwrap()
    };
    let page = plan.build().await.page().await;
    assert_eq!(page, "0 America&#x2f;Chicago [] 64");
}
