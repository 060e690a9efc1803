//! `#[shared_task]`, from the function to the result of a call, over the broker in memory.

use std::time::Duration;

use quintette_core::json::RawJson;
use quintette_tasks::worker::{Context, Tasks, Worker};
use quintette_tasks::{
    App, AsyncResult, SharedTask as _, Signature, TaskError, TaskSettings, shared_task,
};
use serde::de::DeserializeOwned;

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
    assert_eq!(signature.options.text("queue").as_deref(), Some("mail"));
    let args: Vec<&str> = signature.args.iter().map(RawJson::as_str).collect();
    assert_eq!(args, ["\"Kim\"", "null"]);
}

#[tokio::test]
async fn the_function_can_be_run_as_it_is() {
    assert_eq!(add::run(2, 3).await.unwrap(), 5);
    let greeting = greet::run("Kim".to_owned(), Some("Dr".to_owned()));
    assert_eq!(greeting.unwrap(), "Dear Dr Kim");
}

async fn result<T: DeserializeOwned>(sent: AsyncResult<T>) -> Result<T, String> {
    let got = sent.get(Some(Duration::from_secs(30))).await;
    got.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_run_with_the_types_of_their_functions() {
    let mut settings = TaskSettings::default();
    settings.result_backend = Some(quintette_core::settings::SecretUrl::new("memory://"));
    let app = App::new(settings).unwrap();
    let worker = Worker::new(app.clone(), tasks()).queues(["celery", "mail"]);
    let running = tokio::spawn(worker.run());

    assert_eq!(result(add.delay(&app, 2, 3).await.unwrap()).await, Ok(5));
    let sent = greet.delay(&app, "Kim".to_owned(), None).await.unwrap();
    assert_eq!(result(sent).await.as_deref(), Ok("Dear Kim"));
    let sent = whoami.delay(&app).await.unwrap();
    let id = sent.id().to_owned();
    assert_eq!(result(sent).await, Ok(id));
    assert_eq!(
        result(names.delay(&app, 1, 2, 3).await.unwrap()).await,
        Ok([1, 2, 3])
    );

    let sent = fails.delay(&app, "one".to_owned()).await.unwrap();
    let error = result(sent).await.unwrap_err();
    assert!(error.contains("ParseIntError"), "{error}");

    // As Python calls it: by the names of the parameters.
    let by_name = Signature::new("shop.greet").queue("mail");
    let by_name = by_name
        .kwarg("title", "Ms")
        .unwrap()
        .kwarg("name", "Lee")
        .unwrap();
    let sent = app.send(&by_name).await.unwrap().typed::<String>();
    assert_eq!(result(sent).await.as_deref(), Ok("Dear Ms Lee"));
    let missing = Signature::new("shop.greet").queue("mail");
    let sent = app.send(&missing).await.unwrap().typed::<String>();
    let error = result(sent).await.unwrap_err();
    assert!(error.contains("'name'"), "{error}");
    running.abort();
}
