//! Which broker, and how it is used: by the test and by its workers in processes of their own.

use std::process::Command;
use std::time::Duration;

use quintette_core::settings::SecretUrl;
use quintette_tasks::{App, TaskSettings};

const URL: &str = "QUINTETTE_FAULTS_URL";
const QUEUE: &str = "QUINTETTE_FAULTS_QUEUE";
const QUORUM: &str = "QUINTETTE_FAULTS_QUORUM";
const RESULTS: &str = "QUINTETTE_FAULTS_RESULTS";
const VISIBILITY: &str = "QUINTETTE_FAULTS_VISIBILITY";
const CONCURRENCY: &str = "QUINTETTE_FAULTS_CONCURRENCY";
const DELIVERY_LIMIT: &str = "QUINTETTE_FAULTS_DELIVERY_LIMIT";

/// A broker, a queue of it, and what the settings say beside them.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) queue: String,
    pub(crate) quorum: bool,
    pub(crate) results: Option<String>,
    pub(crate) visibility: Duration,
    /// How many tasks each worker runs at once.
    pub(crate) concurrency: usize,
    pub(crate) delivery_limit: u32,
}

impl Site {
    pub(crate) fn new(url: &str, queue: &str) -> Self {
        Self {
            url: url.to_owned(),
            queue: queue.to_owned(),
            quorum: false,
            results: None,
            visibility: Duration::from_hours(1),
            concurrency: 8,
            delivery_limit: 5,
        }
    }

    /// The same broker through a proxy at this port.
    pub(crate) fn through(&self, port: u16) -> Self {
        let (before, rest) = self.url.rsplit_once(':').expect("the URL has a port");
        let after = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        Self {
            url: format!("{before}:{port}{after}"),
            ..self.clone()
        }
    }

    pub(crate) fn app(&self) -> App {
        let mut settings = TaskSettings::default();
        settings.broker_url = SecretUrl::new(self.url.as_str());
        settings.result_backend = self.results.as_deref().map(SecretUrl::new);
        settings.task_default_queue.clone_from(&self.queue);
        if self.quorum {
            "quorum".clone_into(&mut settings.task_default_queue_type);
        }
        settings.visibility_timeout = self.visibility;
        settings.worker_delivery_limit = Some(self.delivery_limit);
        App::new(settings).unwrap()
    }

    pub(crate) fn tell(&self, command: &mut Command) {
        command.env(URL, &self.url).env(QUEUE, &self.queue);
        command.env(VISIBILITY, self.visibility.as_millis().to_string());
        command.env(CONCURRENCY, self.concurrency.to_string());
        command.env(DELIVERY_LIMIT, self.delivery_limit.to_string());
        if self.quorum {
            command.env(QUORUM, "1");
        }
        if let Some(results) = &self.results {
            command.env(RESULTS, results);
        }
    }

    /// What a worker's process was told.
    pub(crate) fn told() -> Option<Self> {
        let var = |name| std::env::var(name).ok();
        Some(Self {
            url: var(URL)?,
            queue: var(QUEUE)?,
            quorum: var(QUORUM).is_some(),
            results: var(RESULTS),
            visibility: Duration::from_millis(var(VISIBILITY)?.parse().unwrap()),
            concurrency: var(CONCURRENCY)?.parse().unwrap(),
            delivery_limit: var(DELIVERY_LIMIT)?.parse().unwrap(),
        })
    }
}
