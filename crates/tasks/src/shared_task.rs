//! What `#[shared_task]` makes of a function.

use serde::Serialize;

use crate::error::TaskError;
use crate::task::Task;
use crate::worker::Tasks;

/// A task that is a function: the value that [`#[shared_task]`](macro@crate::shared_task) puts in the function's place.
pub trait SharedTask: Copy + Send + Sync + 'static {
    /// The function's parameters, as a tuple.
    type Args;
    /// What it returns where it does not fail.
    type Output;

    /// The task of the plain API.
    fn task(self) -> &'static Task<Self::Args, Self::Output>;

    /// These tasks, and this one: what [`Tasks::shared`] calls.
    #[must_use]
    fn register(self, tasks: Tasks) -> Tasks;
}

impl Tasks {
    /// A task that `#[shared_task]` has made of a function.
    ///
    /// ```
    /// use quintette_tasks::worker::Tasks;
    /// use quintette_tasks::{TaskError, shared_task};
    ///
    /// #[shared_task(name = "shop.add")]
    /// async fn add(x: i64, y: i64) -> Result<i64, TaskError> {
    ///     Ok(x + y)
    /// }
    ///
    /// let tasks = Tasks::new().shared(add);
    /// assert_eq!(tasks.names().collect::<Vec<_>>(), ["shop.add"]);
    /// ```
    #[must_use]
    pub fn shared(self, task: impl SharedTask) -> Self {
        task.register(self)
    }
}

/// What a task's function may return: a `Result`.
#[diagnostic::on_unimplemented(
    message = "a task returns a Result whose value can be written as JSON, not `{Self}`",
    label = "no result of a task",
    note = "write `-> Result<T, TaskError>`, with a `T` that implements `Serialize`"
)]
pub trait TaskReturn {
    /// The value.
    type Output;

    /// The value, or why there is none.
    ///
    /// # Errors
    ///
    /// The function's own.
    fn into_result(self) -> Result<Self::Output, TaskError>;
}

impl<T: Serialize, E: Into<TaskError>> TaskReturn for Result<T, E> {
    type Output = T;

    fn into_result(self) -> Result<T, TaskError> {
        self.map_err(Into::into)
    }
}

/// Makes a function a task: in its place comes a value of the same name, over the plain [`Task`].
///
/// ```
/// use quintette_tasks::{App, SendError, TaskError, shared_task};
///
/// /// The sum.
/// #[shared_task(name = "shop.add", max_retries = 5, acks_late)]
/// async fn add(x: i64, y: i64) -> Result<i64, TaskError> {
///     Ok(x + y)
/// }
///
/// #[shared_task(name = "shop.greet", queue = "mail")]
/// fn greet(name: String, title: Option<String>) -> Result<String, TaskError> {
///     Ok(format!("Dear {} {name}", title.unwrap_or_default()))
/// }
///
/// async fn order(app: &App) -> Result<(), SendError> {
///     let sum = add.delay(app, 2, 3).await?;
///     println!("the sum will be that of {}", sum.id());
///     greet.delay(app, "Kim".to_owned(), None).await?;
///     app.send(&add.s(2, 3)?.option("countdown", 10)).await?;
///     Ok(())
/// }
///
/// assert_eq!(add.name(), "shop.add");
/// assert_eq!(greet.parameters(), ["name", "title?"]);
/// assert_eq!(greet::run("Kim".to_owned(), None).unwrap(), "Dear  Kim");
/// ```
///
/// Python may give arguments by the names of the parameters, and leave out those that are an `Option`. An `async fn` runs among the
/// others; a `fn` is a blocking task, on a thread of its own. It returns a `Result`: of what can be written as JSON, and of an error
/// that can become a [`TaskError`], as any [`std::error::Error`] can. Where the first parameter is `&Context` or `Context`, it is
/// given the call's, as with Celery's `bind=True`. `run` is the function itself, for tests. The name is that of a constant, so that no
/// variable of the same module can have it.
///
/// | option | Celery's | here |
/// | --- | --- | --- |
/// | `name = "shop.add"` | `name` | must be there |
/// | `bind` | `bind=True` | says what the parameter `&Context` says |
/// | `acks_late`, `ignore_result`, `track_started` | the same | flags |
/// | `autoretry` | `autoretry_for=(Exception,)` | a flag |
/// | `max_retries = 5` | the same | or `None`, for ever |
/// | `default_retry_delay = 30`, `retry_backoff = 0.5`, `retry_backoff_max = 60` | the same | seconds |
/// | `retry_jitter = false` | the same | |
/// | `time_limit = 60`, `soft_time_limit = 50` | the same | seconds |
/// | `rate_limit = "10/m"`, `queue = "mail"`, `priority = 3` | the same | |
///
/// What can be no task is an error of the compiler, at its place:
///
/// ```compile_fail
/// use quintette_tasks::{TaskError, shared_task};
///
/// // A task owns its arguments: write String for &str, Vec<T> for &[T].
/// #[shared_task(name = "shop.greet")]
/// async fn greet(name: &str) -> Result<(), TaskError> {
///     Ok(())
/// }
/// ```
pub use quintette_macros::shared_task;
