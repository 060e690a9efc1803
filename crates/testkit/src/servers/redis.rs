use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;

use rustix::process::Signal;

use super::ServerError;
use super::place::Port;
use super::process;
use super::resp::ask;
use super::server::{Abandon, Recipe, Server};

/// Written before each answer and flushed by the kernel. `everysec` would hold writes back, by up to two seconds, while a
/// flush is under way, and a killed Redis would have acknowledged what it had not written.
pub(super) const DURABLE: &str = "appendonly yes\nappendfsync no\nauto-aof-rewrite-percentage 0\n";

/// A private Redis, with 16 databases and no password.
///
/// ```no_run
/// use quintette_testkit::servers::Redis;
///
/// let redis = Redis::durable()?;
/// redis.kill();
/// redis.restart()?; // with all that it acknowledged
/// # Ok::<(), quintette_testkit::servers::ServerError>(())
/// ```
#[derive(Debug)]
pub struct Redis {
    server: Server,
}

impl Redis {
    /// Starts one that keeps its data in memory alone: killed or stopped, it has forgotten everything.
    ///
    /// # Errors
    ///
    /// Where Redis is not installed or does not start.
    pub fn start() -> Result<Self, ServerError> {
        let server = node("Redis", "", Vec::new(), None)?;
        Ok(Self { server })
    }

    /// Starts one whose acknowledged writes survive [`kill`](Self::kill): an append-only file.
    ///
    /// # Errors
    ///
    /// Where Redis is not installed or does not start.
    pub fn durable() -> Result<Self, ServerError> {
        let server = node("Redis", DURABLE, Vec::new(), None)?;
        Ok(Self { server })
    }

    /// The URL of its database 0: `redis://127.0.0.1:PORT/0`.
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its address, for a [`Proxy`](super::Proxy).
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Kills it with SIGKILL; returns when it is gone.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Starts it again on the same port, with its data if it is [`durable`](Self::durable); returns when it answers. One
    /// that runs is stopped first.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub fn restart(&self) -> Result<(), ServerError> {
        self.server.restart()
    }

    /// Stops it in order.
    ///
    /// # Errors
    ///
    /// Where it had to be killed.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.server.stop()
    }
}

/// One Redis process: `configuration` in its file, which Redis may rewrite, and `options` on its command line. A second
/// port stays its own for as long as it exists.
pub(super) fn node(
    name: &'static str,
    configuration: &str,
    options: Vec<OsString>,
    second_port: Option<Port>,
) -> Result<Server, ServerError> {
    let program = process::find(&["redis-server"], &[], "redis-server")?.join("redis-server");
    let recipe = Recipe {
        name,
        program,
        user: None,
        arguments: Box::new(move |_, port| {
            let mut arguments = vec!["redis.conf".into(), "--port".into()];
            arguments.push(port.to_string().into());
            if let Some(port) = &second_port {
                arguments.push("--cluster-port".into());
                arguments.push(port.number().to_string().into());
            }
            arguments.extend(options.iter().cloned());
            arguments
        }),
        answers: |address| match ask(address, &["PING"])?.text().as_str() {
            "PONG" => Ok(()),
            other => Err(io::Error::other(other.to_owned())),
        },
        orderly: Signal::TERM,
        abandon: Abandon::Kill,
    };
    Server::start(recipe, |directory| {
        let common = format!("bind 127.0.0.1\ndir {}\n", directory.display());
        fs::write(directory.join("redis.conf"), common + configuration)
            .map_err(ServerError::io("write redis.conf"))
    })
}
