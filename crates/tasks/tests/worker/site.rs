//! A worker, its broker and its results, for one test.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use quintette_core::json::RawJson;
use quintette_tasks::brokers::{Broker, Destination, MemoryBroker};
use quintette_tasks::protocol::{Body, Message, Properties, TaskHeaders};
use quintette_tasks::results::{MemoryResults, ResultBackend, State, TaskMeta};
use quintette_tasks::worker::{Tasks, Worker, WorkerError, WorkerHandle};
use quintette_tasks::{App, TaskSettings};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// No test is as slow as this, unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Site {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) results: Arc<dyn ResultBackend>,
    pub(crate) settings: TaskSettings,
}

impl Site {
    pub(crate) fn memory() -> Self {
        Self {
            broker: Arc::new(MemoryBroker::default()),
            results: Arc::new(MemoryResults::new(None)),
            settings: TaskSettings::default(),
        }
    }

    pub(crate) fn set(mut self, change: impl FnOnce(&mut TaskSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn app(&self) -> App {
        App::with(
            self.settings.clone(),
            self.broker.clone(),
            Some(self.results.clone()),
        )
    }

    pub(crate) fn worker(&self, tasks: Tasks) -> Worker {
        Worker::new(self.app(), tasks)
            .concurrency(4)
            .hostname("w1@test")
    }

    pub(crate) fn start(&self, tasks: Tasks) -> Running {
        Running::start(self.worker(tasks))
    }

    pub(crate) async fn send(&self, call: Call) -> String {
        let id = call.headers.id.clone();
        self.publish(&call.message(), "celery").await;
        id
    }

    pub(crate) async fn publish(&self, message: &Message, queue: &str) {
        let destination = Destination::queue(self.app().queue(queue));
        self.broker.publish(message, &destination).await.unwrap();
    }

    pub(crate) async fn ready(&self, id: &str) -> TaskMeta {
        let meta = self.results.wait(id, Some(PATIENCE)).await.unwrap();
        meta.unwrap_or_else(|| panic!("{id} was not ready in time"))
    }

    pub(crate) async fn result(&self, id: &str) -> String {
        let meta = self.ready(id).await;
        assert_eq!(meta.status, State::Success, "{meta:?}");
        meta.result.as_str().to_owned()
    }

    pub(crate) async fn failure(&self, id: &str) -> String {
        let meta = self.ready(id).await;
        assert!(meta.status.is_failure(), "{meta:?}");
        meta.exception().unwrap().to_string()
    }

    pub(crate) async fn state(&self, id: &str) -> State {
        let meta = self.results.load(id).await.unwrap();
        meta.map_or(State::Pending, |meta| meta.status)
    }

    pub(crate) async fn waiting(&self, queue: &str) -> u64 {
        self.broker.waiting(queue).await.unwrap()
    }
}

/// A call as another client would send it.
pub(crate) struct Call {
    pub(crate) headers: TaskHeaders,
    pub(crate) args: Vec<RawJson>,
    pub(crate) kwargs: Vec<(&'static str, RawJson)>,
}

pub(crate) fn call(task: &str, args: impl Serialize) -> Call {
    let id = format!("{task}-{}", RawJson::from_value(&args).unwrap());
    let args: Vec<serde_json::Value> =
        serde_json::from_value(serde_json::to_value(args).unwrap()).unwrap_or_default();
    Call {
        headers: TaskHeaders {
            task: task.to_owned(),
            id,
            ..TaskHeaders::default()
        },
        args: args
            .iter()
            .map(|arg| RawJson::from_value(arg).unwrap())
            .collect(),
        kwargs: Vec::new(),
    }
}

impl Call {
    pub(crate) fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.headers.id);
        self
    }

    pub(crate) fn kwarg(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.kwargs
            .push((name, RawJson::from_value(&value).unwrap()));
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut TaskHeaders)) -> Self {
        change(&mut self.headers);
        self
    }

    /// So long from now.
    pub(crate) fn countdown(self, after: Duration) -> Self {
        let eta = chrono::Utc::now() + after;
        self.with(|headers| headers.eta = Some(eta.to_rfc3339()))
    }

    pub(crate) fn message(self) -> Message {
        let kwargs = self.kwargs.into_iter();
        let body = Body {
            args: self.args,
            kwargs: kwargs.map(|(name, value)| (name.into(), value)).collect(),
            ..Body::default()
        };
        Message {
            properties: Properties {
                correlation_id: Some(self.headers.id.clone()),
                ..Properties::default()
            },
            headers: self.headers.write(),
            content_type: Cow::Borrowed("application/json"),
            content_encoding: Cow::Borrowed("utf-8"),
            body: body.to_json().unwrap().as_str().to_owned().into(),
        }
    }
}

/// A worker that runs.
pub(crate) struct Running {
    pub(crate) handle: WorkerHandle,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    pub(crate) fn start(worker: Worker) -> Self {
        let handle = worker.handle();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(worker.run_until(async move {
            // Dropped with the test, it ends as well.
            let _ = stopped.await;
        }));
        Self {
            handle,
            stop: Some(stop),
            ended,
        }
    }

    /// Asks for a warm shutdown, without waiting for it.
    pub(crate) fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub(crate) async fn ended(&mut self) -> Result<(), WorkerError> {
        let ended = tokio::time::timeout(PATIENCE, &mut self.ended).await;
        ended.expect("the worker did not end in time").unwrap()
    }

    pub(crate) async fn stop(mut self) {
        self.ask_to_stop();
        self.ended().await.unwrap();
    }
}

/// A worker that can be killed: on a runtime of its own, which goes with everything that runs on it.
pub(crate) struct Mortal {
    pub(crate) handle: WorkerHandle,
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    pub(crate) fn start(worker: Worker) -> Self {
        let handle = worker.handle();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(worker.run_until(std::future::pending()));
        Self { handle, runtime }
    }

    /// As SIGKILL does: nothing is finished, and nothing said.
    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waited).await;
    assert!(in_time.is_ok(), "in vain: {what}");
}
