//! `memory://`: messages in this process.

use async_trait::async_trait;

use super::{
    Broker, BrokerError, BrokerErrorKind, BrokerInfo, ConsumeOptions, Consumer, Destination, Queue,
};
use crate::protocol::Message;

/// Messages in this process: the default, for development and for what may be lost with the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryBroker {}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, _: &Message, _: &Destination) -> Result<(), BrokerError> {
        Err(BrokerError::new(BrokerErrorKind::Unavailable, "not yet"))
    }

    async fn consume(
        &self,
        _: &[Queue],
        _: ConsumeOptions,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        Err(BrokerError::new(BrokerErrorKind::Unavailable, "not yet"))
    }

    async fn declare(&self, _: &Queue) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn purge(&self, _: &str) -> Result<u64, BrokerError> {
        Ok(0)
    }

    async fn waiting(&self, _: &str) -> Result<u64, BrokerError> {
        Ok(0)
    }

    fn info(&self) -> BrokerInfo {
        BrokerInfo {
            transport: "memory",
            ..BrokerInfo::default()
        }
    }
}
