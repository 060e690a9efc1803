use quintette_core::json::RawJson;

use super::SendError;
use crate::app::App;
use crate::brokers::Destination;
use crate::protocol::Message;
use crate::signature::{RetryPolicy, Signature};

/// What is to be sent, and what is to be stored before.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The messages.
    pub calls: Vec<Call>,
    /// How long the bodies of the messages are together.
    pub bytes: usize,
    /// How many parts chords have, by their groups.
    pub sizes: Vec<(String, u64)>,
    /// Groups whose children are more than tasks: `[[id, parent], children]`.
    pub groups: Vec<(String, RawJson)>,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Call {
    pub message: Message,
    pub destination: Destination,
    pub retry: RetryPolicy,
}

impl Plan {
    /// Adds a task's message.
    pub(crate) fn call(
        &mut self,
        app: &App,
        signature: &Signature,
        id: &str,
    ) -> Result<(), SendError> {
        let call = super::call::message(app, signature, id)?;
        self.bytes += call.message.body.len();
        self.calls.push(call);
        Ok(())
    }
}
