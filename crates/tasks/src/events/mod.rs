//! Events: what workers tell monitors such as Flower of themselves and of their tasks (`celery/events`).

mod clock;
mod dispatcher;

pub use clock::Clock;
pub use dispatcher::EventDispatcher;

use crate::brokers::{Destination, Exchange, ExchangeKind};

/// Where events go. On Redis, kombu publishes them to a fanout exchange.
pub(crate) fn destination(transport: &str, routing_key: &str) -> Destination {
    let kind = match transport {
        "redis" => ExchangeKind::Fanout,
        _ => ExchangeKind::Topic,
    };
    Destination {
        exchange: Exchange {
            name: "celeryev".to_owned(),
            kind,
            durable: true,
        },
        routing_key: routing_key.to_owned(),
        may_be_dropped: true,
        declare: None,
    }
}
