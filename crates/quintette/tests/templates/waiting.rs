use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use quintette::settings::Settings;
use quintette::templates::minijinja::{Environment, Value, context};
use quintette::templates::{ContextProcessor, TemplateError, TemplateRequest, Templates};
use quintette_testkit::{Operation, When};

use super::site::Site;

/// A value that takes a while.
struct Slow {
    names: [&'static str; 1],
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl ContextProcessor for Slow {
    fn names(&self) -> &[&str] {
        &self.names
    }

    async fn values(&self, _: &TemplateRequest) -> Result<Value, TemplateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        Ok(Value::from_pairs([(self.names[0], self.names[0])]))
    }
}

fn slow(names: &[&'static str]) -> (Templates, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (asked, rendered) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let mut environment = Environment::new();
    let counter = Arc::clone(&rendered);
    environment.add_function("begun", move || {
        counter.fetch_add(1, Ordering::Relaxed);
        ""
    });
    environment
        .add_template(
            "page.txt",
            "{{ begun() }}{% if one == 'one' %}{{ two }}{% else %}{{ three }}{% endif %}{{ one }}{{ two }}",
        )
        .unwrap();
    let templates = Templates::new(environment, Settings::new("a secret"));
    let templates = names.iter().fold(templates, |templates, name| {
        templates.with_processor(Slow {
            names: [name],
            asked: Arc::clone(&asked),
        })
    });
    (templates, asked, rendered)
}

fn request() -> TemplateRequest {
    TemplateRequest::from(&http::Request::new(()))
}

#[tokio::test]
async fn a_page_waits_for_each_value_once_and_is_whole() {
    let (templates, asked, rendered) = slow(&["one", "two", "three"]);
    let page = templates.render(&request(), "page.txt", ()).await.unwrap();
    assert_eq!(page, "twoonetwo");
    // `three` stands where a page without `one` would come to, and no page is.
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(rendered.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn each_page_asks_anew() {
    let (templates, asked, _) = slow(&["one", "two"]);
    for pages in 1..4 {
        let page = templates.render(&request(), "page.txt", ()).await.unwrap();
        assert_eq!(page, "twoonetwo");
        assert_eq!(asked.load(Ordering::Relaxed), 2 * pages);
    }
}

#[tokio::test]
async fn what_the_view_gives_is_not_waited_for() {
    let (templates, asked, rendered) = slow(&["one", "two"]);
    let own = context! { one => "one", two => 2 };
    let page = templates.render(&request(), "page.txt", own).await.unwrap();
    assert_eq!(page, "2one2");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(rendered.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_page_waits_while_the_store_takes_its_time() {
    let site =
        Site::new("{{ own }}, {{ user }}, {{ messages|length }}, {{ perms.shop.add_order }}").await;
    let mut user = site.user("clerk").await;
    let mut gate = site.gates.hold(When::Before, Operation::Load);
    let page = tokio::spawn(async move { user.page("/").await });
    gate.reached().await;
    assert!(!page.is_finished());
    gate.open();
    assert_eq!(page.await.unwrap(), "the view&#x27;s, clerk, 0, True");
    assert_eq!(site.counter.take_calls(), [Operation::Load]);
}

#[tokio::test]
async fn a_page_that_nobody_waits_for_any_more_shows_no_messages() {
    let site = Site::new("{% for m in messages %}{{ m }}{% endfor %}{{ user }}").await;
    let mut user = site.user("clerk").await;
    user.is_told("Read me", false).await;
    let gate = site.gates.hold(When::Before, Operation::Load);
    let mut impatient = site.visitor();
    impatient.cookies = user.cookies.clone();
    tokio::select! {
        biased;
        _ = impatient.get("/") => panic!("the store is held"),
        () = tokio::task::yield_now() => {}
    }
    drop(gate);
    assert_eq!(user.page("/").await, "Read meclerk");
}
