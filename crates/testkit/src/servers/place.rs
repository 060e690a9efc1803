use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::chown;
use std::os::unix::net::{SocketAddr as SocketName, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use tempfile::TempDir;

use super::ServerError;

/// Below the ports that Linux gives to outgoing connections (32768 and up), one of which could else take a server's place
/// while it restarts.
const PORTS: std::ops::Range<u16> = 16_384..32_768;

/// A TCP port of 127.0.0.1 that is this value's alone among all test processes, also while its server is down.
pub(super) struct Port {
    number: u16,
    /// A name that the kernel gives to one process at a time and takes back when that ends; there is no file behind it.
    _claim: UnixListener,
}

impl Port {
    pub(super) fn claim() -> Result<Self, ServerError> {
        let count = u64::from(PORTS.end - PORTS.start);
        for _ in 0..count {
            let offset = u16::try_from(random() % count).unwrap_or_default();
            if let Some(port) = Self::claim_number(PORTS.start + offset) {
                return Ok(port);
            }
        }
        Err(ServerError::Io {
            attempt: format!("find a free port in {PORTS:?}"),
            source: io::ErrorKind::AddrInUse.into(),
        })
    }

    fn claim_number(number: u16) -> Option<Self> {
        let name = SocketName::from_abstract_name(format!("quintette-testkit-port-{number}"));
        let claim = UnixListener::bind_addr(&name.ok()?).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self {
            number,
            _claim: claim,
        })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// A new temporary directory that belongs to `user`; removed on drop, or soon after this process has ended without.
pub(super) fn directory(server: &str, user: Option<&str>) -> Result<TempDir, ServerError> {
    let prefix = format!("quintette-{}-", server.to_lowercase().replace(' ', "-"));
    let directory = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir()
        .map_err(ServerError::io("make a temporary directory"))?;
    remove_at_the_end(directory.path());
    if let Some(user) = user {
        let number = |what| id(what, user);
        chown(directory.path(), Some(number("-u")?), Some(number("-g")?)).map_err(
            ServerError::io(format!("give a directory to the user {user}")),
        )?;
    }
    Ok(directory)
}

fn id(what: &str, user: &str) -> Result<u32, ServerError> {
    let missing = || ServerError::Missing {
        program: format!("the system's user {user}"),
        install: format!("adduser --system --group {user}"),
    };
    let output = Command::new("id").args([what, user]).output();
    let output = output.map_err(ServerError::io("run `id`"))?;
    let number = String::from_utf8_lossy(&output.stdout);
    number.trim().parse().map_err(|_| missing())
}

/// A name that no other database, directory or test has.
pub(super) fn random_name() -> String {
    format!("test_{:016x}", random())
}

fn random() -> u64 {
    getrandom::u64().expect("a Linux that runs this has a source of randomness")
}

/// The last lines of a server's log.
pub(super) fn end_of(log: &Path) -> String {
    const LINES: usize = 30;
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Tells the janitor, a shell that reads paths until this process ends, of SIGKILL or of `exit` too, and removes them then.
fn remove_at_the_end(directory: &Path) {
    let path = directory.as_os_str().as_encoded_bytes();
    let Some(janitor) = JANITOR.as_ref() else {
        return;
    };
    let mut janitor = janitor.lock().unwrap_or_else(PoisonError::into_inner);
    // Without a janitor, a directory is left behind at the worst.
    let _ = janitor.write_all(&[path, b"\n"].concat());
}

static JANITOR: LazyLock<Option<Mutex<ChildStdin>>> = LazyLock::new(|| {
    // The servers get their signal at the same time: they may still be writing.
    const SCRIPT: &str = r#"
        while IFS= read -r directory; do set -- "$@" "$directory"; done
        for attempt in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; rm -rf -- "$@" && exit; done
    "#;
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command.spawn().ok()?.stdin.map(Mutex::new)
});

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_claimed_port_is_nobody_elses_until_it_is_given_back() {
        let port = Port::claim().unwrap();
        let number = port.number();
        assert!(Port::claim_number(number).is_none());

        drop(port);

        // A process that another test is starting has what this one had, until it becomes another program.
        let end = Instant::now() + Duration::from_secs(30);
        while Port::claim_number(number).is_none() {
            assert!(Instant::now() < end, "it is not given back");
            sleep(Duration::from_millis(10));
        }
    }
}
