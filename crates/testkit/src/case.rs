use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How a suite gets something new to test, for each case.
pub(crate) type Make<T> = Arc<dyn Fn() -> BoxFuture<Result<T, BoxError>> + Send + Sync>;

/// A case that has not ended by then waits for something that will never come.
const PATIENCE: Duration = Duration::from_mins(5);

/// One promise, and the test of it: a function that panics where the promise is broken.
pub(crate) struct Case<S> {
    name: &'static str,
    test: Arc<dyn Fn(S) -> Running + Send + Sync>,
}

/// Only a task needs to be `Send`; a case is the thread's own.
type Running = Pin<Box<dyn Future<Output = ()>>>;

/// A function as a case: its own name is the case's.
pub(crate) fn case<S, F, Fut>(test: F) -> Case<S>
where
    F: Fn(S) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let path = std::any::type_name::<F>();
    Case {
        name: path.rsplit("::").next().unwrap_or(path),
        test: Arc::new(move |subject| Box::pin(test(subject))),
    }
}

impl<S: 'static> Case<S> {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The test over something new, in a runtime of its own: as text, what went wrong.
    pub(crate) fn run(&self, make: &Make<S>) -> Result<(), String> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start a runtime: {error}"))?;
        let work = async {
            let subject = make()
                .await
                .map_err(|error| format!("there is nothing to test: {error}"))?;
            tokio::time::timeout(PATIENCE, (self.test)(subject))
                .await
                .map_err(|_| format!("it has not ended after {} s", PATIENCE.as_secs()))
        };
        std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)))
            .unwrap_or_else(|panic| Err(panic_message(&*panic)))
    }
}

/// What has to outlive a case, and nothing else.
pub(crate) struct Kept(
    #[expect(dead_code, reason = "held until it is dropped")] Box<dyn Any + Send>,
);

impl Kept {
    pub(crate) fn new(kept: impl Any + Send) -> Self {
        Self(Box::new(kept))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
        .to_owned()
}
