//! `RabbitMQ`, real ones.

mod acknowledgements;
mod delayed;
mod faults;
mod queues;
mod rpc;
mod support;
