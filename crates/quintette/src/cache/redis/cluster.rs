//! Redis Cluster: which node has a name, and where it goes when that changes.
//!
//! The client of the crate redis is not used for this, since it sends a command again when the connection is lost
//! before its answer: a compare-and-swap that was done would then be told as a conflict, and be done twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{ConnectionInfo, Pipeline, ServerError, ServerErrorKind, Value};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use super::failure::Failure;
use super::link::{Link, Target, connect, explain, pause};
use super::place::{Address, address_of, at};

/// How many hash slots there are (Redis Cluster specification).
const SLOTS: u16 = 16384;

/// How often a request is sent elsewhere, or again after it was put off.
const REDIRECTIONS: usize = 8;

/// How long a request waits that was put off, and how long the map is left alone after it was asked for.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a map is believed without a reason to doubt it.
const MAP_AGE: Duration = Duration::from_mins(1);

/// A Redis Cluster: links to its masters, and the map that says which of them has which names.
pub(super) struct Cluster {
    nodes: Arc<Nodes>,
    map: watch::Receiver<Map>,
    cartographer: AbortHandle,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.cartographer.abort();
    }
}

#[derive(Clone)]
enum Map {
    Unread,
    Unreadable(Arc<str>),
    Read(Arc<[Slots]>),
}

/// The node that has these slots.
struct Slots {
    first: u16,
    last: u16,
    node: Arc<Node>,
}

struct Node {
    address: Address,
    link: Link,
}

struct Nodes {
    /// Nodes that are asked where no other answers. The first also says how to log in.
    seeds: Vec<ConnectionInfo>,
    wait: Duration,
    known: Mutex<HashMap<Address, Arc<Node>>>,
    /// The map is in doubt.
    doubt: Notify,
}

impl Cluster {
    /// Begins to read the map.
    pub(super) fn new(seeds: Vec<ConnectionInfo>, wait: Duration) -> Self {
        let nodes = Arc::new(Nodes {
            seeds,
            wait,
            known: Mutex::default(),
            doubt: Notify::new(),
        });
        let (sender, map) = watch::channel(Map::Unread);
        let cartographer = tokio::spawn(read_maps(nodes.clone(), sender)).abort_handle();
        Self {
            nodes,
            map,
            cartographer,
        }
    }

    /// Sends these commands, all about `name`, to the master that has it.
    ///
    /// They are sent again only where a node has answered that it did not do them.
    pub(super) async fn send(
        &self,
        name: &str,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let slot = slot(name.as_bytes());
        let mut node = self.owner(slot, deadline).await?;
        let mut is_asking = false;
        for _ in 0..REDIRECTIONS {
            let answer = if is_asking {
                send_asking(&node.link, commands, deadline).await
            } else {
                node.link.send(commands, deadline).await
            };
            let refused = match answer {
                Ok(values) => return Ok(values),
                Err(Failure::Refused(error)) => error,
                Err(failure) => {
                    self.nodes.doubt.notify_one();
                    return Err(failure);
                }
            };
            is_asking = false;
            match refused.kind() {
                Some(ServerErrorKind::Moved) => {
                    self.nodes.doubt.notify_one();
                    node = self.nodes.redirected(&node, &refused)?;
                }
                Some(ServerErrorKind::Ask) => {
                    node = self.nodes.redirected(&node, &refused)?;
                    is_asking = true;
                }
                // It is being moved, or its master has become a replica.
                Some(ServerErrorKind::TryAgain | ServerErrorKind::ReadOnly) => {
                    self.nodes.doubt.notify_one();
                    if timeout_at(deadline, sleep(PAUSE)).await.is_err() {
                        return Err(Failure::Refused(refused));
                    }
                    node = self.owner(slot, deadline).await?;
                }
                Some(ServerErrorKind::ClusterDown) => {
                    self.nodes.doubt.notify_one();
                    return Err(Failure::Refused(refused));
                }
                _ => return Err(Failure::Refused(refused)),
            }
        }
        Err(Failure::unsent("its nodes send a request in circles"))
    }

    async fn owner(&self, slot: u16, deadline: Instant) -> Result<Arc<Node>, Failure> {
        let mut map = self.map.clone();
        let read = map.wait_for(|map| !matches!(map, Map::Unread));
        let reason: Arc<str> = match timeout_at(deadline, read).await {
            Ok(Ok(map)) => match &*map {
                Map::Read(map) => {
                    let found = map.get(map.partition_point(|slots| slots.last < slot));
                    match found.filter(|slots| slots.first <= slot) {
                        Some(slots) => return Ok(slots.node.clone()),
                        None => format!("no node of the cluster has slot {slot}").into(),
                    }
                }
                Map::Unreadable(reason) => reason.clone(),
                Map::Unread => "the map of the cluster is being read".into(),
            },
            Ok(Err(_)) => "the runtime is shutting down".into(),
            Err(_) => "no node of the cluster answers".into(),
        };
        self.nodes.doubt.notify_one();
        Err(Failure::Unsent(reason))
    }
}

/// `ASKING` holds for the next command alone.
async fn send_asking(
    link: &Link,
    commands: &Pipeline,
    deadline: Instant,
) -> Result<Vec<Value>, Failure> {
    let mut asking = redis::pipe();
    for command in commands.cmd_iter() {
        asking.cmd("ASKING").add_command(command.clone());
    }
    let values = link.send(&asking, deadline).await?;
    Ok(values.into_iter().skip(1).step_by(2).collect())
}

impl Nodes {
    fn node(&self, address: Address) -> Arc<Node> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let node = known.entry(address).or_insert_with_key(|address| {
            let server = at(&self.seeds[0], address.0.clone(), address.1);
            Arc::new(Node {
                address: address.clone(),
                link: Link::new(Target::Server(server), self.wait),
            })
        });
        node.clone()
    }

    /// Where `MOVED 1234 host:port` and `ASK` point to; without a host, to the one that says so.
    fn redirected(&self, from: &Node, error: &ServerError) -> Result<Arc<Node>, Failure> {
        let address = error.details().and_then(|details| {
            let (host, port) = details.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
            let host = if host.is_empty() {
                &from.address.0
            } else {
                host
            };
            Some((host.to_owned(), port.parse().ok()?))
        });
        match address {
            Some(address) => Ok(self.node(address)),
            None => Err(Failure::Refused(error.clone())),
        }
    }

    /// The map, from the first node that answers, beginning with another one each time.
    async fn read_map(&self, turn: usize) -> Result<Vec<Slots>, Arc<str>> {
        let mut question = redis::pipe();
        question.cmd("CLUSTER").arg("SLOTS");
        let mut up: Vec<_> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let up = known.values().filter(|node| node.link.is_up());
            up.cloned().collect()
        };
        up.sort_by(|one, other| one.address.cmp(&other.address));
        let mut reason = "no node of the cluster answers".into();
        for n in 0..up.len() {
            let node = &up[(turn + n) % up.len()];
            let answer = node
                .link
                .send(&question, Instant::now() + self.wait / 2)
                .await;
            match answer {
                Ok(values) => match self.parse_map(&values, &node.address.0) {
                    Some(map) => return Ok(map),
                    None => reason = "a node has no map of the cluster".into(),
                },
                Err(failure) => reason = failure.to_string().into(),
            }
        }
        for n in 0..self.seeds.len() {
            let seed = &self.seeds[(turn + n) % self.seeds.len()];
            let asked = async {
                let mut connection = connect(seed, None).await?;
                let asked = connection.send_packed_commands(&question, 0, 1).await?;
                asked.into_iter().map(Value::extract_error).collect()
            };
            match timeout(self.wait, asked).await {
                Ok(Ok(values)) => {
                    let values: Vec<Value> = values;
                    match self.parse_map(&values, &address_of(seed).0) {
                        Some(map) => return Ok(map),
                        None => reason = "it has no map of the cluster".into(),
                    }
                }
                Ok(Err(error)) => reason = explain(error).into(),
                Err(_) => reason = "no node of the cluster answers".into(),
            }
        }
        Err(reason)
    }

    /// Reads the answer to `CLUSTER SLOTS`: ranges, each with its master and then its replicas.
    fn parse_map(&self, answer: &[Value], from: &str) -> Option<Vec<Slots>> {
        let ranges = answer.first()?.as_sequence()?;
        let mut map = Vec::with_capacity(ranges.len());
        for range in ranges {
            let [Value::Int(first), Value::Int(last), master, ..] = range.as_sequence()? else {
                return None;
            };
            let [host, Value::Int(port), ..] = master.as_sequence()? else {
                return None;
            };
            // A node that does not know its own name leaves it out.
            let host = match host {
                Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()),
                _ => Ok(from.to_owned()),
            };
            map.push(Slots {
                first: u16::try_from(*first).ok()?,
                last: u16::try_from(*last).ok()?,
                node: self.node((host.ok()?, u16::try_from(*port).ok()?)),
            });
        }
        map.sort_by_key(|slots| slots.first);
        (!map.is_empty()).then_some(map)
    }

    fn forget_all_but(&self, map: &[Slots]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|address, _| map.iter().any(|slots| slots.node.address == *address));
    }
}

/// Reads the map whenever it is in doubt.
async fn read_maps(nodes: Arc<Nodes>, sender: watch::Sender<Map>) {
    let mut failures = 0;
    for turn in 0.. {
        match nodes.read_map(turn).await {
            Ok(map) => {
                failures = 0;
                nodes.forget_all_but(&map);
                sender.send_replace(Map::Read(map.into()));
            }
            Err(reason) => {
                sender.send_if_modified(|map| {
                    let was_unread = matches!(map, Map::Unread);
                    if was_unread {
                        warn!(target: "quintette::cache", %reason, "the map of the Redis Cluster is not to be read; trying on");
                    }
                    // An old map is better than none.
                    if !matches!(map, Map::Read(_)) {
                        *map = Map::Unreadable(reason);
                    }
                    true
                });
                failures += 1;
                nodes.doubt.notify_one();
            }
        }
        sleep(PAUSE + pause(failures)).await;
        let _ = timeout(MAP_AGE, nodes.doubt.notified()).await;
    }
}

/// The hash slot of a name: that of the part in its first braces, where there is one.
fn slot(name: &[u8]) -> u16 {
    let tag = || {
        let (_, rest) = split_at(name, b'{')?;
        let (tag, _) = split_at(rest, b'}')?;
        (!tag.is_empty()).then_some(tag)
    };
    crc16(tag().unwrap_or(name)) % SLOTS
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
        assert_eq!(slot(b""), 0);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
        assert_ne!(slot(b"foo{}{bar}"), slot(b"bar"));
    }
}
