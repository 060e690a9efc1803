//! What a worker promises.

mod acknowledgements;
mod bad_input;
mod basics;
mod broken;
#[cfg(feature = "redis")]
mod chords;
mod limits;
mod orders;
#[cfg(feature = "amqp")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
mod retries;
mod scenes;
mod shutdown;
mod site;
#[cfg(feature = "sqlite")]
mod sqla;
mod times;
