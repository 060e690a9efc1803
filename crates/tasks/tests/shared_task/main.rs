//! `#[shared_task]`: what the functions become.

use std::time::Duration;

use quintette_core::json::RawJson;
use quintette_tasks::worker::{Context, Tasks};
use quintette_tasks::{SharedTask as _, TaskError, shared_task};

/// The sum.
#[shared_task(name = "shop.add", max_retries = 5, acks_late, retry_backoff = 0.5)]
async fn add(x: i64, y: i64) -> Result<i64, TaskError> {
    Ok(x + y)
}

/// A blocking one, with a parameter that may be absent.
#[shared_task(name = "shop.greet", queue = "mail", retry_jitter = false)]
fn greet(name: String, title: Option<String>) -> Result<String, TaskError> {
    let title = title.map(|title| format!("{title} ")).unwrap_or_default();
    Ok(format!("Dear {title}{name}"))
}

#[shared_task(name = "shop.whoami", bind, max_retries = None, time_limit = 60)]
async fn whoami(context: &Context) -> Result<String, std::num::ParseIntError> {
    "1".parse::<i64>()?;
    tokio::task::yield_now().await;
    Ok(context.id().to_owned())
}

/// Its parameters have the names that the attribute uses itself.
#[shared_task(name = "shop.names")]
fn names(_owned: Context, app: i64, context: i64, r#type: i64) -> Result<[i64; 3], TaskError> {
    Ok([app, context, r#type])
}

#[shared_task(name = "shop.fails")]
async fn fails(text: String) -> Result<i64, std::num::ParseIntError> {
    text.parse()
}

fn tasks() -> Tasks {
    Tasks::new()
        .shared(add)
        .shared(greet)
        .shared(whoami)
        .shared(names)
        .shared(fails)
}

#[test]
fn the_options_are_those_of_the_plain_api() {
    assert_eq!(add.name(), "shop.add");
    assert_eq!(add.parameters(), ["x", "y"]);
    let options = add.options();
    assert_eq!(options.max_retries, Some(5));
    assert_eq!(options.acks_late, Some(true));
    assert_eq!(options.retry_backoff, Some(Duration::from_millis(500)));
    assert!(options.retry_jitter);

    assert_eq!(greet.parameters(), ["name", "title?"]);
    assert_eq!(greet.task().options().queue, Some("mail"));
    assert!(!greet.options().retry_jitter);
    assert_eq!(whoami.parameters(), [""; 0]);
    assert_eq!(whoami.options().max_retries, None);
    assert_eq!(whoami.options().time_limit, Some(Duration::from_mins(1)));
    assert_eq!(names.parameters(), ["app", "context", "type"]);
}

#[test]
fn a_worker_knows_them_by_their_names() {
    let known: Vec<&str> = tasks().names().collect();
    assert_eq!(
        known,
        [
            "shop.add",
            "shop.fails",
            "shop.greet",
            "shop.names",
            "shop.whoami"
        ]
    );
    assert_eq!(tasks().options("shop.add").unwrap().acks_late, Some(true));
}

#[test]
fn a_call_is_a_signature_with_the_arguments() {
    let signature = greet.s("Kim".to_owned(), None).unwrap();
    assert_eq!(signature.task, "shop.greet");
    assert_eq!(signature.options["queue"], "mail");
    let args: Vec<&str> = signature.args.iter().map(RawJson::as_str).collect();
    assert_eq!(args, ["\"Kim\"", "null"]);
}

#[tokio::test]
async fn the_function_can_be_run_as_it_is() {
    assert_eq!(add::run(2, 3).await.unwrap(), 5);
    let greeting = greet::run("Kim".to_owned(), Some("Dr".to_owned()));
    assert_eq!(greeting.unwrap(), "Dear Dr Kim");
}
