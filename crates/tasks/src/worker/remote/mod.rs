//! Remote control: the worker's end of `celery inspect` and `celery control`, and what it tells monitors.

mod commands;
mod events;
mod inspect;

use std::time::Duration;

use serde_json::{Map, Value};
use tracing::{debug, error, warn};

use super::handle::WorkerHandle;
use crate::brokers::{BrokerError, ConsumeOptions, Consumer, Delivery};
use crate::control::mailbox::{self, Command};
use crate::events::EventDispatcher;

pub(super) use events::TaskEvents;

/// How long before the broker is asked again, after it was away.
const PAUSE: Duration = Duration::from_secs(2);

/// Obeys commands until it is dropped. It reconnects by itself, so that a worker whose broker came back can be steered.
pub(super) async fn obey(handle: WorkerHandle, events: EventDispatcher) {
    let inbox = mailbox::inbox(&handle.state.hostname);
    let options = ConsumeOptions {
        prefetch: 0,
        no_ack: true,
    };
    let remote = Remote { handle, events };
    loop {
        match remote
            .handle
            .app
            .broker()
            .consume(std::slice::from_ref(&inbox), options)
            .await
        {
            Ok(mut consumer) => {
                let lost = remote.listen(&mut *consumer).await;
                debug!("remote control lost its connection: {lost}");
            }
            Err(refused) if refused.kind() == crate::brokers::BrokerErrorKind::Unsupported => {
                return debug!("this broker carries no remote control: {refused}");
            }
            Err(away) => debug!("remote control has no connection: {away}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the other workers which tasks are revoked, as each worker does that starts (Celery's `mingle`).
pub(super) async fn mingle(handle: WorkerHandle) {
    let state = &handle.state;
    let hello = handle
        .app
        .control()
        .argument("from_node", &*state.hostname)
        .argument("revoked", state.revoked());
    let answers = match hello.ask("hello").await {
        Ok(answers) => answers,
        Err(away) => return debug!("the other workers are not asked what is revoked: {away}"),
    };
    let revoked: Vec<String> = answers
        .values()
        .flat_map(|answer| inspect::ids(answer.get("revoked")))
        .collect();
    for answer in answers.values() {
        let clock = answer.get("clock").and_then(Value::as_u64);
        state.clock.adjust(clock.unwrap_or(0));
    }
    if !revoked.is_empty() {
        handle.revoke(revoked, false).await;
    }
}

struct Remote {
    handle: WorkerHandle,
    events: EventDispatcher,
}

impl Remote {
    async fn listen(&self, consumer: &mut dyn Consumer) -> BrokerError {
        loop {
            match consumer.next().await {
                Ok(batch) => {
                    for delivery in batch {
                        self.take(delivery).await;
                    }
                }
                Err(lost) => return lost,
            }
        }
    }

    /// A command that cannot be read is somebody else's mistake: it is logged, and the worker goes on.
    async fn take(&self, delivery: Delivery) {
        let message = match delivery.message {
            Ok(message) => message,
            Err(malformed) => {
                return error!("a control command cannot be read: {}", malformed.reason);
            }
        };
        let command: Command = match serde_json::from_slice(&message.body) {
            Ok(command) => command,
            Err(wrong) => return error!("a control command cannot be read: {wrong}"),
        };
        if !mailbox::is_current(&message.headers) || !command.is_for(&self.handle.state.hostname) {
            return;
        }
        let heard = message.headers.get("clock").and_then(Value::as_u64);
        self.handle.state.clock.adjust(heard.unwrap_or(0));
        let answer = self
            .execute(&command.method, command.arguments.unwrap_or_default())
            .await;
        if let (Some(to), Some(ticket), Some(answer)) = (&command.reply_to, &command.ticket, answer)
        {
            let state = &self.handle.state;
            let (reply, destination) =
                mailbox::reply(to, ticket, state.clock.forward(), &state.hostname, &answer);
            if let Err(away) = self.handle.app.broker().publish(&reply, &destination).await {
                warn!("the reply to {:?} did not leave: {away}", command.method);
            }
        }
    }

    /// What is answered; `None` where nothing is.
    async fn execute(&self, method: &str, arguments: Map<String, Value>) -> Option<Value> {
        if let Some(answer) = inspect::answer(&self.handle, method, &arguments) {
            return Some(answer);
        }
        commands::obey(self, method, arguments).await
    }
}
