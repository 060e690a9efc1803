//! Messages as Celery writes and reads them, whatever broker carries them.
//!
//! Source: `celery/app/amqp.py` (`as_task_v2`) and `kombu/serialization.py`, 5.7.

mod body;
pub mod compression;
mod headers;
mod incoming;
mod message;
pub mod repr;
pub mod serializer;
mod tokens;
pub mod types;
mod v1;

pub use body::{Body, Embed, InvalidBody};
pub use headers::{InvalidHeader, TaskHeaders};
pub use incoming::{InvalidMessage, TaskMessage};
pub use message::{JSON, Message, Properties};
pub use v1::InvalidV1;
