use std::fmt;
use std::time::Duration;

use quintette_core::json::{RawJson, parse_array, parse_object, write_array, write_object};

/// Why a task did not return: an exception as Python knows it, or what is not a failure at all.
///
/// `?` makes one of any [`std::error::Error`], named after its type.
#[non_exhaustive]
pub enum TaskError {
    /// The task failed.
    Failure(Exception),
    /// It is to be tried again. Celery's `self.retry()`.
    Retry {
        /// Why.
        cause: Exception,
        /// After how long; by the task's options where `None`.
        countdown: Option<Duration>,
    },
    /// Its message is rejected, to be delivered again or not. Celery's `Reject`.
    Reject {
        /// Why, for the log.
        reason: String,
        /// Whether the message goes back to its queue.
        requeue: bool,
    },
    /// Nothing is stored and nothing called. Celery's `Ignore`.
    Ignore,
}

/// An exception in the shape that Python rebuilds.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// The class' name: `ValueError`.
    pub exc_type: String,
    /// The module it is imported from; `builtins` for Python's own.
    pub exc_module: String,
    /// Its `args`.
    pub exc_message: Vec<RawJson>,
    /// For people to read.
    pub traceback: Option<String>,
}

impl Exception {
    /// One of Python's own, or of Celery's (`celery.exceptions`), by its name, with one argument, a text.
    pub fn new(exc_type: impl Into<String>, message: impl fmt::Display) -> Self {
        let exc_type = exc_type.into();
        Self {
            exc_module: module_of(&exc_type).to_owned(),
            exc_type,
            exc_message: vec![RawJson::from(message.to_string().as_str())],
            traceback: None,
        }
    }

    /// One that is named after a Rust type: `shop::orders::NotPaid` is `NotPaid` of the module `shop.orders`.
    pub fn from_error<E: std::error::Error>(error: &E) -> Self {
        let path = std::any::type_name::<E>();
        let path = path.split('<').next().unwrap_or(path);
        let (module, name) = path.rsplit_once("::").unwrap_or(("rust", path));
        let mut traceback = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            traceback.push_str("\ncaused by: ");
            traceback.push_str(&cause.to_string());
            source = cause.source();
        }
        Self {
            exc_type: name.to_owned(),
            exc_module: module.replace("::", "."),
            exc_message: vec![RawJson::from(error.to_string().as_str())],
            traceback: Some(traceback),
        }
    }
}

impl Exception {
    /// The JSON that Celery stores as a failure's result.
    pub fn to_json(&self) -> RawJson {
        let message = RawJson::parse(&write_array(self.exc_message.iter()));
        let fields = [
            ("exc_type", RawJson::from(self.exc_type.as_str())),
            (
                "exc_message",
                message.unwrap_or_else(|_| RawJson::from("too deep to be written")),
            ),
            ("exc_module", RawJson::from(self.exc_module.as_str())),
        ];
        let text = write_object(fields.iter().map(|(name, value)| (*name, value)));
        RawJson::parse(&text).unwrap_or_else(|_| RawJson::from("too deep to be written"))
    }

    /// Reads what Celery stored. What has another shape is an `Exception` with it as message.
    pub fn from_json(json: &RawJson) -> Self {
        let members = parse_object(json.as_str().as_bytes()).unwrap_or_default();
        let text = |name: &str| {
            members
                .get(name)
                .and_then(|value| value.deserialize::<String>().ok())
        };
        let message = members.get("exc_message").unwrap_or(json);
        Self {
            exc_type: text("exc_type").unwrap_or_else(|| "Exception".to_owned()),
            exc_module: text("exc_module").unwrap_or_else(|| "builtins".to_owned()),
            exc_message: parse_array(message.as_str().as_bytes())
                .unwrap_or_else(|_| vec![message.clone()]),
            traceback: None,
        }
    }
}

/// The module of the exceptions that are thrown here; `builtins` for any other.
fn module_of(exc_type: &str) -> &'static str {
    match exc_type {
        "NotRegistered"
        | "TaskRevokedError"
        | "MaxRetriesExceededError"
        | "Retry"
        | "Ignore"
        | "Reject"
        | "ChordError"
        | "TimeoutError" => "celery.exceptions",
        "SoftTimeLimitExceeded" | "TimeLimitExceeded" | "WorkerLostError" | "Terminated" => {
            "billiard.exceptions"
        }
        _ => "builtins",
    }
}

impl TaskError {
    /// A failure by the name of one of Python's exceptions.
    ///
    /// ```
    /// use quintette_tasks::TaskError;
    ///
    /// let error = TaskError::failure("ValueError", "no such order");
    /// assert_eq!(error.to_string(), "ValueError: no such order");
    /// ```
    pub fn failure(exc_type: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::Failure(Exception::new(exc_type, message))
    }

    /// Try again after so long, because of this.
    pub fn retry_after(countdown: Duration, cause: impl fmt::Display) -> Self {
        Self::Retry {
            cause: Exception::new("Exception", cause),
            countdown: Some(countdown),
        }
    }
}

impl<E: std::error::Error> From<E> for TaskError {
    fn from(error: E) -> Self {
        Self::Failure(Exception::from_error(&error))
    }
}

/// `ValueError: the message`.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.exc_type)?;
        for (index, part) in self.exc_message.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            match part.deserialize::<String>() {
                Ok(text) => f.write_str(&text)?,
                Err(_) => f.write_str(part.as_str())?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(exception) => exception.fmt(f),
            Self::Retry { cause, .. } => write!(f, "to be tried again: {cause}"),
            Self::Reject { reason, .. } => write!(f, "rejected: {reason}"),
            Self::Ignore => f.write_str("ignored"),
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
