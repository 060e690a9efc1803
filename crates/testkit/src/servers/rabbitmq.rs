use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::ServerError;
use super::place::Port;
use super::process;
use super::server::{Abandon, Recipe, Server};

const PACKAGE: &str = "rabbitmq-server";

/// No plugin, a log of what went wrong, and room for tests alone: else a node counts on four tenths of the machine's memory,
/// and writes half a gigabyte before it looks through a quorum queue's log.
const SETTINGS: &str = "\
log.file = false
log.console = true
log.console.level = warning
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 10MB
raft.wal_max_size_bytes = 16777216
";

/// A private `RabbitMQ`: vhost `/`, user guest with its default password, no plugins, alone in its cluster.
///
/// Durable queues, and the persistent messages in them that it confirmed, survive [`kill`](Self::kill). A start takes some
/// seconds: share one among tests, each with queues of its own.
///
/// ```no_run
/// use quintette_testkit::servers::RabbitMq;
///
/// let rabbitmq = RabbitMq::start()?;
/// assert!(rabbitmq.url().starts_with("amqp://guest:guest@127.0.0.1:"));
/// rabbitmq.kill();
/// rabbitmq.restart()?;
/// # Ok::<(), quintette_testkit::servers::ServerError>(())
/// ```
#[derive(Debug)]
pub struct RabbitMq {
    server: Server,
    /// A node that finds no name server starts one for the whole machine, which then outlives it: this one has its own.
    _names: Server,
}

impl RabbitMq {
    /// Starts it; returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// Where `RabbitMQ` is not installed or does not start.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with("")
    }

    /// Starts it with further lines of `rabbitmq.conf`, which count more than its own.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(settings: &str) -> Result<Self, ServerError> {
        // Not the program of the same name on `PATH`, which becomes the user rabbitmq, or refuses.
        let elsewhere = ["/usr/lib/rabbitmq/bin", "/usr/local/lib/rabbitmq/bin"].map(PathBuf::from);
        let program = process::find(&["rabbitmq-server", "rabbitmq-env"], &elsewhere, PACKAGE)?
            .join("rabbitmq-server");
        let names = name_server()?;
        let name_port = names.port();
        let nodes = Port::claim()?;
        let settings = format!("{SETTINGS}{settings}\n");
        let recipe = Recipe {
            name: "RabbitMQ",
            program: process::find(&["env"], &[], "coreutils")?.join("env"),
            user: None,
            arguments: Box::new(move |directory, port| {
                let ports = [port, nodes.number(), name_port];
                let mut arguments = environment(directory, ports);
                arguments.push(program.clone().into());
                arguments
            }),
            answers,
            orderly: Signal::TERM,
            abandon: Abandon::Kill,
        };
        let server = Server::start(recipe, |directory| {
            let write = |file: &str, text: &str| {
                fs::write(directory.join(file), text)
                    .map_err(ServerError::io(format!("write {file}")))
            };
            write("rabbitmq.conf", &settings)?;
            write("enabled_plugins", "[].\n")
        })?;
        Ok(Self {
            server,
            _names: names,
        })
    }

    /// The URL of its vhost `/`: `amqp://guest:guest@127.0.0.1:PORT//`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}//", self.address())
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

    /// Starts it again on the same port, with all that it confirmed; returns when it accepts connections. One that runs is
    /// stopped first.
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

/// Variables for `env`: everything that a node would else look for in places of the machine's own `RabbitMQ`.
fn environment(directory: &Path, [port, nodes, names]: [u16; 3]) -> Vec<OsString> {
    let variable = |name: &str, value: &dyn std::fmt::Display| format!("{name}={value}").into();
    let place = |name: &str, file: &str| variable(name, &directory.join(file).display());
    vec![
        // The home is where Erlang makes its cookie.
        variable("HOME", &directory.display()),
        place("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
        place("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        place("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        place("RABBITMQ_MNESIA_BASE", "mnesia"),
        place("RABBITMQ_LOG_BASE", "logs"),
        variable("RABBITMQ_LOGS", &"-"),
        variable("RABBITMQ_NODENAME", &"quintette@localhost"),
        variable("RABBITMQ_NODE_IP_ADDRESS", &"127.0.0.1"),
        variable("RABBITMQ_NODE_PORT", &port),
        variable("RABBITMQ_DIST_PORT", &nodes),
        variable("ERL_EPMD_PORT", &names),
        variable(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            // Channels look once a second, and not once a minute, for what is held for longer than a `consumer_timeout`.
            &"-kernel inet_dist_use_interface {127,0,0,1} -rabbit channel_tick_interval 1000 +S 2:2",
        ),
        // The script becomes the server: else it starts it, and a signal to the one would not be one to the other.
        variable("RUNNING_UNDER_SYSTEMD", &"true"),
    ]
}

/// Erlang's name server, on 127.0.0.1 alone.
fn name_server() -> Result<Server, ServerError> {
    let recipe = Recipe {
        name: "epmd",
        program: process::find(&["epmd"], &[], PACKAGE)?.join("epmd"),
        user: None,
        arguments: Box::new(|_, port| {
            let port = port.to_string();
            ["-address", "127.0.0.1", "-port", &port]
                .map(Into::into)
                .into()
        }),
        answers: |address| TcpStream::connect(address).map(drop),
        orderly: Signal::TERM,
        abandon: Abandon::Kill,
    };
    Server::start(recipe, |_| Ok(()))
}

/// Source: AMQP 0-9-1, 4.2.2: the client's header is answered by the method `connection.start` in a frame on channel 0.
fn answers(address: SocketAddr) -> io::Result<()> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"AMQP\0\0\x09\x01")?;
    let mut answer = [0; 11];
    stream.read_exact(&mut answer)?;
    match answer {
        [1, 0, 0, _, _, _, _, 0, 10, 0, 10] => Ok(()),
        _ => Err(io::Error::other("something else than RabbitMQ answers")),
    }
}
