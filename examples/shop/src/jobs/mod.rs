//! Work that no visitor waits for: tasks, in a queue that Celery's workers share.
//!
//! This module says which tasks there are, and calls them. What they do is in a file each.

mod background;
mod confirmation;
pub(crate) mod price_import;
pub(crate) mod report;
pub mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::NaiveDate;
use quintette_tasks::canvas::group;
use quintette_tasks::worker::Tasks;
use quintette_tasks::{App, AsyncResult, GroupResult, Signature, Task, TaskError};

use crate::config::{Config, StartError};
use crate::error::ShopError;
use crate::post::PostOffice;
use crate::store::Store;
pub use background::Background;
use price_import::{Imported, Line};
use report::Report;

/// Where confirmations wait. A queue of their own, so that a worker of Python's can take them and nothing else.
pub(crate) const MAIL_QUEUE: &str = "mail";

/// Sends the confirmation of the order with this number. Acknowledged late: one whose worker dies is sent by another.
pub(crate) static SEND_CONFIRMATION: Task<(String,), ()> =
    Task::new("shop.tasks.send_confirmation", &["number"])
        .queue(MAIL_QUEUE)
        .acks_late()
        .ignore_result()
        .autoretry()
        .retry_backoff(Duration::from_secs(2))
        .max_retries(8);

/// Queues the confirmations of the orders that were placed while the broker was away. Returns how many.
pub(crate) static QUEUE_FORGOTTEN: Task<(), usize> =
    Task::new("shop.tasks.queue_forgotten", &[]).acks_late();

/// Writes the sales report of a day (`2026-11-26`): of yesterday, where none is given.
pub(crate) static SALES_REPORT: Task<(Option<NaiveDate>,), Report> =
    Task::new("shop.tasks.sales_report", &["day?"])
        .acks_late()
        .autoretry()
        .retry_backoff(Duration::from_secs(5));

/// Changes prices, as the lines of a part of a list say.
pub(crate) static IMPORT_PRICES: Task<(Vec<Line>,), Imported> =
    Task::new("shop.tasks.import_prices", &["lines"])
        .acks_late()
        .autoretry()
        .retry_backoff(Duration::from_secs(1));

/// How long a visitor waits for the broker at the most.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the tasks work with. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) store: Store,
    pub(crate) post: PostOffice,
    /// The directory of the sales reports.
    pub(crate) reports: PathBuf,
    /// How many tries have failed, for whoever watches.
    failures: Arc<AtomicU64>,
}

impl Tools {
    pub(crate) fn of(config: &Config, store: Store) -> Result<Self, StartError> {
        Ok(Self {
            store,
            post: config.jobs.post_office(&config.data_directory)?,
            reports: reports_directory(&config.data_directory),
            failures: Arc::default(),
        })
    }

    /// The tasks, for a worker to run.
    pub(crate) fn tasks(&self) -> Tasks {
        let [mails, forgotten, reports, imports] = std::array::from_fn(|_| self.clone());
        Tasks::new()
            .with(&SEND_CONFIRMATION, move |_, (number,)| {
                let tools = mails.clone();
                async move { tools.note(confirmation::send(&tools, &number).await) }
            })
            .with(&QUEUE_FORGOTTEN, move |context, ()| {
                let tools = forgotten.clone();
                let jobs = Jobs::over(context.app().clone());
                async move { tools.note(confirmation::queue_forgotten(&jobs, &tools.store).await) }
            })
            .with(&SALES_REPORT, move |_, (day,)| {
                let tools = reports.clone();
                async move { tools.note(report::write(&tools, day).await) }
            })
            .with(&IMPORT_PRICES, move |_, (lines,)| {
                let tools = imports.clone();
                async move { tools.note(price_import::import(&tools.store, &lines).await) }
            })
    }

    fn note<T>(&self, outcome: Result<T, TaskError>) -> Result<T, TaskError> {
        if outcome.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

/// The directory of the sales reports.
pub(crate) fn reports_directory(data: &Path) -> PathBuf {
    data.join("reports")
}

/// Calls the tasks. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    app: App,
}

impl Jobs {
    /// Nothing is connected before something is called: a broker that is away keeps no shop closed.
    pub(crate) fn open(config: &Config) -> Result<Self, StartError> {
        Ok(Self::over(App::new(config.settings.celery.clone())?))
    }

    fn over(app: App) -> Self {
        Self { app }
    }

    /// Queues the confirmation of an order that is stored. Whether that worked: it is no reason to refuse an order that it did not, and
    /// [`QUEUE_FORGOTTEN`] tries again.
    pub(crate) async fn confirm(&self, store: &Store, number: &str) -> bool {
        let queued = match SEND_CONFIRMATION.s((number.to_owned(),)) {
            Ok(call) => {
                self.send(&call.task_id(format!("confirmation-{number}")))
                    .await
            }
            Err(error) => Err(ShopError::Tasks(error.to_string())),
        };
        if let Err(error) = queued {
            tracing::error!("the confirmation of {number} is not queued yet: {error}");
            return false;
        }
        if let Err(error) = store.confirmation_is_queued(number).await {
            tracing::error!(
                "{number} is not marked as confirmed, and may be confirmed twice: {error}"
            );
        }
        true
    }

    /// Asks for the sales report of a day.
    pub(crate) async fn report(&self, day: NaiveDate) -> Result<AsyncResult<Report>, ShopError> {
        Ok(self.send(&SALES_REPORT.s((Some(day),))?).await?.typed())
    }

    /// Begins to import prices: the lines in parts, as one group. Returns its id.
    pub(crate) async fn import(&self, lines: &[Line]) -> Result<String, ShopError> {
        let parts = price_import::parts(lines)?;
        let sent = self.send(&group(parts)?).await?;
        let group: GroupResult<Imported> = sent
            .group()
            .ok_or_else(|| ShopError::Tasks("an import is no group".to_owned()))?;
        group.save().await?;
        Ok(group.id().to_owned())
    }

    /// The import with this id.
    pub(crate) async fn imported(&self, id: &str) -> Result<GroupResult<Imported>, ShopError> {
        let group = GroupResult::restore(&self.app, id).await?;
        group.ok_or(ShopError::NotFound)
    }

    async fn send(&self, call: &Signature) -> Result<AsyncResult, ShopError> {
        let call = call.clone().without_retry();
        match tokio::time::timeout(PATIENCE, self.app.send(&call)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(ShopError::Tasks("the broker does not answer".to_owned())),
        }
    }
}
