use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::ServerError;
use super::place::random_name;
use super::process;
use super::server::{Abandon, PATIENCE, Recipe, Server};

const NAME: &str = "MariaDB";

/// The log is written at each commit and flushed once a second: it survives the end of the process, not the machine's.
/// `nosync` leaves the flushes of the data files out; the doublewrite buffer, which mends torn pages, stays.
const SETTINGS: [&str; 11] = [
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--loose-innodb-flush-method=nosync",
    "--innodb-log-file-size=48M",
    "--max-connections=200",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--socket=socket",
    "--pid-file=pid",
];

/// A private `MariaDB`: utf8mb4 with its default collation, `InnoDB`, user root without password, 200 connections.
///
/// What it acknowledged survives [`kill`](Self::kill). Dropped, it is gone with its data.
///
/// ```no_run
/// use quintette_testkit::servers::MariaDb;
///
/// let mariadb = MariaDb::start()?;
/// let url = mariadb.new_database()?;
/// mariadb.kill();
/// mariadb.restart()?;
/// # Ok::<(), quintette_testkit::servers::ServerError>(())
/// ```
#[derive(Debug)]
pub struct MariaDb {
    server: Server,
}

impl MariaDb {
    /// Starts it, which takes about a second; returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// Where `MariaDB` is not installed or does not start.
    pub fn start() -> Result<Self, ServerError> {
        let elsewhere = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(PathBuf::from);
        let installer = "mariadb-install-db";
        let installer = process::find(&[installer], &elsewhere, "mariadb-server")?.join(installer);
        let program = process::find(&["mariadbd"], &elsewhere, "mariadb-server")?.join("mariadbd");
        let recipe = Recipe {
            name: NAME,
            program,
            user: None,
            arguments: Box::new(|directory, port| {
                let mut arguments = common(directory);
                arguments.push(format!("--port={port}"));
                arguments.extend(SETTINGS.map(str::to_owned));
                arguments.into_iter().map(Into::into).collect()
            }),
            answers: |address| execute(address, "DO 1")?.map_err(io::Error::other),
            orderly: Signal::TERM,
            abandon: Abandon::Kill,
        };
        let server = Server::start(recipe, |directory| {
            fs::create_dir(temporary(directory))
                .map_err(ServerError::io("make a temporary directory"))?;
            let mut command = process::bound_to_this_process("KILL", None, &installer)?;
            command.args(common(directory)).current_dir(directory);
            command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
            command.args(["--skip-name-resolve", "--innodb-log-file-size=48M"]);
            process::run(NAME, command)
        })?;
        let mariadb = Self { server };
        mariadb.execute("CREATE DATABASE quintette")?;
        Ok(mariadb)
    }

    /// The URL of its database `quintette`, which is empty: `mysql://root@127.0.0.1:PORT/quintette`.
    pub fn url(&self) -> String {
        self.url_of("quintette")
    }

    /// Makes an empty database with a random name and returns its URL: a few milliseconds.
    ///
    /// # Errors
    ///
    /// Where the server is down or refuses.
    pub fn new_database(&self) -> Result<String, ServerError> {
        let name = random_name();
        self.execute(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Runs a statement on a connection of its own, for its effect alone.
    ///
    /// # Errors
    ///
    /// Where the server is down or refuses.
    pub fn execute(&self, statement: &str) -> Result<(), ServerError> {
        execute(self.address(), statement)
            .map_err(ServerError::io(format!("ask {NAME}")))?
            .map_err(|answer| ServerError::Refused {
                server: NAME,
                request: statement.to_owned(),
                answer,
            })
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

    /// Starts it again, on the same port and over the same data; returns when it accepts connections. One that runs is
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

    fn url_of(&self, database: &str) -> String {
        format!("mysql://root@{}/{database}", self.address())
    }
}

/// Where a server keeps its temporary tables. Each that starts deletes those that it finds, another's too.
fn temporary(directory: &Path) -> PathBuf {
    directory.join("tmp")
}

/// What the server and its installer both take; `--no-defaults` only as the first.
fn common(directory: &Path) -> Vec<String> {
    let data = directory.join("data");
    let mut arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        format!("--tmpdir={}", temporary(directory).display()),
    ];
    if process::is_root() {
        arguments.push("--user=root".to_owned());
    }
    arguments
}

/// Runs a statement as root without password: what the server refused, in its words.
///
/// Source: `MariaDB`'s documentation, "Clientserver protocol": connecting, `COM_QUERY`, the OK and ERR packets.
fn execute(address: SocketAddr, statement: &str) -> io::Result<Result<(), String>> {
    const PROTOCOL_41: u32 = 0x200;
    const SECURE_CONNECTION: u32 = 0x8000;
    const PLUGIN_AUTH: u32 = 0x8_0000;
    const COM_QUERY: u8 = 3;

    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    if let Err(refusal) = answer(&receive(&mut stream)?) {
        return Ok(Err(refusal));
    }
    let capabilities = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;
    let mut login = capabilities.to_le_bytes().to_vec();
    login.extend(0x0100_0000_u32.to_le_bytes());
    // utf8mb4_general_ci, and 23 reserved bytes.
    login.push(45);
    login.extend([0; 23]);
    login.extend(b"root\0\0mysql_native_password\0");
    send(&mut stream, 1, &login)?;
    if let Err(refusal) = answer(&receive(&mut stream)?) {
        return Ok(Err(refusal));
    }
    send(
        &mut stream,
        0,
        &[&[COM_QUERY], statement.as_bytes()].concat(),
    )?;
    Ok(answer(&receive(&mut stream)?))
}

fn send(stream: &mut TcpStream, sequence: u8, body: &[u8]) -> io::Result<()> {
    let [low, middle, high, 0] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    stream.write_all(&[&[low, middle, high, sequence], body].concat())
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let [low, middle, high, _] = head;
    let mut body = vec![0; u32::from_le_bytes([low, middle, high, 0]) as usize];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// The text of an ERR packet, after its number and its state.
fn answer(packet: &[u8]) -> Result<(), String> {
    match packet {
        [0xff, _, _, message @ ..] => Err(String::from_utf8_lossy(message).into_owned()),
        [0xfe, ..] => Err("it asks for another way to log in".to_owned()),
        _ => Ok(()),
    }
}
