use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quintette_core::json::RawJson;

use super::request::Request;
use crate::error::Exception;

/// What happens to a task in a worker, as monitors are told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `task-received`.
    Received(&'a Request),
    /// `task-started`.
    Started(&'a Request),
    /// `task-succeeded`.
    Succeeded {
        /// The task.
        request: &'a Request,
        /// What it returned.
        result: &'a RawJson,
        /// How long it ran.
        runtime: Duration,
    },
    /// `task-failed`.
    Failed {
        /// The task.
        request: &'a Request,
        /// Why.
        exception: &'a Exception,
    },
    /// `task-retried`.
    Retried {
        /// The task.
        request: &'a Request,
        /// Why.
        exception: &'a Exception,
    },
    /// `task-revoked`.
    Revoked {
        /// The task.
        request: &'a Request,
        /// Whether it ran, and was ended.
        terminated: bool,
        /// Whether its time to run was over.
        expired: bool,
    },
    /// `task-rejected`.
    Rejected {
        /// The task.
        request: &'a Request,
        /// Whether its message goes back to its queue.
        requeue: bool,
    },
    /// `task-failed` of a task that is not known here.
    Unknown {
        /// The task's id.
        id: &'a str,
        /// Its name.
        name: &'a str,
    },
}

/// Sends events to whoever watches. It must not wait: it is called between tasks.
pub trait EventSink: Send + Sync + 'static {
    /// Takes an event.
    fn send(&self, event: &Event<'_>);
}

/// Task events, while somebody wants them.
#[derive(Default)]
pub struct Events {
    enabled: AtomicBool,
    sink: OnceLock<Box<dyn EventSink>>,
}

impl Events {
    /// Where events go; set once.
    pub fn set_sink(&self, sink: Box<dyn EventSink>) {
        let _ = self.sink.set(sink);
    }

    /// Whether task events are sent. Celery's `enable_events`. Returns whether that is new.
    pub fn enable(&self, enabled: bool) -> bool {
        self.enabled.swap(enabled, Ordering::SeqCst) != enabled
    }

    /// Whether task events are sent.
    pub fn enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        if self.enabled()
            && let Some(sink) = self.sink.get()
        {
            sink.send(event);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("enabled", &self.enabled())
            .finish_non_exhaustive()
    }
}
