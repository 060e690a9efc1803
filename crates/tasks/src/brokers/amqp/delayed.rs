//! Celery's native delayed delivery: a message waits in the broker, in queues that each keep it for a power of two of seconds.
//!
//! A delay is 28 bits, written before the routing key with dots between them. The exchange of level *n* looks at one bit: where it is
//! 1 the message waits 2^*n* seconds in that level's queue before it goes on to level *n* − 1, else it goes on at once. Behind
//! level 0, `celery_delayed_delivery` gives it to whoever is bound with the rest of the key.
//!
//! Source: `kombu/transport/native_delayed_delivery.py`, 5.7.

use chrono::{DateTime, NaiveDateTime, Utc};
use lapin::Channel;
use lapin::options::{ExchangeBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::brokers::{BrokerError, Delivery, Destination, Exchange, ExchangeKind, Queue};
use crate::protocol::Message;

use super::declare::{bind, declare_exchange, name};
use super::link::Connected;

const BITS: u32 = 28;
const DELIVERY: &str = "celery_delayed_delivery";

/// Before the name in the routing key of a message that was parked. One word, so that no pattern of Celery's fits it.
const PARKED: &str = "parked:";

/// Where a message goes instead, if its `eta` is still to come and its queue has delayed delivery.
///
/// As in Celery, only to an exchange that is not direct.
pub(super) fn instead(message: &Message, to: &Destination) -> Option<Destination> {
    let queue = to.declare.as_deref()?;
    if !queue.delayed_delivery || queue.exchange.kind == ExchangeKind::Direct {
        return None;
    }
    let eta = parse_eta(message.headers.get("eta")?.as_str()?)?;
    let key = match to.exchange.name.as_str() {
        "" => &queue.routing_key,
        _ => &to.routing_key,
    };
    let seconds = seconds_until(eta)?;
    Some(destination(seconds, key, to.declare.clone()))
}

/// Where a message goes to come back to a queue at a time; `None` where that is less than a second away.
pub(super) fn parking(queue: &str, until: DateTime<Utc>) -> Option<Destination> {
    Some(destination(seconds_until(until)?, &parked_key(queue), None))
}

fn destination(seconds: u32, key: &str, declare: Option<Box<Queue>>) -> Destination {
    Destination {
        exchange: level(BITS - 1),
        routing_key: delayed_key(seconds, key),
        may_be_dropped: false,
        declare,
    }
}

/// Whole seconds, as Celery counts them: at most one too early. What is farther away than 2^28 of them (eight years) waits that long.
fn seconds_until(time: DateTime<Utc>) -> Option<u32> {
    let seconds = (time - Utc::now()).num_seconds();
    let seconds = seconds.min(i64::from((1u32 << BITS) - 1));
    u32::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

fn parse_eta(text: &str) -> Option<DateTime<Utc>> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Some(time.to_utc()),
        Err(_) => text
            .parse::<NaiveDateTime>()
            .ok()
            .map(|time| time.and_utc()),
    }
}

fn delayed_key(seconds: u32, key: &str) -> String {
    let key = without_delay(key).unwrap_or(key);
    let bits = (0..BITS)
        .rev()
        .map(|bit| if seconds >> bit & 1 == 1 { "1." } else { "0." });
    bits.chain([key]).collect()
}

/// The key of a message that was delayed before: else it would grow with each retry.
fn without_delay(key: &str) -> Option<&str> {
    let bytes = key.as_bytes();
    let length = 2 * BITS as usize;
    let pairs = bytes.get(..length)?.chunks_exact(2);
    for pair in pairs {
        if !matches!(pair, b"0." | b"1.") {
            return None;
        }
    }
    key.get(length..)
}

/// One word, whatever the name holds.
fn parked_key(queue: &str) -> String {
    format!("{PARKED}{}", queue.replace('%', "%25").replace('.', "%2E"))
}

/// Gives a message that was delayed or parked the address that it would have had without.
pub(super) fn restore(delivery: &mut Delivery, queue: &Queue) {
    if !delivery.exchange.starts_with("celery_delayed_") {
        return;
    }
    let Some(key) = without_delay(&delivery.routing_key) else {
        return;
    };
    if key.starts_with(PARKED) {
        delivery.exchange = String::new();
        delivery.routing_key.clone_from(&queue.name);
    } else {
        delivery.routing_key = key.to_owned();
        delivery.exchange.clone_from(&queue.exchange.name);
    }
}

/// Declares all levels, and binds a queue behind them as Celery's workers do.
pub(super) async fn set_up(
    link: &Connected,
    channel: &Channel,
    queue: &Queue,
) -> Result<(), BrokerError> {
    set_up_levels(link, channel).await?;
    let exchange = &queue.exchange;
    if exchange.kind == ExchangeKind::Direct || exchange.name.is_empty() {
        return Ok(());
    }
    let key = match queue.routing_key.as_str() {
        key if key.starts_with('#') => key.to_owned(),
        key => format!("#.{key}"),
    };
    bind_exchange(link, channel, &exchange.name, DELIVERY, &key).await?;
    bind(link, channel, queue, &exchange.name, &key).await
}

/// Declares all levels, and binds a queue for what is parked.
pub(super) async fn set_up_parking(link: &Connected, queue: &Queue) -> Result<(), BrokerError> {
    let channel = link.channel().await?;
    set_up_levels(link, &channel).await?;
    let key = format!("#.{}", parked_key(&queue.name));
    bind(link, &channel, queue, DELIVERY, &key).await
}

async fn set_up_levels(link: &Connected, channel: &Channel) -> Result<(), BrokerError> {
    // They may have been made of classic queues (`broker_native_delayed_delivery_queue_type`), which serve as well.
    let exist = levels_exist(link).await?;
    for number in (0..BITS).rev() {
        declare_exchange(link, channel, &level(number)).await?;
        if !exist {
            declare_level(link, channel, number).await?;
        }
        let key = format!("{}1.#", "*.".repeat((BITS - 1 - number) as usize));
        bind(
            link,
            channel,
            &Queue::new(level(number).name),
            &level(number).name,
            &key,
        )
        .await?;
    }
    declare_exchange(link, channel, &topic(DELIVERY)).await?;
    for number in (0..BITS).rev() {
        let key = format!("{}0.#", "*.".repeat((BITS - 1 - number) as usize));
        bind_exchange(link, channel, &below(number), &level(number).name, &key).await?;
    }
    Ok(())
}

/// Whether the last of the queues is there, and so the others.
async fn levels_exist(link: &Connected) -> Result<bool, BrokerError> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let channel = link.channel().await?;
    let last = name(link, "the queue's name", &level(0).name)?;
    match channel
        .queue_declare(last, options, FieldTable::default())
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if super::failure::is_missing(&error) => Ok(false),
        Err(error) => Err(link.failure("looking for the queue \"celery_delayed_0\"", error)),
    }
}

async fn declare_level(
    link: &Connected,
    channel: &Channel,
    number: u32,
) -> Result<(), BrokerError> {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let milliseconds = 1000_i64 << number;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(milliseconds));
    arguments.insert("x-dead-letter-exchange".into(), text(&below(number)));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let queue = level(number).name;
    let declared = channel
        .queue_declare(name(link, "the queue's name", &queue)?, options, arguments)
        .await;
    declared
        .map(drop)
        .map_err(|error| link.failure(&format!("declaring the queue {queue:?}"), error))
}

async fn bind_exchange(
    link: &Connected,
    channel: &Channel,
    destination: &str,
    source: &str,
    key: &str,
) -> Result<(), BrokerError> {
    let bound = channel
        .exchange_bind(
            name(link, "the exchange's name", destination)?,
            name(link, "the exchange's name", source)?,
            name(link, "the routing key", key)?,
            ExchangeBindOptions::default(),
            FieldTable::default(),
        )
        .await;
    bound.map_err(|error| {
        link.failure(
            &format!("binding the exchange {destination:?} to {source:?}"),
            error,
        )
    })
}

fn level(number: u32) -> Exchange {
    topic(&format!("celery_delayed_{number}"))
}

fn topic(name: &str) -> Exchange {
    Exchange {
        name: name.to_owned(),
        kind: ExchangeKind::Topic,
        durable: true,
    }
}

/// The exchange that a level hands on to.
fn below(number: u32) -> String {
    match number.checked_sub(1) {
        Some(next) => level(next).name,
        None => DELIVERY.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_twenty_eight_bits_before_the_routing_key() {
        let key = delayed_key(5, "celery");
        assert_eq!(key, format!("{}1.0.1.celery", "0.".repeat(25)));
        assert_eq!(delayed_key(1, &key), format!("{}1.celery", "0.".repeat(27)));
        assert_eq!(without_delay("0.1.celery"), None);
        assert_eq!(without_delay(&"é".repeat(40)), None);
    }

    #[test]
    fn the_time_of_a_task_may_be_written_as_python_writes_it() {
        for eta in [
            "2030-01-02T03:04:05.678901+00:00",
            "2030-01-02T03:04:05+02:00",
            "2030-01-02T03:04:05",
        ] {
            assert!(parse_eta(eta).is_some(), "{eta}");
        }
        assert_eq!(parse_eta("tomorrow"), None);
        assert_eq!(seconds_until(Utc::now()), None);
        assert_eq!(seconds_until(DateTime::<Utc>::MAX_UTC), Some((1 << 28) - 1));
    }

    #[test]
    fn a_parked_message_names_its_queue_in_one_word() {
        assert_eq!(parked_key("shop.mail 10%"), "parked:shop%2Email 10%25");
    }
}
