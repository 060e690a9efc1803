//! Which server is to be asked: the master that Sentinels name, the node of a Cluster that has the keys.

use redis::{ConnectionInfo, Value, from_redis_value};
use tokio::task::JoinSet;

use super::failure::Failure;
use super::link::open;
use super::place::{Place, Sentinels, address_of, at};

/// How many hash slots there are (Redis Cluster specification).
const SLOTS: u16 = 16384;

type Address = (String, u16);

/// The server that has the keys with this prefix now.
pub(super) async fn locate(place: &Place, prefix: &str) -> Result<ConnectionInfo, Failure> {
    match place {
        Place::Server(server) => Ok(server.clone()),
        Place::Master(sentinels) => {
            let (host, port) = master(sentinels).await?;
            Ok(at(&sentinels.login, host, port))
        }
        Place::Cluster(seeds) => {
            let (host, port) = owner(seeds, slot(prefix.as_bytes())).await?;
            Ok(at(&seeds[0], host, port))
        }
    }
}

/// What the first Sentinel that knows it says.
async fn master(sentinels: &Sentinels) -> Result<Address, Failure> {
    let mut asked = JoinSet::new();
    for sentinel in &sentinels.addresses {
        asked.spawn(ask_sentinel(sentinel.clone(), sentinels.name.clone()));
    }
    first(asked, "no Sentinel answers").await
}

async fn ask_sentinel(sentinel: ConnectionInfo, name: String) -> Result<Address, Failure> {
    let mut connection = open(&sentinel, |_| ()).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(&name);
    let answer = connection.send_packed_command(&question).await?;
    let address: Option<Address> = from_redis_value(answer).map_err(|_| Failure::unexpected())?;
    address.ok_or_else(|| Failure::unavailable(format!("the Sentinels know no master {name:?}")))
}

/// What the first node that has a map of the cluster says.
async fn owner(seeds: &[ConnectionInfo], slot: u16) -> Result<Address, Failure> {
    let mut asked = JoinSet::new();
    for seed in seeds {
        asked.spawn(ask_node(seed.clone(), slot));
    }
    first(asked, "no node of the cluster answers").await
}

async fn ask_node(seed: ConnectionInfo, slot: u16) -> Result<Address, Failure> {
    let mut connection = open(&seed, |_| ()).await?;
    let mut question = redis::cmd("CLUSTER");
    question.arg("SLOTS");
    let answer = connection.send_packed_command(&question).await?;
    let from = address_of(&seed).map(|(host, _)| host).unwrap_or_default();
    let ranges = answer.as_sequence().unwrap_or_default();
    ranges
        .iter()
        .find_map(|range| master_in(range, slot, &from))
        .ok_or_else(|| Failure::unavailable(format!("no node of the cluster has slot {slot}")))
}

/// A range of the answer to `CLUSTER SLOTS`: first, last, the master, its replicas.
fn master_in(range: &Value, slot: u16, from: &str) -> Option<Address> {
    let [Value::Int(first), Value::Int(last), master, ..] = range.as_sequence()? else {
        return None;
    };
    let [host, Value::Int(port), ..] = master.as_sequence()? else {
        return None;
    };
    if !(*first..=*last).contains(&i64::from(slot)) {
        return None;
    }
    // A node that does not know its own name leaves it out.
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
        _ => from.to_owned(),
    };
    Some((host, u16::try_from(*port).ok()?))
}

async fn first(
    mut asked: JoinSet<Result<Address, Failure>>,
    otherwise: &str,
) -> Result<Address, Failure> {
    let mut failure = Failure::unavailable(otherwise);
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(address)) => return Ok(address),
            Ok(Err(reason)) => failure = reason,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// The hash slot of a key that begins so: that of the part in its first braces, where there is one.
fn slot(prefix: &[u8]) -> u16 {
    let tag = || {
        let (_, rest) = split_at(prefix, b'{')?;
        let (tag, _) = split_at(rest, b'}')?;
        (!tag.is_empty()).then_some(tag)
    };
    crc16(tag().unwrap_or(prefix)) % SLOTS
}

fn split_at(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..position], &bytes[position + 1..]))
}

/// CRC-16/XMODEM (Redis Cluster specification, appendix A).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_those_of_the_specification() {
        // As CLUSTER KEYSLOT of Redis 7.0 answers.
        assert_eq!(slot(b"123456789"), 12739);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }
}
