use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use quintette_core::json::RawJson;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::Context;
use crate::arguments::Arguments;
use crate::error::{Exception, TaskError};
use crate::task::{Task, TaskOptions};

type Outcome = Result<RawJson, TaskError>;

/// The tasks that a worker knows. Celery's `app.tasks`.
///
/// ```
/// use quintette_tasks::worker::{Context, Tasks};
/// use quintette_tasks::{Arguments, Task, TaskError};
///
/// static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);
///
/// let tasks = Tasks::new()
///     .with(&ADD, |_: Context, (x, y)| async move { Ok(x + y) })
///     .with_any("shop.count", |_, arguments: Arguments| async move { Ok(arguments.args.len()) });
/// assert_eq!(tasks.names().collect::<Vec<_>>(), ["shop.add", "shop.count"]);
/// ```
#[derive(Clone, Default)]
pub struct Tasks {
    by_name: Arc<HashMap<&'static str, Arc<Registered>>>,
}

/// A task that a worker knows.
pub(crate) struct Registered {
    pub(crate) options: TaskOptions,
    pub(crate) run: Run,
}

/// How a task is run.
pub(crate) enum Run {
    Async(Box<dyn Fn(Context) -> BoxFuture<'static, Outcome> + Send + Sync>),
    Blocking(Box<dyn Fn(Context) -> Outcome + Send + Sync>),
}

impl Tasks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// A task that waits for what it needs: it shares threads with others, and must not block them.
    #[must_use]
    pub fn with<A, R, F, Fut>(self, task: &Task<A, R>, run: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        R: Serialize + 'static,
        F: Fn(Context, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        let (name, parameters) = (task.name(), task.parameters());
        let run = move |context: Context| -> BoxFuture<'static, Outcome> {
            match bind(&context, name, parameters) {
                Ok(arguments) => {
                    let running = run(context, arguments);
                    Box::pin(async move { written(&running.await?) })
                }
                Err(error) => Box::pin(std::future::ready(Err(error))),
            }
        };
        self.insert(name, task.options(), Run::Async(Box::new(run)))
    }

    /// A task that computes, or that calls what blocks: it has a thread of its own while it runs.
    ///
    /// A thread cannot be ended from outside. At its hard time limit the task is marked as failed, and the thread goes on, in its place among the
    /// concurrent ones, until it returns: look at [`Context::is_revoked`] and [`Context::soft_time_limit_exceeded`] in long loops.
    #[must_use]
    pub fn with_blocking<A, R, F>(self, task: &Task<A, R>, run: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        R: Serialize + 'static,
        F: Fn(Context, A) -> Result<R, TaskError> + Send + Sync + 'static,
    {
        let (name, parameters) = (task.name(), task.parameters());
        let run = move |context: Context| {
            let arguments = bind(&context, name, parameters)?;
            written(&run(context, arguments)?)
        };
        self.insert(name, task.options(), Run::Blocking(Box::new(run)))
    }

    /// A task that takes whatever it is called with: `*args, **kwargs`.
    #[must_use]
    pub fn with_any<R, F, Fut>(self, name: &'static str, run: F) -> Self
    where
        R: Serialize + 'static,
        F: Fn(Context, Arguments) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        self.with_any_options(name, TaskOptions::DEFAULT, run)
    }

    /// As [`with_any`](Self::with_any), with how it is run.
    #[must_use]
    pub fn with_any_options<R, F, Fut>(
        self,
        name: &'static str,
        options: TaskOptions,
        run: F,
    ) -> Self
    where
        R: Serialize + 'static,
        F: Fn(Context, Arguments) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        let run = move |context: Context| -> BoxFuture<'static, Outcome> {
            let arguments = context.arguments().clone();
            let running = run(context, arguments);
            Box::pin(async move { written(&running.await?) })
        };
        self.insert(name, options, Run::Async(Box::new(run)))
    }

    fn insert(mut self, name: &'static str, options: TaskOptions, run: Run) -> Self {
        let by_name = Arc::make_mut(&mut self.by_name);
        by_name.insert(name, Arc::new(Registered { options, run }));
        self
    }

    /// Both; where a name is in both, `other`'s.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        let by_name = Arc::make_mut(&mut self.by_name);
        for (name, task) in &*other.by_name {
            by_name.insert(name, task.clone());
        }
        self
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let mut names: Vec<_> = self.by_name.keys().copied().collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// How a task is run; `None` for one that is not known.
    pub fn options(&self, name: &str) -> Option<TaskOptions> {
        self.by_name.get(name).map(|task| task.options)
    }

    /// Runs a task within another one, which waits for it.
    pub(crate) async fn call(
        &self,
        context: &Context,
        name: &str,
        arguments: Arguments,
    ) -> Outcome {
        let Some(task) = self.find(name).cloned() else {
            return Err(TaskError::failure("NotRegistered", name));
        };
        let context = context.calling(arguments);
        if let Run::Async(run) = &task.run {
            return run(context).await;
        }
        let blocking = tokio::task::spawn_blocking(move || match &task.run {
            Run::Blocking(run) => run(context),
            Run::Async(_) => Err(TaskError::Ignore),
        });
        blocking.await.unwrap_or_else(|error| Err(error.into()))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Registered>> {
        self.by_name.get(name)
    }
}

/// The arguments as the handler takes them, or Python's `TypeError`.
fn bind<A: DeserializeOwned>(
    context: &Context,
    name: &str,
    parameters: &[&str],
) -> Result<A, TaskError> {
    let bound = context.arguments().bind(name, parameters);
    bound.map_err(|error| TaskError::failure("TypeError", error))
}

fn written<R: Serialize>(result: &R) -> Outcome {
    RawJson::from_value(result).map_err(|error| {
        TaskError::Failure(Exception {
            exc_module: "kombu.exceptions".to_owned(),
            ..Exception::new(
                "EncodeError",
                format_args!("the result cannot be written as JSON: {error}"),
            )
        })
    })
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
