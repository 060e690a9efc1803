use std::net::SocketAddr;
use std::thread;

use super::ServerError;
use super::place::Port;
use super::redis::{self, DURABLE};
use super::resp::{Answer, ask};
use super::server::{Server, wait};

const NAME: &str = "Redis Cluster";

const MASTERS: usize = 3;

/// Of the whole key space: redis.io, "Redis cluster specification".
const SLOTS: usize = 16_384;

/// A replica takes over about two seconds after its master is gone, however old its data is.
const CONFIGURATION: &str = "
cluster-enabled yes
cluster-node-timeout 1000
cluster-replica-validity-factor 0
repl-diskless-sync-delay 0
";

/// A private Redis Cluster: three masters, or these and a replica of each. All of them keep an append-only file.
///
/// Nodes are counted from 0: the masters first, then the replicas in their masters' order, as they were at the start.
/// While one of three masters is down and has no replica, the cluster answers `CLUSTERDOWN`, as it does by default.
///
/// ```no_run
/// use quintette_testkit::servers::RedisCluster;
///
/// let cluster = RedisCluster::with_replicas()?;
/// let killed = cluster.kill_master_of("session")?;
/// cluster.wait_until_whole()?; // its replica has taken over
/// cluster.restart_node(killed)?;
/// # Ok::<(), quintette_testkit::servers::ServerError>(())
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Server>,
}

impl RedisCluster {
    /// Starts three masters; returns when each of them knows that all slots are served.
    ///
    /// # Errors
    ///
    /// Where Redis is not installed or does not start, or where the nodes do not find each other.
    pub fn start() -> Result<Self, ServerError> {
        Self::of(MASTERS)
    }

    /// Starts three masters with one replica each; returns when the replicas follow their masters.
    ///
    /// # Errors
    ///
    /// Where Redis is not installed or does not start, or where the nodes do not find each other.
    pub fn with_replicas() -> Result<Self, ServerError> {
        Self::of(2 * MASTERS)
    }

    fn of(count: usize) -> Result<Self, ServerError> {
        let nodes = thread::scope(|scope| {
            let starting: Vec<_> = (0..count).map(|_| scope.spawn(node)).collect();
            let started = starting.into_iter().map(|thread| {
                let panicked = |_| failed("panicked at its start", String::new());
                thread.join().map_err(panicked)?
            });
            started.collect::<Result<Vec<Server>, ServerError>>()
        })?;
        let cluster = Self { nodes };
        cluster.introduce()?;
        cluster.follow()?;
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// `redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,…` with all nodes.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.addresses().iter().map(ToString::to_string).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// `redis://127.0.0.1:PORT` of each node.
    pub fn urls(&self) -> Vec<String> {
        let addresses = self.addresses().into_iter();
        addresses
            .map(|address| format!("redis://{address}"))
            .collect()
    }

    /// The address of each node.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Server::address).collect()
    }

    /// Kills a node with SIGKILL; returns when it is gone.
    ///
    /// # Panics
    ///
    /// Where there is no such node.
    pub fn kill_node(&self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a node again, on the same port and over the same data; returns when it answers, which is before it has found
    /// its place: see [`wait_until_whole`](Self::wait_until_whole).
    ///
    /// # Errors
    ///
    /// Where it does not start.
    ///
    /// # Panics
    ///
    /// Where there is no such node.
    pub fn restart_node(&self, node: usize) -> Result<(), ServerError> {
        self.nodes[node].restart()
    }

    /// Which node serves a key now.
    ///
    /// # Errors
    ///
    /// Where no node that runs knows it.
    pub fn master_of(&self, key: &str) -> Result<usize, ServerError> {
        let request = ["CLUSTER", "KEYSLOT", key];
        let slot = ask_node(self.any()?, &request)?.text().parse::<usize>();
        let slot = slot.map_err(|error| failed("has an odd slot", error.to_string()))?;
        let request = ["CLUSTER", "NODES"];
        let table = ask_node(self.any()?, &request)?.text();
        let nobody = || failed(&format!("has nobody for slot {slot}"), table.clone());
        let address = table
            .lines()
            .find_map(|line| address_if_serving(line, slot))
            .ok_or_else(nobody)?;
        let mut addresses = self.addresses().into_iter();
        addresses
            .position(|known| known == address)
            .ok_or_else(nobody)
    }

    /// Kills the node that serves a key now, with SIGKILL, and returns which it was.
    ///
    /// # Errors
    ///
    /// Where no node that runs knows it.
    pub fn kill_master_of(&self, key: &str) -> Result<usize, ServerError> {
        let node = self.master_of(key)?;
        self.kill_node(node);
        Ok(node)
    }

    /// Waits until all nodes that run agree that every slot is served by one that runs, and until the replicas among them
    /// have caught up with their masters.
    ///
    /// # Errors
    ///
    /// Where that is not so after a minute: its text says what a node thinks instead.
    pub fn wait_until_whole(&self) -> Result<(), ServerError> {
        self.wait("is not whole", |node| {
            let state = ask_node(node, &["CLUSTER", "INFO"])?.text();
            let replication = ask_node(node, &["INFO", "replication"])?.text();
            let table = ask_node(node, &["CLUSTER", "NODES"])?.text();
            let whole = state.contains("cluster_state:ok")
                && !replication.contains("master_link_status:down")
                && !self.relies_on_the_dead(&table);
            Ok((whole, format!("{state}{replication}{table}")))
        })
    }

    /// Whether a node's table still gives slots to a node that does not run.
    fn relies_on_the_dead(&self, table: &str) -> bool {
        let dead = self.nodes.iter().filter(|node| !node.is_running());
        let dead: Vec<SocketAddr> = dead.map(Server::address).collect();
        let mut serving = table.lines().filter_map(|line| {
            let line = Line::of(line)?;
            (!line.slots.is_empty()).then_some(line.address)
        });
        serving.any(|address| dead.contains(&address))
    }

    /// Gives each master its third of the slots, and makes all nodes known to each other.
    fn introduce(&self) -> Result<(), ServerError> {
        for (position, node) in self.nodes.iter().enumerate() {
            let epoch = (position + 1).to_string();
            ask_node(node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
            if position < MASTERS {
                let slots = position * SLOTS / MASTERS..(position + 1) * SLOTS / MASTERS;
                let slots: Vec<String> = slots.map(|slot| slot.to_string()).collect();
                let words = ["CLUSTER", "ADDSLOTS"].into_iter();
                let words: Vec<&str> = words.chain(slots.iter().map(String::as_str)).collect();
                ask_node(node, &words)?;
            }
        }
        for one in &self.nodes {
            let port = one.port().to_string();
            let bus = bus_port(one)?;
            for other in &self.nodes {
                ask_node(other, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        self.wait("has not met", |node| {
            let state = ask_node(node, &["CLUSTER", "INFO"])?.text();
            let all = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
            Ok((state.contains(&all), state))
        })
    }

    /// Makes each node after the masters the replica of one.
    fn follow(&self) -> Result<(), ServerError> {
        for (master, replica) in self.nodes.iter().zip(self.nodes.iter().skip(MASTERS)) {
            let master = ask_node(master, &["CLUSTER", "MYID"])?.text();
            ask_node(replica, &["CLUSTER", "REPLICATE", &master])?;
        }
        Ok(())
    }

    fn any(&self) -> Result<&Server, ServerError> {
        let mut nodes = self.nodes.iter();
        let none = || failed("has no node that runs", String::new());
        nodes.find(|node| node.is_running()).ok_or_else(none)
    }

    /// Waits until each node that runs is content; else fails with what one said last.
    fn wait(
        &self,
        problem: &str,
        content: impl Fn(&Server) -> Result<(bool, String), ServerError>,
    ) -> Result<(), ServerError> {
        let mut running = self.nodes.iter().filter(|node| node.is_running());
        running.try_for_each(|node| wait(NAME, problem, || Ok(content(node)?)))
    }
}

/// A node that knows nobody yet. Its second port is for the other nodes.
fn node() -> Result<Server, ServerError> {
    let configuration = format!("{DURABLE}{CONFIGURATION}");
    redis::node(NAME, &configuration, Vec::new(), Some(Port::claim()?))
}

/// The port at which a node listens to the others.
fn bus_port(node: &Server) -> Result<String, ServerError> {
    match ask_node(node, &["CONFIG", "GET", "cluster-port"])? {
        Answer::List(pair) => Ok(pair.last().map(Answer::text).unwrap_or_default()),
        _ => Err(failed("has no bus port", String::new())),
    }
}

fn ask_node(node: &Server, words: &[&str]) -> Result<Answer, ServerError> {
    let attempt = words.iter().take(3).copied().collect::<Vec<_>>().join(" ");
    ask(node.address(), words).map_err(ServerError::io(format!("ask {NAME} for {attempt}")))
}

fn failed(problem: &str, log: String) -> ServerError {
    ServerError::Failed {
        server: NAME,
        problem: problem.to_owned(),
        log,
    }
}

/// What is needed of a line of `CLUSTER NODES`: id, address, flags, master, two times, epoch, link, and then slots.
struct Line<'a> {
    address: SocketAddr,
    slots: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let (address, _) = words.nth(1)?.split_once('@')?;
        Some(Self {
            address: address.parse().ok()?,
            slots: words.skip(6).collect(),
        })
    }
}

fn address_if_serving(line: &str, slot: usize) -> Option<SocketAddr> {
    let line = Line::of(line)?;
    let mut slots = line.slots.iter();
    let serves = slots.any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bounds = first.parse::<usize>().ok().zip(last.parse::<usize>().ok());
        bounds.is_some_and(|(first, last)| (first..=last).contains(&slot))
    });
    serves.then_some(line.address)
}
