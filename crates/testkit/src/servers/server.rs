use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::ServerError;
use super::place::{Port, directory, end_of};
use super::process::{self, GLANCE};

/// A server that has not come up or ended by then never will.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How one kind of server is run.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    /// As whom, if not as the user of this process.
    pub(super) user: Option<&'static str>,
    /// Its arguments, for its directory and its port.
    pub(super) arguments: Box<Arguments>,
    /// Asks it something that it answers only when it is ready.
    pub(super) answers: fn(SocketAddr) -> io::Result<()>,
    /// Ends it with everything in order.
    pub(super) orderly: Signal,
    /// Ends it when its data is not needed any more: it may still clean up after itself.
    pub(super) abandon: Abandon,
}

pub(super) type Arguments = dyn Fn(&Path, u16) -> Vec<OsString> + Send + Sync;

/// How a server ends that nobody needs any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Abandon {
    /// By SIGKILL.
    Kill,
    /// By SIGQUIT: `PostgreSQL` ends all of its processes and gives its shared memory back. By SIGKILL if it does not.
    Quit,
}

/// A running server, or one that was killed and can be started again: on the same port, over the same data.
pub(super) struct Server {
    recipe: Recipe,
    port: Port,
    child: Mutex<Option<Child>>,
    /// The last field: removed when the process is gone.
    directory: TempDir,
}

impl Server {
    /// Makes the directory, lets `prepare` fill it, and starts the server.
    pub(super) fn start(
        recipe: Recipe,
        prepare: impl FnOnce(&Path) -> Result<(), ServerError>,
    ) -> Result<Self, ServerError> {
        let directory = directory(recipe.name, recipe.user)?;
        prepare(directory.path())?;
        let mut server = Self {
            recipe,
            port: Port::claim()?,
            child: Mutex::new(None),
            directory,
        };
        for _ in 0..3 {
            match server.restart() {
                // Something else, not of these tests, has taken the port in the meantime.
                Err(ServerError::Failed { log, .. }) if log.contains("ddress already in use") => {
                    server.port = Port::claim()?;
                }
                result => return result.map(|()| server),
            }
        }
        server.restart().map(|()| server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn is_running(&self) -> bool {
        self.child().is_some()
    }

    /// SIGKILL to all of its processes; returns when they are gone.
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            process::kill_with_descendants(&mut child);
        }
    }

    /// Starts it again, after an orderly end if it runs; returns when it answers.
    pub(super) fn restart(&self) -> Result<(), ServerError> {
        let mut running = self.child();
        if let Some(child) = running.take() {
            self.end(child)?;
        }
        let mut child = process::spawn(self.command()?)
            .map_err(ServerError::io(format!("start {}", self.recipe.name)))?;
        match self.wait_for(&mut child) {
            Ok(()) => {
                *running = Some(child);
                Ok(())
            }
            Err(problem) => {
                process::kill_with_descendants(&mut child);
                Err(self.failed(problem))
            }
        }
    }

    /// Ends it in order; killed, if it takes too long.
    pub(super) fn stop(&self) -> Result<(), ServerError> {
        match self.child().take() {
            Some(child) => self.end(child),
            None => Ok(()),
        }
    }

    /// Ends it for good.
    pub(super) fn abandon(&self) {
        let Some(mut child) = self.child().take() else {
            return;
        };
        if self.recipe.abandon == Abandon::Quit {
            process::signal(&child, Signal::QUIT);
            if process::ends_within(&mut child, Duration::from_secs(10)) {
                return;
            }
        }
        process::kill_with_descendants(&mut child);
    }

    fn command(&self) -> Result<Command, ServerError> {
        let signal = match self.recipe.abandon {
            Abandon::Kill => "KILL",
            Abandon::Quit => "QUIT",
        };
        let mut command =
            process::bound_to_this_process(signal, self.recipe.user, &self.recipe.program)?;
        let log = File::options().append(true).create(true).open(self.log());
        let log = log.map_err(ServerError::io("open a server's log"))?;
        let copy = log.try_clone();
        command
            .args((self.recipe.arguments)(self.directory(), self.port()))
            .current_dir(self.directory())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(copy.map_err(ServerError::io("open a server's log"))?)
            .stderr(log);
        Ok(command)
    }

    fn wait_for(&self, child: &mut Child) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("ended at its start ({status})"));
            }
            match (self.recipe.answers)(self.address()) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    return Err(format!("does not answer: {error}"));
                }
                Err(_) => thread::sleep(GLANCE),
            }
        }
    }

    fn end(&self, mut child: Child) -> Result<(), ServerError> {
        process::signal(&child, self.recipe.orderly);
        if process::ends_within(&mut child, PATIENCE) {
            return Ok(());
        }
        process::kill_with_descendants(&mut child);
        Err(self.failed("did not end when told to, and was killed".to_owned()))
    }

    fn failed(&self, problem: String) -> ServerError {
        ServerError::Failed {
            server: self.recipe.name,
            problem,
            log: end_of(&self.log()),
        }
    }

    fn log(&self) -> PathBuf {
        self.directory().join("log")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until it is so; else fails with what was said last. A server that does not answer yet is one where it is not so.
pub(super) fn wait(
    server: &'static str,
    problem: &str,
    mut is_so: impl FnMut() -> Result<(bool, String), Box<dyn std::error::Error>>,
) -> Result<(), ServerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (so, log) = is_so().unwrap_or_else(|error| (false, error.to_string()));
        if so {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let problem = problem.to_owned();
            return Err(ServerError::Failed {
                server,
                problem,
                log,
            });
        }
        thread::sleep(GLANCE);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.recipe.name)
            .field("address", &self.address())
            .field("running", &self.is_running())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_shows_the_end_of_the_log() {
        let started = Server::start(script("echo the reason; exit 3"), |_| Ok(()));

        let error = started.err().map(|error| format!("{error:?}"));

        let text = "Script ended at its start (exit status: 3); its log ends:\nthe reason";
        assert_eq!(error.as_deref(), Some(text));
    }

    #[test]
    fn a_port_that_is_always_taken_ends_in_an_error() {
        let script = script("echo Address already in use; exit 1");

        let error = Server::start(script, |_| Ok(())).err();

        assert!(
            matches!(error, Some(ServerError::Failed { .. })),
            "{error:?}"
        );
    }

    fn script(text: &'static str) -> Recipe {
        Recipe {
            name: "Script",
            program: "/bin/sh".into(),
            user: None,
            arguments: Box::new(|_, _| vec!["-c".into(), text.into()]),
            answers: |_| Err(io::ErrorKind::ConnectionRefused.into()),
            orderly: Signal::TERM,
            abandon: Abandon::Kill,
        }
    }
}
