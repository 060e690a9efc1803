//! Beats in processes of their own, which are killed.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use quintette_tasks::Signature;
use quintette_tasks::beat::{Beat, MissedTicks, Tick, TickSender};

use super::places::{Place, store};

const PLACE: &str = "QUINTETTE_BEAT_TEST_PLACE";
const SENT: &str = "QUINTETTE_BEAT_TEST_SENT";

/// A line of a file for each run, which outlives the process that sent it.
#[derive(Debug)]
struct Lines(PathBuf);

#[async_trait]
impl TickSender for Lines {
    async fn send(&self, tick: &Tick) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0)?;
        let (pid, due) = (std::process::id(), tick.due.timestamp_millis());
        file.write_all(format!("{pid} {due} {}\n", tick.id).as_bytes())?;
        Ok(())
    }
}

/// Not a test: what each killed process runs.
#[tokio::test]
#[ignore = "is run by the tests of this file"]
async fn a_beat_of_its_own() {
    let (Ok(place), Ok(sent)) = (std::env::var(PLACE), std::env::var(SENT)) else {
        return;
    };
    let half_second = Duration::from_millis(500);
    Beat::over("killed", Arc::new(Lines(sent.into())), store(&place))
        .schedule("often", half_second, Signature::new("task"))
        .missed(MissedTicks::RunAll { at_most: 10_000 })
        .lease_time(Duration::from_secs(2))
        .run(std::future::pending())
        .await;
}

struct Running(Child);

impl Running {
    fn start(place: &Place, sent: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::a_beat_of_its_own", "--ignored"])
            .env(PLACE, &place.address)
            .env(SENT, sent)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Running {
    /// By SIGKILL.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Process, due time, id.
fn lines(sent: &Path) -> Vec<(u32, i64, String)> {
    let text = std::fs::read_to_string(sent).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap().to_owned();
        (word().parse().unwrap(), word().parse().unwrap(), word())
    };
    text.lines().map(line).collect()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_leader_is_replaced_and_no_run_is_lost_or_sent_under_two_ids() {
    std::thread::scope(|scope| {
        for place in Place::all() {
            scope.spawn(move || kill_leaders_over(&place));
        }
    });
}

fn kill_leaders_over(place: &Place) {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("sent");
    let mut beats = vec![Running::start(place, &sent), Running::start(place, &sent)];
    for _ in 0..3 {
        let before = lines(&sent).len();
        wait_until("for runs", || lines(&sent).len() > before + 2);
        let leader = lines(&sent).pop().unwrap().0;
        beats.retain(|beat| beat.0.id() != leader);
        wait_until("for another leader", || {
            lines(&sent).pop().unwrap().0 != leader
        });
        beats.push(Running::start(place, &sent));
    }
    drop(beats);

    let mut ids = BTreeMap::<i64, HashSet<String>>::new();
    let lines = lines(&sent);
    for (_, due, id) in &lines {
        ids.entry(*due).or_default().insert(id.clone());
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{place:?}: {ids:?}");
    let dues: Vec<i64> = ids.into_keys().collect();
    let gapless = dues.windows(2).all(|pair| pair[1] - pair[0] == 500);
    assert!(gapless, "{place:?}: {dues:?}");
    // Only what was sent in the moment of a kill can have been sent twice.
    assert!(lines.len() <= dues.len() + 4, "{place:?}: {lines:?}");
}
