//! `RabbitMQ`, real ones.

mod acknowledgements;
mod queues;
mod support;
