//! Queues and exchanges, declared as kombu declares them: exchange, queue, binding.
//!
//! Source: `kombu/entity.py` (`Queue.declare`) and `kombu/transport/base.py` (`to_rabbitmq_queue_arguments`), 5.7.

use std::time::Duration;

use lapin::Channel;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::brokers::{BrokerError, BrokerErrorKind, Exchange, ExchangeKind, Queue, QueueKind};

use super::delayed;
use super::failure::is_missing;
use super::link::Connected;
use super::message::short;

/// Declares a queue and what it is bound to.
pub(super) async fn queue(link: &Connected, queue: &Queue) -> Result<(), BrokerError> {
    let channel = link.channel().await?;
    if !queue.exchange.name.is_empty() {
        declare_exchange(link, &channel, &queue.exchange).await?;
    }
    declare_queue(link, &channel, queue).await?;
    if !queue.exchange.name.is_empty() {
        bind(
            link,
            &channel,
            queue,
            &queue.exchange.name,
            &queue.routing_key,
        )
        .await?;
    }
    if queue.delayed_delivery {
        delayed::set_up(link, &channel, queue).await?;
    }
    Ok(())
}

/// Makes sure that an exchange exists, whatever its kind: a client may know no more than its name.
pub(super) async fn exchange(link: &Connected, exchange: &Exchange) -> Result<(), BrokerError> {
    let channel = link.channel().await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = name(link, "the exchange's name", &exchange.name)?;
    let found = channel
        .exchange_declare(name, kind(exchange.kind), options, FieldTable::default())
        .await;
    match found {
        Ok(()) => Ok(()),
        Err(error) if is_missing(&error) => {
            // The channel did not survive the question.
            declare_exchange(link, &link.channel().await?, exchange).await
        }
        Err(error) => Err(link.failure(
            &format!("looking for the exchange {:?}", exchange.name),
            error,
        )),
    }
}

pub(super) async fn declare_exchange(
    link: &Connected,
    channel: &Channel,
    exchange: &Exchange,
) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions {
        durable: exchange.durable,
        ..ExchangeDeclareOptions::default()
    };
    let name = name(link, "the exchange's name", &exchange.name)?;
    let declared = channel
        .exchange_declare(name, kind(exchange.kind), options, FieldTable::default())
        .await;
    declared.map_err(|error| {
        link.failure(
            &format!("declaring the exchange {:?}", exchange.name),
            error,
        )
    })
}

async fn declare_queue(
    link: &Connected,
    channel: &Channel,
    queue: &Queue,
) -> Result<(), BrokerError> {
    let options = QueueDeclareOptions {
        durable: queue.durable,
        exclusive: queue.exclusive,
        // "exclusive implies auto-delete", as kombu has it.
        auto_delete: queue.auto_delete || queue.exclusive,
        ..QueueDeclareOptions::default()
    };
    let name = name(link, "the queue's name", &queue.name)?;
    let declared = channel.queue_declare(name, options, arguments(queue)).await;
    declared
        .map(drop)
        .map_err(|error| link.failure(&format!("declaring the queue {:?}", queue.name), error))
}

/// Binds a queue to an exchange.
pub(super) async fn bind(
    link: &Connected,
    channel: &Channel,
    queue: &Queue,
    exchange: &str,
    key: &str,
) -> Result<(), BrokerError> {
    let bound = channel
        .queue_bind(
            name(link, "the queue's name", &queue.name)?,
            name(link, "the exchange's name", exchange)?,
            name(link, "the routing key", key)?,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await;
    bound.map_err(|error| {
        link.failure(
            &format!("binding the queue {:?} to {exchange:?}", queue.name),
            error,
        )
    })
}

fn arguments(queue: &Queue) -> FieldTable {
    let mut arguments = FieldTable::default();
    if queue.kind == QueueKind::Quorum {
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
    }
    if let Some(expires) = queue.expires {
        arguments.insert("x-expires".into(), milliseconds(expires));
    }
    if let Some(ttl) = queue.message_ttl {
        arguments.insert("x-message-ttl".into(), milliseconds(ttl));
    }
    if let Some(priority) = queue.max_priority {
        arguments.insert("x-max-priority".into(), AMQPValue::LongInt(priority.into()));
    }
    arguments
}

fn milliseconds(duration: Duration) -> AMQPValue {
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match i32::try_from(milliseconds) {
        Ok(short) => AMQPValue::LongInt(short),
        Err(_) => AMQPValue::LongLongInt(milliseconds),
    }
}

pub(super) fn kind(kind: ExchangeKind) -> lapin::ExchangeKind {
    match kind {
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
        ExchangeKind::Topic => lapin::ExchangeKind::Topic,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
    }
}

/// A name as AMQP takes it.
pub(super) fn name(
    link: &Connected,
    what: &str,
    text: &str,
) -> Result<lapin::types::ShortString, BrokerError> {
    short(what, text).map_err(|what| {
        BrokerError::new(BrokerErrorKind::Refused, format!("{}: {what}", link.server))
    })
}
