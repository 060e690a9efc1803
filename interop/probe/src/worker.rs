//! `probe worker`: the contract's tasks.

use std::error::Error;
use std::time::Duration;

use quintette::json::RawJson;
use quintette_tasks::worker::{Context, Tasks, Worker};
use quintette_tasks::{Arguments, Exception, Task, TaskError};
use serde::{Deserialize, Serialize};

use crate::arguments::{Flags, app};

static ADD: Task<(Number, Number), Number> = Task::new("probe.add", &["x", "y"]);
static MUL: Task<(Number, Number), Number> = Task::new("probe.mul", &["x", "y"]);
static TSUM: Task<(Vec<Number>,), Number> = Task::new("probe.tsum", &["numbers"]);
static FAIL: Task<(RawJson,), ()> = Task::new("probe.fail", &["message"]);
static FLAKY: Task<(u32,), u32> = Task::new("probe.flaky", &["times"]);
static SLEEP: Task<(f64,), ()> = Task::new("probe.sleep", &["seconds"]);
static NOOP: Task<(), ()> = Task::new("probe.noop", &[]);

/// As Python has them: one kind of number, whole ones as long as they can be.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Fraction(f64),
}

pub(crate) async fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse(arguments)?;
    let mut worker = Worker::new(app()?, tasks());
    if let Some(queues) = flags.get("queues") {
        worker = worker.queues(queues.split(','));
    }
    if let Some(concurrency) = flags.number("concurrency")? {
        worker = worker.concurrency(concurrency);
    }
    if let Some(name) = flags.get("hostname") {
        worker = worker.hostname(name);
    }
    Ok(worker.run().await?)
}

fn tasks() -> Tasks {
    Tasks::new()
        .with(&ADD, |_: Context, (x, y)| async move { Ok(x.plus(y)) })
        .with(&MUL, |_: Context, (x, y)| async move { Ok(x.times(y)) })
        .with(&TSUM, |_: Context, (numbers,)| async move {
            Ok(numbers.into_iter().fold(Number::Whole(0), Number::plus))
        })
        .with_any("probe.echo", |_, Arguments { args, kwargs }| async move {
            Ok((args, kwargs))
        })
        .with(&FAIL, |_: Context, (message,)| async move {
            Err(TaskError::Failure(Exception {
                exc_message: vec![message],
                ..Exception::new("ValueError", "")
            }))
        })
        .with(&FLAKY, |context: Context, (times,)| async move {
            if context.retries() < times {
                return Err(TaskError::Retry {
                    cause: Exception::new("ConnectionError", "not yet"),
                    countdown: Some(Duration::ZERO),
                });
            }
            Ok(context.retries())
        })
        .with(&SLEEP, |_: Context, (seconds,)| async move {
            tokio::time::sleep(Duration::try_from_secs_f64(seconds)?).await;
            Ok(())
        })
        .with(&NOOP, |_: Context, ()| async { Ok(()) })
}

impl Number {
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(x), Self::Whole(y)) => Self::Whole(x.saturating_add(y)),
            (x, y) => Self::Fraction(x.as_fraction() + y.as_fraction()),
        }
    }

    fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(x), Self::Whole(y)) => Self::Whole(x.saturating_mul(y)),
            (x, y) => Self::Fraction(x.as_fraction() * y.as_fraction()),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "as Python adds a whole number to a fraction"
    )]
    fn as_fraction(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }
}
