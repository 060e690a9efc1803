use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionInfo, Value, from_redis_value};
use tokio::task::JoinSet;

use super::link::{End, connect, explain};
use super::place::{Address, at};

/// The Sentinels that watch over a master, of which each knows where it is.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub(super) addresses: Vec<ConnectionInfo>,
    /// The name under which they know the master.
    pub(super) name: String,
    /// How to log in at the master, whatever its address is.
    pub(super) login: ConnectionInfo,
}

impl Sentinels {
    /// A connection to the master.
    ///
    /// While they fail over, Sentinels may name the one that was it: it must say itself that it is.
    pub(super) async fn connect(&self, end: &Arc<End>) -> Result<MultiplexedConnection, String> {
        let (host, port) = self.master().await?;
        let master = at(&self.login, host.clone(), port);
        let mut connection = connect(&master, Some(end)).await.map_err(explain)?;
        let role = redis::cmd("ROLE");
        let role: Vec<Value> = role.query_async(&mut connection).await.map_err(explain)?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
            _ => Err(format!(
                "the Sentinels call {host}:{port} the master {:?}, which it is not",
                self.name
            )),
        }
    }

    /// What the first Sentinel that knows it says.
    async fn master(&self) -> Result<Address, String> {
        let mut asked = JoinSet::new();
        for sentinel in &self.addresses {
            asked.spawn(ask(sentinel.clone(), self.name.clone()));
        }
        let mut reason = "no Sentinel answers".to_owned();
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(address)) => return Ok(address),
                Ok(Err(error)) => reason = error,
                Err(_) => {}
            }
        }
        Err(reason)
    }
}

async fn ask(sentinel: ConnectionInfo, name: String) -> Result<Address, String> {
    let explained = |error| format!("a Sentinel does not tell: {}", explain(error));
    let mut connection = connect(&sentinel, None).await.map_err(explained)?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(&name);
    let answer: Value = question
        .query_async(&mut connection)
        .await
        .map_err(explained)?;
    let address: Option<Address> =
        from_redis_value(answer).map_err(|error| explained(error.into()))?;
    address.ok_or_else(|| format!("the Sentinels know no master {name:?}"))
}
