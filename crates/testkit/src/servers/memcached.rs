use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use super::ServerError;
use super::process;
use super::server::{Abandon, Recipe, Server};

/// A private Memcached of 64 MB, over TCP alone. Killed or stopped, it has forgotten everything.
///
/// ```no_run
/// use quintette_testkit::servers::Memcached;
///
/// let memcached = Memcached::start()?;
/// assert!(memcached.url().starts_with("memcached://127.0.0.1:"));
/// # Ok::<(), quintette_testkit::servers::ServerError>(())
/// ```
#[derive(Debug)]
pub struct Memcached {
    server: Server,
}

impl Memcached {
    /// Starts it; returns when it answers.
    ///
    /// # Errors
    ///
    /// Where Memcached is not installed or does not start.
    pub fn start() -> Result<Self, ServerError> {
        let recipe = Recipe {
            name: "Memcached",
            program: process::find(&["memcached"], &[], "memcached")?.join("memcached"),
            user: None,
            arguments: Box::new(|_, port| {
                let port = port.to_string();
                let mut arguments = vec!["-l", "127.0.0.1", "-p", &port, "-U", "0"];
                arguments.extend(["-m", "64", "-c", "1024", "-t", "2"]);
                if process::is_root() {
                    arguments.extend(["-u", "root"]);
                }
                arguments.into_iter().map(Into::into).collect()
            }),
            answers,
            orderly: Signal::TERM,
            abandon: Abandon::Kill,
        };
        let server = Server::start(recipe, |_| Ok(()))?;
        Ok(Self { server })
    }

    /// `memcached://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("memcached://{}", self.address())
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

    /// Starts it again, empty and on the same port; returns when it answers. One that runs is stopped first.
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

fn answers(address: SocketAddr) -> io::Result<()> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"version\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    if &answer == b"VERSION" {
        Ok(())
    } else {
        Err(io::Error::other("something else than Memcached answers"))
    }
}
