//! Celery's settings, as Django writes them: `CELERY_` before each name.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::database_url::{DatabaseUrl, SecretUrl};
use super::error::SettingsError;
use super::loader::Loader;

/// What Celery calls its configuration; each field is one of its settings in lower case.
///
/// ```
/// use quintette_core::settings::CelerySettings;
///
/// let settings = CelerySettings::loader()
///     .toml_str(r#"
///         CELERY_BROKER_URL = "redis://localhost:6379/0"
///         CELERY_TASK_ACKS_LATE = true
///         CELERY_TASK_ROUTES = { "reports.*" = "slow" }
///     "#)
///     .load_celery()?;
/// assert!(settings.task_acks_late);
/// assert_eq!(settings.task_default_queue, "celery");
/// assert_eq!(settings.route("reports.sales").expect("a route")["queue"], "slow");
/// # Ok::<(), quintette_core::settings::SettingsError>(())
/// ```
///
/// `Debug` shows no passwords.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are Celery's settings, and Celery's are flags"
)]
pub struct CelerySettings {
    /// `broker_url`: where messages travel: `amqp://`, `redis://`, `redis+cluster://`, `redis+sentinel://`, `sqla+sqlite:///` or `memory://`.
    /// In this process' memory by default.
    pub broker_url: SecretUrl,
    /// `result_backend`: where results are kept: `redis://`, `rpc://`, `db+sqlite:///`, `db+postgresql://`, `db+mysql://`, `django-db` or
    /// `memory://`. `None`, nowhere, by default.
    pub result_backend: Option<SecretUrl>,
    /// `DATABASE_URL`, of Django's results (`django-db`) and schedules.
    pub database_url: Option<DatabaseUrl>,
    /// `task_default_queue`: `celery` by default.
    pub task_default_queue: String,
    /// `task_routes`: the options of tasks by their names, or by patterns with `*`; the first that fits counts, and what a call says goes before it.
    /// None by default.
    pub task_routes: Vec<(String, Map<String, Value>)>,
    /// `task_default_queue_type`: whether the default queue on `RabbitMQ` is `classic`, which it is by default, or `quorum`.
    pub task_default_queue_type: String,
    /// `task_default_exchange_type`: whether the default queue is bound to a `direct` exchange, a `topic` or a `fanout`. Direct by default. Tasks
    /// with a time wait in `RabbitMQ` itself where an exchange is not direct and any queue is a quorum queue.
    pub task_default_exchange_type: String,
    /// `task_create_missing_queue_type`: the same of all other queues. Classic by default.
    pub task_create_missing_queue_type: String,
    /// `task_create_missing_queue_exchange_type`: the same of their exchanges. Direct by default.
    pub task_create_missing_queue_exchange_type: Option<String>,
    /// `task_queue_max_priority`: the highest priority of `RabbitMQ`'s queues. None by default.
    pub task_queue_max_priority: Option<u8>,
    /// `task_default_priority`: of tasks that name none. 0 by default.
    pub task_default_priority: Option<u8>,
    /// `task_inherit_parent_priority`: whether what comes after a task has its priority. `false` by default.
    pub task_inherit_parent_priority: bool,
    /// `task_acks_late`: whether a message is acknowledged after its task has run and not before. `false` by default.
    pub task_acks_late: bool,
    /// `task_acks_on_failure_or_timeout`: whether a late acknowledgement is given to a task that failed, too. `true` by default.
    pub task_acks_on_failure_or_timeout: bool,
    /// `task_ignore_result`: whether results are not kept. `false` by default.
    pub task_ignore_result: bool,
    /// `task_track_started`: whether the state STARTED is stored. `false` by default.
    pub task_track_started: bool,
    /// `task_soft_time_limit`: after so long a task is asked to end. Given in seconds.
    pub task_soft_time_limit: Option<Duration>,
    /// `task_time_limit`: after so long a task is ended. Given in seconds.
    pub task_time_limit: Option<Duration>,
    /// `task_default_rate_limit`: such as `10/m`.
    pub task_default_rate_limit: Option<String>,
    /// `task_send_sent_event`: whether a client sends the event `task-sent`. `false` by default.
    pub task_send_sent_event: bool,
    /// `task_store_errors_even_if_ignored`. `false` by default.
    pub task_store_errors_even_if_ignored: bool,
    /// `accept_content`: the content types, or their short names, that are read. `json` alone by default.
    pub accept_content: Vec<String>,
    /// `max_body_size`, which Celery lacks: the most bytes that a compressed body may expand to. 64 MiB by default.
    pub max_body_size: usize,
    /// `result_expires`: how long results are kept. Given in seconds; a day by default. `None`, or zero seconds, for ever.
    pub result_expires: Option<Duration>,
    /// `result_serializer`: how the tables of `db+…` are written: `json`, or `pickle` for a Celery before 5.7 that reads them. `json` by default.
    pub result_serializer: String,
    /// `result_extended`: whether results hold name, arguments, worker and queue. `false` by default.
    pub result_extended: bool,
    /// `chord_deadline`, which Celery lacks: how long `chord_unlock` waits for a chord's parts before it fails the body. Given in seconds; a day by
    /// default.
    pub chord_deadline: Duration,
    /// `result_chord_retry_interval`: how often `chord_unlock` looks. Given in seconds; one by default.
    pub result_chord_retry_interval: Duration,
    /// `worker_concurrency`: how many tasks run at once. The number of processors by default.
    pub worker_concurrency: Option<usize>,
    /// `worker_prefetch_multiplier`: how many messages are taken for each of them. 4 by default.
    pub worker_prefetch_multiplier: u32,
    /// `worker_eta_task_limit`: how many tasks that are not yet due a worker keeps in memory; the others wait in the broker. 1,000 by default.
    pub worker_eta_task_limit: usize,
    /// `worker_send_task_events`: whether task events are sent before somebody asks for them. `false` by default.
    pub worker_send_task_events: bool,
    /// `worker_enable_remote_control`. `true` by default.
    pub worker_enable_remote_control: bool,
    /// `worker_state_db`: a file that keeps the ids of revoked tasks over a restart.
    pub worker_state_db: Option<PathBuf>,
    /// `worker_delivery_limit`, which Celery lacks: after how many deliveries a message that is never acknowledged is set aside, in the queue
    /// `<queue>.dead`. 5 by default; `None` for never.
    pub worker_delivery_limit: Option<u32>,
    /// `broker_transport_options["visibility_timeout"]`: after how long others take what a worker has neither finished nor renewed. An hour by default.
    pub visibility_timeout: Duration,
    /// `broker_transport_options["global_keyprefix"]`: before each of the broker's keys in Redis. Empty by default.
    pub global_keyprefix: String,
    /// `result_backend_transport_options["global_keyprefix"]`: before each key of results in Redis. Empty by default.
    pub result_global_keyprefix: String,
    /// `timezone`: of crontabs. UTC by default.
    pub timezone: chrono_tz::Tz,
}

impl Default for CelerySettings {
    fn default() -> Self {
        Self {
            broker_url: SecretUrl::new("memory://"),
            result_backend: None,
            database_url: None,
            task_default_queue: "celery".to_owned(),
            task_routes: Vec::new(),
            task_default_queue_type: "classic".to_owned(),
            task_default_exchange_type: "direct".to_owned(),
            task_create_missing_queue_type: "classic".to_owned(),
            task_create_missing_queue_exchange_type: None,
            task_queue_max_priority: None,
            task_default_priority: None,
            task_inherit_parent_priority: false,
            task_acks_late: false,
            task_acks_on_failure_or_timeout: true,
            task_ignore_result: false,
            task_track_started: false,
            task_soft_time_limit: None,
            task_time_limit: None,
            task_default_rate_limit: None,
            task_send_sent_event: false,
            task_store_errors_even_if_ignored: false,
            accept_content: vec!["json".to_owned()],
            max_body_size: 64 << 20,
            result_expires: Some(Duration::from_hours(24)),
            result_serializer: "json".to_owned(),
            result_extended: false,
            chord_deadline: Duration::from_hours(24),
            result_chord_retry_interval: Duration::from_secs(1),
            worker_concurrency: None,
            worker_prefetch_multiplier: 4,
            worker_eta_task_limit: 1_000,
            worker_send_task_events: false,
            worker_enable_remote_control: true,
            worker_state_db: None,
            worker_delivery_limit: Some(5),
            visibility_timeout: Duration::from_hours(1),
            global_keyprefix: String::new(),
            result_global_keyprefix: String::new(),
            timezone: chrono_tz::UTC,
        }
    }
}

impl CelerySettings {
    /// The settings file and the environment, as most workers want them: of all settings only those of Celery and `DATABASE_URL`, so that
    /// a worker needs no `SECRET_KEY`.
    ///
    /// # Errors
    ///
    /// All that [`Loader::load_celery`] reports.
    pub fn load() -> Result<Self, SettingsError> {
        Self::loader().settings_file().environment().load_celery()
    }

    /// Settings from wherever the application says; [`Loader::load_celery`] reads them.
    pub fn loader() -> Loader {
        <Loader as Default>::default()
    }

    /// The route of a task: the first in [`task_routes`](Self::task_routes) that its name fits.
    pub fn route(&self, task: &str) -> Option<&Map<String, Value>> {
        let mut routes = self.task_routes.iter();
        let fits = routes.find(|(pattern, _)| fits(pattern, task));
        fits.map(|(_, route)| route)
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match name.split_once(part) {
            Some((_, after)) => name = after,
            None => return false,
        }
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_route_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("reports.sales", "reports.sales", true),
            ("reports.*", "reports.sales", true),
            ("reports.*", "report.sales", false),
            ("*.sales", "reports.sales", true),
            ("*", "", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
