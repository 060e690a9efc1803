//! Celery's protocol in Rust: tasks over `RabbitMQ` and Redis, run by Rust and Python workers alike.

mod app;
mod arguments;
pub mod beat;
pub mod brokers;
pub mod canvas;
pub mod control;
#[cfg(feature = "database")]
mod database;
mod error;
pub mod events;
mod outcome;
pub mod protocol;
#[cfg(feature = "redis")]
mod redis;
pub mod results;
mod send;
mod settings;
#[cfg(feature = "macros")]
mod shared_task;
mod signature;
mod task;
pub mod worker;

pub use app::{App, AppError};
pub use arguments::Arguments;
pub use error::{Exception, TaskError};
pub use outcome::{AsyncResult, GroupResult, OutcomeError};
pub use send::SendError;
pub use settings::{SecretUrl, TaskSettings};
#[cfg(feature = "macros")]
pub use shared_task::{SharedTask, TaskReturn, shared_task};
pub use signature::{Options, RetryPolicy, Signature};
pub use task::{Task, TaskOptions};
