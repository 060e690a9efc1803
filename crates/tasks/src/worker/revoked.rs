//! Ids of revoked tasks: bounded, and kept over a restart.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The newest 50,000 ids of the last three hours, as in Celery (`CELERY_WORKER_REVOKES_MAX`, `CELERY_WORKER_REVOKE_EXPIRES`).
#[derive(Debug, Default)]
pub(crate) struct RevokedIds {
    ids: HashSet<Arc<str>>,
    order: VecDeque<(SystemTime, Arc<str>)>,
    /// How many lines the file may have grown by since it was written as a whole.
    appended: usize,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    id: std::borrow::Cow<'a, str>,
    /// Seconds since 1970.
    at: f64,
}

impl RevokedIds {
    const MOST: usize = 50_000;
    const LIFETIME: Duration = Duration::from_hours(3);

    pub(crate) fn contains(&self, id: &str) -> bool {
        !self.ids.is_empty() && self.ids.contains(id)
    }

    /// `false` where it was known.
    pub(crate) fn add(&mut self, id: &str, now: SystemTime) -> bool {
        self.forget_old(now);
        let id: Arc<str> = id.into();
        let is_new = self.ids.insert(id.clone());
        if is_new {
            self.order.push_back((now, id));
        }
        while self.order.len() > Self::MOST {
            self.forget_first();
        }
        is_new
    }

    fn forget_old(&mut self, now: SystemTime) {
        while let Some((at, _)) = self.order.front() {
            if now.duration_since(*at).unwrap_or_default() < Self::LIFETIME {
                break;
            }
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.ids.remove(&id);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|(_, id)| &**id)
    }

    /// Reads what [`Unwritten`] wrote; a file that is not there holds nothing, and a line that is none is skipped.
    pub(crate) fn load(&mut self, path: &Path, now: SystemTime) -> io::Result<()> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for line in text.lines() {
            if let Ok(line) = serde_json::from_str::<Line<'_>>(line)
                && let Ok(since) = Duration::try_from_secs_f64(line.at)
                && let Some(at) = SystemTime::UNIX_EPOCH.checked_add(since)
            {
                // One of a clock that was ahead would keep all after it.
                self.add(&line.id, at.min(now));
            }
            // Also over many restarts the file does not grow for ever.
            self.appended += 1;
        }
        self.forget_old(now);
        Ok(())
    }

    /// What is to be written of the newest ids, so many of which were added: the end of the file, or all of it anew when it has grown.
    pub(crate) fn unwritten(&mut self, added: usize) -> io::Result<Unwritten> {
        self.appended += added;
        if self.appended > 2 * Self::MOST {
            self.appended = self.order.len();
            return lines_of(self.order.iter()).map(Unwritten::Whole);
        }
        let older = self.order.len().saturating_sub(added);
        lines_of(self.order.iter().skip(older)).map(Unwritten::End)
    }
}

/// Lines of the file, one of JSON for each id.
pub(crate) enum Unwritten {
    /// Those that come after what is there.
    End(Vec<u8>),
    /// All.
    Whole(Vec<u8>),
}

impl Unwritten {
    /// Writes them. A whole file is replaced at once: whoever reads it sees the old one or the new one.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::End(lines) => {
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.create(true).append(true).open(path)?;
                // A line that was cut off by a crash must not swallow the next one.
                file.write_all(b"\n")?;
                file.write_all(lines)?;
                file.sync_data()
            }
            Self::Whole(lines) => {
                let beside = path.with_extension(format!("{}.new", std::process::id()));
                let mut file = std::fs::File::create(&beside)?;
                file.write_all(lines)?;
                file.sync_all()?;
                std::fs::rename(&beside, path)
            }
        }
    }
}

fn lines_of<'a>(entries: impl Iterator<Item = &'a (SystemTime, Arc<str>)>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for (at, id) in entries {
        let at = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        let id = std::borrow::Cow::Borrowed(&**id);
        serde_json::to_writer(&mut text, &Line { id, at })?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_id_is_forgotten_after_three_hours() {
        let mut revoked = RevokedIds::default();
        revoked.add("a", at(0));
        revoked.add("b", at(10_000));
        assert!(revoked.contains("a"));
        revoked.add("c", at(10_800));
        assert!(!revoked.contains("a"));
        assert!(revoked.contains("b"));
    }

    #[test]
    fn no_more_than_fifty_thousand_are_kept() {
        let mut revoked = RevokedIds::default();
        for number in 0..50_001 {
            revoked.add(&number.to_string(), at(1));
        }
        assert!(!revoked.contains("0"));
        assert!(revoked.contains("1"));
        assert_eq!(revoked.iter().count(), 50_000);
    }

    #[test]
    fn what_is_saved_is_read_again_and_a_broken_line_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.state");
        let mut revoked = RevokedIds::default();
        revoked.load(&path, at(0)).unwrap();
        revoked.add("a", at(100));
        revoked.add("b \"quoted\"", at(200));
        revoked.unwritten(2).unwrap().write(&path).unwrap();
        assert!(revoked.add("c", at(300)));
        assert!(!revoked.add("c", at(300)));
        revoked.unwritten(1).unwrap().write(&path).unwrap();

        let mut text = std::fs::read_to_string(&path).unwrap();
        // Before 1970, beyond the calendar, and no line at all.
        text.insert_str(
            0,
            "{\"id\": \"x\", \"at\": -1}\n{\"id\": \"y\", \"at\": 1e19}\n{\"id\": 3\n",
        );
        std::fs::write(&path, text).unwrap();
        let mut again = RevokedIds::default();
        again.load(&path, at(10_850)).unwrap();
        assert_eq!(again.iter().collect::<Vec<_>>(), ["a", "b \"quoted\"", "c"]);
        let mut later = RevokedIds::default();
        later.load(&path, at(10_950)).unwrap();
        assert_eq!(later.iter().collect::<Vec<_>>(), ["b \"quoted\"", "c"]);
    }

    #[test]
    fn the_file_is_written_anew_when_it_has_grown_also_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.state");
        for life in 0..5 {
            let mut revoked = RevokedIds::default();
            revoked.load(&path, at(100)).unwrap();
            for number in 0..30_000 {
                revoked.add(&format!("{life}-{number}"), at(100));
            }
            revoked.unwritten(30_000).unwrap().write(&path).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() <= 110_000, "{}", text.lines().count());
        let mut again = RevokedIds::default();
        again.load(&path, at(100)).unwrap();
        assert!(again.contains("4-0") && again.contains("4-29999"));
        assert_eq!(again.iter().count(), 50_000);
    }

    #[test]
    fn an_id_of_a_clock_that_was_ahead_is_forgotten_in_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.state");
        std::fs::write(&path, "{\"id\": \"ahead\", \"at\": 4e9}\n").unwrap();
        let mut revoked = RevokedIds::default();
        revoked.load(&path, at(100)).unwrap();
        revoked.add("b", at(200));
        revoked.add("c", at(10_950));
        assert_eq!(revoked.iter().collect::<Vec<_>>(), ["b", "c"]);
    }
}
