//! A worker and a beat inside the shop's process.

use std::sync::Arc;
use std::time::Duration;

use quintette_tasks::beat::{Beat, FileStore};
use quintette_tasks::worker::Worker;
use quintette_tasks::{SendError, Signature};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Jobs, MAIL_QUEUE, QUEUE_FORGOTTEN, SALES_REPORT, Tools, confirmation};
use crate::config::JobsConfig;

/// How many tasks run at once beside the visitors' requests.
const CONCURRENCY: usize = 2;
/// How often the confirmations are looked for that could not be queued.
const FORGOTTEN: Duration = Duration::from_mins(1);
/// How long tasks may take to end, once the shop closes. Those that do not end run again.
const GRACE: Duration = Duration::from_secs(5);

/// What runs beside the pages, until it is [stopped](Self::stop).
#[derive(Debug)]
#[must_use = "dropped, it ends at once"]
pub struct Background {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
}

impl Background {
    /// Begins: the schedule, and a worker where the settings want one in this process.
    pub(crate) fn start(
        jobs: &Jobs,
        tools: &Tools,
        config: &JobsConfig,
    ) -> Result<Self, SendError> {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        let report = SALES_REPORT.s((None,))?;
        let forgotten = QUEUE_FORGOTTEN.s(())?.expires_in(FORGOTTEN);
        running.spawn(beat(jobs, config, report, forgotten).run(wait(stopped.clone())));
        // At once, and then on the schedule.
        let (jobs_now, store) = (jobs.clone(), tools.store.clone());
        running.spawn(async move {
            if let Err(error) = confirmation::queue_forgotten(&jobs_now, &store).await {
                tracing::error!("forgotten confirmations cannot be looked for: {error}");
            }
        });
        if config.works_here {
            let worker = worker(jobs, tools).concurrency(CONCURRENCY);
            running.spawn(async move {
                if let Err(error) = worker.run_until(wait(stopped)).await {
                    tracing::error!("no tasks are run: {error}");
                }
            });
        }
        Ok(Self { stop, running })
    }

    /// Lets what runs end, for a few seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("some tasks did not end in time, and will run again");
        }
    }
}

/// A worker of the shop's queues.
pub(super) fn worker(jobs: &Jobs, tools: &Tools) -> Worker {
    let default = &jobs.app.settings().task_default_queue;
    Worker::new(jobs.app.clone(), tools.tasks()).queues([default.as_str(), MAIL_QUEUE])
}

/// Several shops over one `SHOP_DATA` share its file, and one of them leads.
fn beat(jobs: &Jobs, config: &JobsConfig, report: Signature, forgotten: Signature) -> Beat {
    let store = Arc::new(FileStore::new(&config.beat_file));
    Beat::new(&jobs.app, "shop", store)
        .schedule(
            "nightly-sales-report",
            config.report_schedule.clone(),
            report,
        )
        .schedule("forgotten-confirmations", FORGOTTEN, forgotten)
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error is the end of whoever could stop it.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
