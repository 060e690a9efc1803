use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::ServerError;

/// How often something that cannot be waited for is looked at.
pub(super) const GLANCE: Duration = Duration::from_millis(5);

/// The directory that holds all of `programs`: of `PATH`, or else of `elsewhere`.
pub(super) fn find(
    programs: &[&str],
    elsewhere: &[PathBuf],
    package: &str,
) -> Result<PathBuf, ServerError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(elsewhere.iter().cloned())
        .find(|directory| {
            let holds = |program: &&str| directory.join(program).is_file();
            programs.iter().all(holds)
        })
        .ok_or_else(|| ServerError::Missing {
            program: programs.join("`, `"),
            install: format!("apt-get install --yes {package}"),
        })
}

/// Whether this process is root's, as in many a container.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// A command that gets `signal` when this process ends in whatever way, if [`spawn`] starts it; as `user`, if one is given.
pub(super) fn bound_to_this_process(
    signal: &str,
    user: Option<&str>,
    program: &Path,
) -> Result<Command, ServerError> {
    let setpriv = find(&["setpriv"], &[], "util-linux")?.join("setpriv");
    let mut command = Command::new(setpriv);
    command.arg("--pdeathsig").arg(signal);
    if let Some(user) = user {
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={user}"))
            .arg("--init-groups");
    }
    // A Ctrl-C in the terminal is for this process, which then sees to its servers.
    command.arg("--").arg(program).process_group(0);
    Ok(command)
}

/// Starts `command` in a thread that lives as long as this process.
///
/// Linux sends the parent-death signal when the *thread* that started the child ends, and a test's thread ends early.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that keeps the servers is gone");
    let keeper = KEEPER.as_ref().ok_or_else(gone)?;
    let (answer, started) = mpsc::channel();
    keeper.send((command, answer)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

/// Runs a command that prepares a server to its end.
pub(super) fn run(server: &'static str, mut command: Command) -> Result<(), ServerError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = spawn(command).and_then(Child::wait_with_output);
    let output = output.map_err(ServerError::io(format!("prepare {server}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(ServerError::Failed {
        server,
        problem: format!("cannot be prepared ({})", output.status),
        log: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    })
}

type Order = (Command, Sender<io::Result<Child>>);

static KEEPER: LazyLock<Option<Sender<Order>>> = LazyLock::new(|| {
    let (keeper, orders) = mpsc::channel::<Order>();
    thread::Builder::new()
        .name("keeper of servers".to_owned())
        .spawn(move || {
            for (mut command, answer) in orders {
                // Nobody waits for it: then the child is dropped, and ends with this process.
                let _ = answer.send(command.spawn());
            }
        })
        .ok()
        .map(|_| keeper)
});

/// Sends `signal` to a child; to one that has ended, nothing.
pub(super) fn signal(child: &Child, signal: Signal) {
    // It fails for a process that is not there, and that is what signals here are for.
    let _ = kill_process(Pid::from_child(child), signal);
}

/// Whether the child has ended by `patience` from now.
pub(super) fn ends_within(child: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(_)) | Err(_) => return true,
            Ok(None) if Instant::now() >= deadline => return false,
            Ok(None) => thread::sleep(GLANCE),
        }
    }
}

/// SIGKILL to the child and to all that came of it, at once; returns when none of them is left.
pub(super) fn kill_with_descendants(child: &mut Child) {
    let root = Pid::from_child(child);
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        // A stopped process starts no more children, and reaps none: the numbers found stay theirs.
        let _ = kill_process(parent, Signal::STOP);
        family.extend(children_of(parent));
        next += 1;
    }
    for &process in &family {
        let _ = kill_process(process, Signal::KILL);
    }
    let _ = child.wait();
    let mut left: HashSet<Pid> = family.into_iter().filter(|&pid| pid != root).collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !left.is_empty() && Instant::now() < deadline {
        left.retain(|&pid| is_alive(pid));
        thread::sleep(GLANCE);
    }
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|&pid| {
            status(pid).is_some_and(|(_, parent_of)| parent_of == parent.as_raw_nonzero().get())
        })
        .collect()
}

/// An orphan that nobody reaps stays a zombie for ever, as in a container whose first process is not an init.
fn is_alive(pid: Pid) -> bool {
    status(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// State and parent, from `/proc/PID/stat` (proc(5)): the name before them may hold spaces and brackets.
fn status(pid: Pid) -> Option<(char, i32)> {
    let line = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, fields) = line.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_line_that_installs_it() {
        let error = find(&["no-such-server"], &[], "no-such-package").unwrap_err();

        let text = "`no-such-server` is not installed. This installs it: apt-get install --yes no-such-package";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_killed_process_takes_its_descendants_along() {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'sleep 600 & wait' & wait"]);
        let mut child = spawn(command).unwrap();
        let root = Pid::from_child(&child);
        let family = || {
            let children = children_of(root);
            let grandchildren: Vec<Pid> = children.iter().copied().flat_map(children_of).collect();
            [children, grandchildren].concat()
        };
        while family().len() < 2 {
            thread::sleep(GLANCE);
        }
        let family = family();

        kill_with_descendants(&mut child);

        assert!(!family.iter().any(|&process| is_alive(process)));
    }
}
