//! Messages as Celery writes and reads them, whatever broker carries them.
//!
//! Source: `celery/app/amqp.py` (`as_task_v2`) and `kombu/serialization.py`, 5.7.

mod body;
mod headers;
mod message;

pub use body::{Body, Embed, InvalidBody};
pub use headers::{InvalidHeader, TaskHeaders};
pub use message::{JSON, Message, Properties};
