//! Quintette's side of `benches/tasks`, by the settings `CELERY_BROKER_URL` and `CELERY_RESULT_BACKEND`.
//!
//! `tasks worker CONCURRENCY`, `tasks enqueue one|many COUNT` and `tasks eta COUNT`.

use std::time::Duration;

use quintette_benches::begin::{Failure, begin, ended, parameters};
use quintette_tasks::worker::{Context, Tasks, Worker};
use quintette_tasks::{App, Task, TaskSettings};

static NOOP: Task<(), ()> = Task::new("benches.noop", &[]);

/// Messages of `many` that are on their way together.
const TOGETHER: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let app = App::new(TaskSettings::loader().environment().load_celery()?)?;
    let [command, how, count] = parameters();
    match (command.as_str(), how.as_str()) {
        ("worker", concurrency) => {
            let tasks = Tasks::new().with(&NOOP, |_: Context, ()| async { Ok(()) });
            let worker = Worker::new(app, tasks).concurrency(concurrency.parse()?);
            Ok(worker.run().await?)
        }
        ("enqueue", "one") => {
            begin();
            for _ in 0..count.parse()? {
                NOOP.delay(&app, ()).await?;
            }
            ended()
        }
        ("enqueue", "many") => {
            begin();
            send(&app, NOOP.s(())?, count.parse()?).await?;
            ended()
        }
        ("eta", count) => {
            begin();
            let later = NOOP.s(())?.countdown(Duration::from_secs(3_600));
            send(&app, later, count.parse()?).await?;
            ended()
        }
        _ => Err("tasks worker CONCURRENCY | enqueue one|many COUNT | eta COUNT".into()),
    }
}

async fn send(app: &App, call: quintette_tasks::Signature, count: usize) -> Result<(), Failure> {
    for first in (0..count).step_by(TOGETHER) {
        app.send_all(&vec![call.clone(); TOGETHER.min(count - first)])
            .await?;
    }
    Ok(())
}
