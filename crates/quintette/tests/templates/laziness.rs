use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quintette::templates::minijinja::TemplateSource;
use quintette_testkit::Operation;

use super::site::{Plan, Site};

#[tokio::test]
async fn a_page_that_names_nothing_costs_nothing() {
    let site = Site::new("{{ own }} {{ items|length }}").await;
    let mut user = site.user("clerk").await;
    let answer = user.get("/").await;
    assert_eq!(answer.body, "the view&#x27;s 2");
    answer.assert_same_for_all();
    assert!(site.counter.take_calls().is_empty());
    assert_eq!(site.users.take_calls(), (0, 0));
}

#[tokio::test]
async fn what_a_page_does_not_come_to_costs_nothing() {
    let site = Site::new(
        "{% if own == 'another' %}{{ user }}{{ perms.shop }}{{ messages|length }}{{ csrf_input }}{% endif %}\
         {{ request.path }}{{ debug }}{% if user %}{% set somebody = user %}{% endif %}",
    )
    .await;
    let mut user = site.user("clerk").await;
    let answer = user.get("/here").await;
    assert_eq!(answer.body, "&#x2f;hereFalse");
    answer.assert_same_for_all();
    assert!(site.counter.take_calls().is_empty());
    assert_eq!(site.users.take_calls(), (0, 0));
}

#[tokio::test]
async fn a_page_that_asks_for_the_user_loads_session_and_user_once() {
    let site = Site::new(
        "{{ user }} {{ user.email }} {{ request.user.username }} {{ user.is_authenticated }}",
    )
    .await;
    let mut user = site.user("clerk").await;
    let answer = user.get("/").await;
    assert_eq!(answer.body, "clerk mail@example.com clerk True");
    assert_eq!(answer.headers["vary"], "Cookie");
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    assert_eq!(site.users.take_calls(), (1, 0));
}

#[tokio::test]
async fn a_page_that_asks_for_permissions_loads_them_once() {
    let site = Site::new(
        "{{ perms.shop.add_order }} {{ perms.shop.eat }} {{ perms.zoo.feed }} {{ user }}",
    )
    .await;
    assert_eq!(
        site.user("clerk").await.page("/").await,
        "True False True clerk"
    );
    assert_eq!(site.users.take_calls(), (1, 1));
    // A superuser's are not even looked up.
    assert_eq!(
        site.user("root").await.page("/").await,
        "True True True root"
    );
    assert_eq!(site.users.take_calls(), (1, 0));
}

#[tokio::test]
async fn what_is_named_elsewhere_is_found_as_well() {
    let plan = Plan::new(
        "{% extends 'base.html' %}{% from 'forms.html' import form %}\
         {% block main %}{{ form() }}{% include own_part|default('part.html') %}{% endblock %}",
    );
    let site = plan
        .and("base.html", "<{{ user }}>{% block main %}{% endblock %}")
        .and("part.html", "[{{ perms.shop.add_order }}]")
        .and(
            "forms.html",
            "{% macro form() %}({{ request.path }}){% endmacro %}",
        )
        .build()
        .await;
    let mut user = site.user("clerk").await;
    assert_eq!(user.page("/x").await, "<clerk>(&#x2f;x)[True]");
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
    assert_eq!(site.users.take_calls(), (1, 1));
}

#[tokio::test]
async fn a_name_that_the_template_takes_for_itself_is_not_looked_up() {
    let site = Site::new(
        "{% set user = 'mine' %}{{ user }}{% for messages in items %}{{ messages }}{% endfor %}",
    )
    .await;
    let mut user = site.user("clerk").await;
    let answer = user.get("/").await;
    assert_eq!(answer.body, "mine12");
    answer.assert_same_for_all();
    assert!(site.counter.take_calls().is_empty());
}

#[tokio::test]
async fn a_name_is_looked_up_before_the_template_takes_it() {
    let site = Site::new("{% with user = user.email %}{{ user }}{% endwith %}").await;
    assert_eq!(site.user("clerk").await.page("/").await, "mail@example.com");
}

#[tokio::test]
async fn a_macro_asks_for_a_user_only_when_it_is_called() {
    let plan = Plan::new("{% from 'macros.html' import greeting %}{% if request.GET.greet %}{{ greeting() }}{% endif %}")
        .and(
            "macros.html",
            "{% macro greeting() %}{{ user }}{{ perms.shop.add_order }}{{ messages|length }}{% endmacro %}",
        );
    let site = plan.build().await;
    let mut user = site.user("clerk").await;
    user.get("/").await.assert_same_for_all();
    assert!(site.counter.take_calls().is_empty());
    assert_eq!(user.page("/?greet=1").await, "clerkTrue0");
}

#[tokio::test]
async fn a_template_that_is_changed_and_loaded_again_names_what_it_names_then() {
    let changed = Arc::new(AtomicBool::new(false));
    let mut plan = Plan::new("{% include 'part.html' %}");
    let is_changed = Arc::clone(&changed);
    plan.environment.set_loader(move |_| {
        let is_changed = Arc::clone(&is_changed);
        let loaded = is_changed.load(Ordering::Relaxed);
        let source = TemplateSource::new(if loaded { "{{ user }}" } else { "nobody" });
        let is_current = move || is_changed.load(Ordering::Relaxed) == loaded;
        Ok(Some(source.with_uptodate_check(is_current)))
    });
    let site = plan.build().await;
    let mut user = site.user("clerk").await;
    assert_eq!(user.page("/").await, "nobody");
    assert!(site.counter.take_calls().is_empty());
    changed.store(true, Ordering::Relaxed);
    assert_eq!(user.page("/").await, "clerk");
}
