use std::fmt;
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use crate::brokers::{
    Broker, BrokerError, BrokerErrorKind, ExchangeKind, MemoryBroker, Queue, QueueKind,
};
use crate::events::EventDispatcher;
use crate::results::{MemoryResults, ResultBackend, ResultError, ResultErrorKind, RpcResults};
use crate::settings::TaskSettings;

/// A client of a broker and of a store of results. Celery's `app`.
///
/// A cheap handle: clones share connections.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    settings: TaskSettings,
    broker: Arc<dyn Broker>,
    results: Option<Arc<dyn ResultBackend>>,
    oid: String,
    origin: String,
    events: OnceLock<EventDispatcher>,
}

impl App {
    /// The broker and the backend that the settings name. Nothing is connected before it is used.
    ///
    /// # Errors
    ///
    /// A URL that nothing here speaks, or whose feature is not built in.
    pub fn new(settings: TaskSettings) -> Result<Self, AppError> {
        let broker = broker(&settings)?;
        let oid = Uuid::new_v4().to_string();
        let results = results(&settings, &broker, &oid)?;
        Ok(Self::assemble(settings, broker, results, oid))
    }

    /// A broker and a backend of the caller's own.
    pub fn with(
        settings: TaskSettings,
        broker: Arc<dyn Broker>,
        results: Option<Arc<dyn ResultBackend>>,
    ) -> Self {
        Self::assemble(settings, broker, results, Uuid::new_v4().to_string())
    }

    fn assemble(
        settings: TaskSettings,
        broker: Arc<dyn Broker>,
        results: Option<Arc<dyn ResultBackend>>,
        oid: String,
    ) -> Self {
        let origin = format!("gen{}@{}", std::process::id(), hostname());
        Self {
            inner: Arc::new(Inner {
                settings,
                broker,
                results,
                oid,
                origin,
                events: OnceLock::new(),
            }),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &TaskSettings {
        &self.inner.settings
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.inner.broker
    }

    /// The store of results; `None` where results are not kept.
    pub fn results(&self) -> Option<&Arc<dyn ResultBackend>> {
        self.inner.results.as_ref()
    }

    /// This client's id, by which it is replied to. Celery's `app.thread_oid`.
    pub fn oid(&self) -> &str {
        &self.inner.oid
    }

    /// `gen<pid>@host`, as tasks carry it.
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// What sends this client's events. It begins when it is first asked for, within a runtime.
    pub(crate) fn events(&self) -> &EventDispatcher {
        let start = || EventDispatcher::start(self.broker().clone(), self.origin().into());
        self.inner.events.get_or_init(start)
    }

    /// A task queue by its name, as the settings want the default queue and all others to be.
    pub fn queue(&self, name: &str) -> Queue {
        let settings = self.settings();
        let (default, missing) = (
            &settings.task_default_queue_type,
            &settings.task_create_missing_queue_type,
        );
        let (kind, exchange) = if name == settings.task_default_queue {
            (default, Some(&settings.task_default_exchange_type))
        } else {
            let exchange = settings.task_create_missing_queue_exchange_type.as_ref();
            (missing, exchange)
        };
        let mut queue = Queue::new(name);
        queue.max_priority = settings.task_queue_max_priority;
        if kind == "quorum" {
            queue.kind = QueueKind::Quorum;
        }
        queue.exchange.kind = match exchange.map(String::as_str) {
            Some("topic") => ExchangeKind::Topic,
            Some("fanout") => ExchangeKind::Fanout,
            _ => ExchangeKind::Direct,
        };
        // As Celery: with one quorum queue, for all.
        let quorum = default == "quorum" || missing == "quorum";
        queue.delayed_delivery = quorum && queue.exchange.kind != ExchangeKind::Direct;
        queue
    }
}

fn broker(settings: &TaskSettings) -> Result<Arc<dyn Broker>, AppError> {
    let url = settings.broker_url.reveal();
    match url.split(':').next().unwrap_or_default() {
        "memory" => {
            let name = url.trim_start_matches("memory:").trim_matches('/');
            Ok(Arc::new(MemoryBroker::named(name)))
        }
        #[cfg(feature = "redis")]
        scheme if is_redis(scheme) => {
            let (timeout, prefix) = (settings.visibility_timeout, &settings.global_keyprefix);
            let broker = crate::brokers::RedisBroker::new(url, timeout, prefix)?;
            Ok(Arc::new(broker))
        }
        #[cfg(feature = "amqp")]
        "amqp" | "pyamqp" | "amqps" => Ok(Arc::new(crate::brokers::AmqpBroker::new(url)?)),
        #[cfg(feature = "sqlite")]
        "sqla+sqlite" | "sqlalchemy+sqlite" | "sqla+sqlite+pysqlite" => {
            Ok(Arc::new(crate::brokers::SqlaBroker::new(url)?))
        }
        scheme => Err(BrokerError::new(
            BrokerErrorKind::Configuration,
            format!("broker_url: nothing here speaks {scheme:?}; write amqp://, redis://, sqla+sqlite:/// or memory://"),
        )
        .into()),
    }
}

fn results(
    settings: &TaskSettings,
    broker: &Arc<dyn Broker>,
    oid: &str,
) -> Result<Option<Arc<dyn ResultBackend>>, AppError> {
    let Some(url) = &settings.result_backend else {
        return Ok(None);
    };
    match url.reveal().split(':').next().unwrap_or_default() {
        #[cfg(feature = "database")]
        scheme if scheme.starts_with("db+") => {
            let results = crate::results::DatabaseResults::new(url.reveal(), settings.result_expires)?;
            Ok(Some(Arc::new(if settings.result_serializer == "pickle" {
                results.with_pickles()
            } else {
                results
            })))
        }
        #[cfg(feature = "database")]
        "django-db" => {
            let database = settings.database_url.as_ref().ok_or_else(|| {
                ResultError::new(
                    ResultErrorKind::Configuration,
                    "result_backend: django-db keeps results in the database of DATABASE_URL, which is not set",
                )
            })?;
            let results = crate::results::DjangoResults::new(database, settings.result_expires)?;
            Ok(Some(Arc::new(results)))
        }
        "memory" | "cache+memory" => Ok(Some(Arc::new(MemoryResults::new(settings.result_expires)))),
        "disabled" => Ok(None),
        #[cfg(feature = "redis")]
        scheme if is_redis(scheme) => {
            let (expires, prefix) = (settings.result_expires, &settings.result_global_keyprefix);
            let results = crate::results::RedisResults::new(url.reveal(), expires, prefix)?;
            Ok(Some(Arc::new(results)))
        }
        "rpc" => Ok(Some(Arc::new(RpcResults::new(
            Arc::clone(broker),
            oid,
            settings.result_expires,
        )))),
        scheme => Err(ResultError::new(
            ResultErrorKind::Configuration,
            format!("result_backend: nothing here speaks {scheme:?}; write redis://, rpc://, db+sqlite:///, django-db or memory://"),
        )
        .into()),
    }
}

#[cfg(feature = "redis")]
fn is_redis(scheme: &str) -> bool {
    let plain = scheme.split('+').next().unwrap_or_default();
    matches!(plain, "redis" | "rediss")
}

/// This machine's name.
pub(crate) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("broker", &self.inner.broker)
            .field("results", &self.inner.results)
            .finish_non_exhaustive()
    }
}

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// Those of the broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Those of the results.
    #[error(transparent)]
    Results(#[from] ResultError),
}
