//! Telling the workers to leave tasks alone.

use serde_json::json;

use crate::app::App;
use crate::brokers::{Destination, Exchange, ExchangeKind};
use crate::protocol::Message;
use crate::send::SendError;

/// Celery's `control.revoke`, to all workers, without waiting for replies.
pub(super) async fn revoke(app: &App, ids: &[&str], terminate: bool) -> Result<(), SendError> {
    let command = json!({
        "method": "revoke",
        "arguments": {"task_id": ids, "terminate": terminate, "signal": "SIGTERM"},
        "destination": null,
        "pattern": null,
        "matcher": null,
    });
    let mut message = Message::json(command.to_string());
    message.headers.insert("clock".to_owned(), 0.into());
    message.properties.transient = false;
    let destination = Destination {
        exchange: Exchange {
            name: "celery.pidbox".to_owned(),
            kind: ExchangeKind::Fanout,
            durable: false,
        },
        routing_key: String::new(),
        may_be_dropped: true,
        declare: None,
    };
    Ok(app.broker().publish(&message, &destination).await?)
}
