use std::net::SocketAddr;

use super::ServerError;
use super::redis::{self, DURABLE};
use super::resp::{Answer, ask};
use super::server::{Server, wait};

const NAME: &str = "Redis Sentinel";

const SERVICE: &str = "mymaster";

const SENTINELS: usize = 3;

/// A private Redis that fails over: a master, replicas, and three Sentinels of which two decide.
///
/// A master is held to be down after 500 ms, on a very busy machine also one that is not; a replica is promoted within a
/// second or two. What the old master acknowledged and had not yet sent to its replicas is lost then, as with any Redis.
///
/// ```no_run
/// use quintette_testkit::servers::RedisSentinel;
///
/// let redis = RedisSentinel::start()?;
/// let killed = redis.kill_master()?;
/// let promoted = redis.wait_for_failover(killed)?;
/// assert_ne!(promoted, killed);
/// redis.restart_killed()?; // as a replica of the new one
/// # Ok::<(), quintette_testkit::servers::ServerError>(())
/// ```
#[derive(Debug)]
pub struct RedisSentinel {
    sentinels: Vec<Server>,
    servers: Vec<Server>,
}

impl RedisSentinel {
    /// Starts a master, one replica and the three Sentinels; returns when they know each other.
    ///
    /// # Errors
    ///
    /// Where Redis is not installed or does not start, or where the Sentinels do not find each other.
    pub fn start() -> Result<Self, ServerError> {
        Self::with_replicas(1)
    }

    /// The same with that many replicas.
    ///
    /// # Errors
    ///
    /// Where Redis is not installed or does not start, or where the Sentinels do not find each other.
    pub fn with_replicas(count: usize) -> Result<Self, ServerError> {
        let fast = format!("{DURABLE}repl-diskless-sync-delay 0\n");
        let master = redis::node("Redis", &fast, Vec::new(), None)?;
        let port = master.port();
        let following = format!("{fast}replicaof 127.0.0.1 {port}\n");
        let mut servers = vec![master];
        for _ in 0..count {
            servers.push(redis::node("Redis", &following, Vec::new(), None)?);
        }
        // A Sentinel asks for the replicas when it starts, and then only every ten seconds.
        for replica in servers.iter().skip(1) {
            wait(NAME, "has a replica that does not follow", || {
                let said = ask(replica.address(), &["INFO", "replication"])?.text();
                Ok((said.contains("master_link_status:up"), said))
            })?;
        }
        let watching = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {SERVICE} 500\n\
             sentinel failover-timeout {SERVICE} 2000\n"
        );
        let sentinel = || redis::node(NAME, &watching, vec!["--sentinel".into()], None);
        let sentinels: Result<Vec<_>, _> = (0..SENTINELS).map(|_| sentinel()).collect();
        let redis = Self {
            sentinels: sentinels?,
            servers,
        };
        redis.wait_until_whole()?;
        Ok(redis)
    }

    /// `redis+sentinel://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT/mymaster/0`, with the Sentinels' ports.
    pub fn url(&self) -> String {
        let sentinels = self.sentinels.iter().map(|it| it.address().to_string());
        let sentinels = sentinels.collect::<Vec<_>>().join(",");
        format!("redis+sentinel://{sentinels}/{SERVICE}/0")
    }

    /// `redis://127.0.0.1:PORT` of each Sentinel.
    pub fn sentinel_urls(&self) -> Vec<String> {
        let sentinels = self.sentinels.iter();
        sentinels
            .map(|it| format!("redis://{}", it.address()))
            .collect()
    }

    /// The name under which the Sentinels know the master: `mymaster`.
    pub fn service_name(&self) -> &'static str {
        SERVICE
    }

    /// The port of the master, as the Sentinels have it.
    ///
    /// # Errors
    ///
    /// Where no Sentinel that runs answers.
    pub fn master_port(&self) -> Result<u16, ServerError> {
        let mut sentinels = self.sentinels.iter();
        let none = || failed("has no Sentinel that runs", String::new());
        let sentinel = sentinels.find(|it| it.is_running()).ok_or_else(none)?;
        master_port(sentinel)
    }

    /// Kills the master with SIGKILL, and returns its port.
    ///
    /// # Errors
    ///
    /// Where the Sentinels do not say which it is.
    pub fn kill_master(&self) -> Result<u16, ServerError> {
        let port = self.master_port()?;
        let master = self.servers.iter().find(|it| it.port() == port);
        let stranger = || failed("names a stranger as its master", port.to_string());
        master.ok_or_else(stranger)?.kill();
        Ok(port)
    }

    /// Kills a Sentinel with SIGKILL; of three, one may be missing.
    ///
    /// # Panics
    ///
    /// Where there is no such Sentinel.
    pub fn kill_sentinel(&self, sentinel: usize) {
        self.sentinels[sentinel].kill();
    }

    /// Waits until all Sentinels that run have another master than the one at `port`, and until that takes writes; returns
    /// its port.
    ///
    /// # Errors
    ///
    /// Where that is not so after a minute.
    pub fn wait_for_failover(&self, port: u16) -> Result<u16, ServerError> {
        for sentinel in self.sentinels.iter().filter(|it| it.is_running()) {
            wait(NAME, "has not failed over", || {
                let now = master_port(sentinel)?;
                Ok((now != port, format!("the master is at port {now}")))
            })?;
        }
        let promoted = self.master_port()?;
        wait(NAME, "has promoted nobody", || {
            let address = SocketAddr::from(([127, 0, 0, 1], promoted));
            let said = ask(address, &["INFO", "replication"])?.text();
            Ok((said.contains("role:master"), said))
        })?;
        Ok(promoted)
    }

    /// Starts again whatever was killed, over its data and on its port; an old master becomes a replica of the new one
    /// after a while: see [`wait_until_whole`](Self::wait_until_whole).
    ///
    /// # Errors
    ///
    /// Where one does not start.
    pub fn restart_killed(&self) -> Result<(), ServerError> {
        let all = self.servers.iter().chain(&self.sentinels);
        for server in all.filter(|it| !it.is_running()) {
            server.restart()?;
        }
        Ok(())
    }

    /// Waits until every Sentinel that runs knows all servers and the other Sentinels, and until every server that runs
    /// follows the master.
    ///
    /// # Errors
    ///
    /// Where that is not so after a minute: its text says what is known instead.
    pub fn wait_until_whole(&self) -> Result<(), ServerError> {
        let replicas = (self.servers.len() - 1).to_string();
        let others = (SENTINELS - 1).to_string();
        for sentinel in self.sentinels.iter().filter(|it| it.is_running()) {
            wait(NAME, "is not whole", || {
                let known = pairs(ask(sentinel.address(), &["SENTINEL", "MASTER", SERVICE])?);
                let is = |wanted: &str, value: &str| {
                    let mut known = known.iter();
                    known.any(|(name, known)| name == wanted && known == value)
                };
                let whole = is("flags", "master")
                    && is("num-slaves", &replicas)
                    && is("num-other-sentinels", &others);
                Ok((whole, format!("{known:?}")))
            })?;
        }
        for server in self.servers.iter().filter(|it| it.is_running()) {
            wait(NAME, "is not followed", || {
                let master = self.master_port()?;
                let said = ask(server.address(), &["INFO", "replication"])?.text();
                let follows = said.contains(&format!("master_port:{master}\r\n"))
                    && said.contains("master_link_status:up");
                Ok((follows || server.port() == master, said))
            })?;
        }
        Ok(())
    }
}

fn master_port(sentinel: &Server) -> Result<u16, ServerError> {
    let request = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
    let answer = ask(sentinel.address(), &request);
    let answer = answer.map_err(ServerError::io("ask a Sentinel for the master"))?;
    let Answer::List(address) = answer else {
        return Err(failed("knows no master", String::new()));
    };
    let port = address.last().map(Answer::text).unwrap_or_default();
    port.parse().map_err(|_| failed("has an odd port", port))
}

/// A list of names, each followed by its value.
fn pairs(answer: Answer) -> Vec<(String, String)> {
    let Answer::List(items) = answer else {
        return Vec::new();
    };
    let pairs = items.chunks_exact(2);
    pairs.map(|pair| (pair[0].text(), pair[1].text())).collect()
}

fn failed(problem: &str, log: String) -> ServerError {
    ServerError::Failed {
        server: NAME,
        problem: problem.to_owned(),
        log,
    }
}
