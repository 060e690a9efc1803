//! What lapin's errors mean.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use crate::brokers::{BrokerError, BrokerErrorKind};

use super::url::Server;

/// An error of the broker's, of the connection's, or of one channel.
pub(super) fn failure(server: &Server, doing: &str, error: lapin::Error) -> BrokerError {
    let what = match error.kind() {
        ErrorKind::ProtocolError(refusal) => refusal.get_message().to_string(),
        _ => error.to_string(),
    };
    let advice = match soft(&error) {
        Some(AMQPSoftError::PRECONDITIONFAILED) if what.contains("inequivalent") => {
            "; declare it as it is, or delete it first"
        }
        _ if what.starts_with("ACCESS_REFUSED - Login") => {
            "; look at the user and the password of broker_url"
        }
        _ => "",
    };
    BrokerError::new(kind(&error), format!("{server}: {doing}: {what}{advice}")).with_source(error)
}

fn kind(error: &lapin::Error) -> BrokerErrorKind {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return BrokerErrorKind::Unavailable;
    };
    match refusal.kind() {
        // A broker that shuts down, an exclusive queue whose former connection is not buried yet.
        AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED | AMQPHardError::INTERNALERROR)
        | AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => BrokerErrorKind::Unavailable,
        _ => BrokerErrorKind::Refused,
    }
}

/// Whether what was asked for does not exist.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    matches!(soft(error), Some(AMQPSoftError::NOTFOUND))
}

fn soft(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => match refusal.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}
