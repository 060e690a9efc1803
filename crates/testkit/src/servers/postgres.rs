use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::ServerError;
use super::place::random_name;
use super::process;
use super::server::{Abandon, PATIENCE, Recipe, Server};

const NAME: &str = "PostgreSQL";

/// The command line alone would beat `ALTER SYSTEM`, which tests of faults use.
///
/// Without `fsync`, what is written survives the end of the server's processes, in the kernel, but not the machine's.
/// Full-page images stay on: a process killed in the midst of writing a page tears it.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
fsync = off
dynamic_shared_memory_type = mmap
";

/// A private `PostgreSQL`: UTF-8, locale `C.UTF-8`, no password, 200 connections.
///
/// What it acknowledged survives [`kill`](Self::kill). Dropped, it is gone with its data.
///
/// ```no_run
/// use quintette_testkit::servers::Postgres;
///
/// let postgres = Postgres::start()?;
/// let url = postgres.new_database()?;
/// postgres.kill();
/// postgres.restart()?;
/// # Ok::<(), quintette_testkit::servers::ServerError>(())
/// ```
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    /// What makes `CREATE DATABASE` copy files, which is twice as fast as writing them to the log as well.
    copying_files: &'static str,
}

impl Postgres {
    /// Starts it, which takes about a second; returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// Where `PostgreSQL` is not installed or does not start.
    pub fn start() -> Result<Self, ServerError> {
        let programs = process::find(&["initdb", "postgres"], &debian(), "postgresql")?;
        // It refuses to run as root, as it should.
        let user = process::is_root().then_some("postgres");
        let recipe = Recipe {
            name: NAME,
            program: programs.join("postgres"),
            user,
            arguments: Box::new(|directory, port| {
                let data = directory.join("data").into();
                vec!["-D".into(), data, "-p".into(), port.to_string().into()]
            }),
            answers: |address| execute(address, "SELECT 1")?.map_err(io::Error::other),
            orderly: Signal::INT,
            abandon: Abandon::Quit,
        };
        let initdb = programs.join("initdb");
        let server = Server::start(recipe, |directory| initialize(&initdb, user, directory))?;
        let version = fs::read_to_string(server.directory().join("data/PG_VERSION"));
        let version = version.map_err(ServerError::io("read PG_VERSION"))?;
        // Before 15, there was no other way, nor a word for it.
        let can_choose = version.trim().parse().is_ok_and(|major: u32| major >= 15);
        Ok(Self {
            server,
            copying_files: if can_choose { "STRATEGY FILE_COPY" } else { "" },
        })
    }

    /// The URL of its database `postgres`: `postgres://postgres@127.0.0.1:PORT/postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes an empty database with a random name and returns its URL: some 40 ms, and 7 MB on the disk.
    ///
    /// # Errors
    ///
    /// Where the server is down or refuses.
    pub fn new_database(&self) -> Result<String, ServerError> {
        self.database_from("template0")
    }

    /// Makes a copy of the database `template`, to which nothing may be connected, and returns its URL.
    ///
    /// # Errors
    ///
    /// Where the server is down or refuses.
    pub fn database_from(&self, template: &str) -> Result<String, ServerError> {
        let name = random_name();
        let template = template.replace('"', "\"\"");
        let how = self.copying_files;
        self.execute(&format!(
            "CREATE DATABASE {name} TEMPLATE \"{template}\" {how}"
        ))?;
        Ok(self.url_of(&name))
    }

    /// Runs a statement in the database `postgres` on a connection of its own, for its effect alone.
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

    /// Kills all of its processes at once, with SIGKILL; returns when they are gone.
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

    /// Stops it in order, closing its connections ("fast shutdown").
    ///
    /// # Errors
    ///
    /// Where it had to be killed.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.server.stop()
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.address())
    }
}

impl Drop for Postgres {
    /// A killed one has left 56 bytes of System V shared memory, of which Linux has 4096 pieces for everybody.
    fn drop(&mut self) {
        self.server.abandon();
        let left = fs::read_to_string(self.server.directory().join("data/postmaster.pid"));
        let left = left.unwrap_or_default();
        let piece = left
            .lines()
            .nth(6)
            .and_then(|line| line.split_whitespace().nth(1));
        if let Some(piece) = piece {
            let _ = Command::new("ipcrm").args(["-m", piece]).output();
        }
    }
}

/// Where Debian keeps the programs, the newest version first.
fn debian() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .map(|(_, path)| path.join("bin"))
        .collect()
}

fn initialize(initdb: &Path, user: Option<&str>, directory: &Path) -> Result<(), ServerError> {
    let data = directory.join("data");
    let mut command = process::bound_to_this_process("KILL", user, initdb)?;
    command.arg("-D").arg(&data).current_dir(directory);
    command.args([
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--auth=trust",
        "--no-sync",
    ]);
    process::run(NAME, command)?;
    fs::File::options()
        .append(true)
        .open(data.join("postgresql.conf"))
        .and_then(|mut file| file.write_all(SETTINGS.as_bytes()))
        .map_err(ServerError::io("write postgresql.conf"))
}

/// Runs a statement as `postgres`: what the server refused, in its words.
///
/// Source: `PostgreSQL`'s manual, "Frontend/Backend Protocol", version 3.0, the simple query.
fn execute(address: SocketAddr, statement: &str) -> io::Result<Result<(), String>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let startup = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    stream.write_all(&with_length(startup)?)?;
    if let Err(refusal) = until_ready(&mut stream)? {
        return Ok(Err(refusal));
    }
    let query = with_length(&[statement.as_bytes(), b"\0"].concat())?;
    stream.write_all(&[b"Q", query.as_slice()].concat())?;
    let answer = until_ready(&mut stream)?;
    // Nobody minds if the good-bye is not heard.
    let _ = stream.write_all(b"X\0\0\0\x04");
    Ok(answer)
}

fn with_length(body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len() + 4).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), body].concat())
}

/// Reads messages up to "ready for query", or to an error after which the server hangs up.
fn until_ready(stream: &mut TcpStream) -> io::Result<Result<(), String>> {
    let mut refusal = None;
    loop {
        let mut head = [0; 5];
        if let Err(error) = stream.read_exact(&mut head) {
            return refusal.map_or(Err(error), |refusal| Ok(Err(refusal)));
        }
        let [kind, length @ ..] = head;
        let mut body = Vec::new();
        let length = u64::from(u32::from_be_bytes(length)).saturating_sub(4);
        stream.take(length).read_to_end(&mut body)?;
        match kind {
            b'Z' => return Ok(refusal.map_or(Ok(()), Err)),
            b'E' => refusal = Some(message(&body)),
            b'R' if body != [0; 4] => return Ok(Err("it asks for a password".to_owned())),
            _ => {}
        }
    }
}

/// The field `M` of an error.
fn message(body: &[u8]) -> String {
    let mut fields = body.split(|&byte| byte == 0);
    let message = fields.find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(message.unwrap_or(body)).into_owned()
}
