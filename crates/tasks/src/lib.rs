//! Celery's protocol in Rust: tasks over `RabbitMQ` and Redis, run by Rust and Python workers alike.

mod app;
mod arguments;
pub mod brokers;
pub mod canvas;
mod error;
mod outcome;
pub mod protocol;
pub mod results;
mod send;
mod settings;
mod signature;
mod task;

pub use app::{App, AppError};
pub use arguments::Arguments;
pub use error::{Exception, TaskError};
pub use outcome::{AsyncResult, GroupResult, OutcomeError};
pub use send::SendError;
pub use settings::TaskSettings;
pub use signature::{Options, RetryPolicy, Signature};
pub use task::{Task, TaskOptions};
