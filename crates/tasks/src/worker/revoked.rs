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

    pub(crate) fn add(&mut self, id: &str, now: SystemTime) {
        self.forget_old(now);
        let id: Arc<str> = id.into();
        if self.ids.insert(id.clone()) {
            self.order.push_back((now, id));
        }
        while self.order.len() > Self::MOST {
            self.forget_first();
        }
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

    /// Reads what [`save`](Self::save) wrote; a file that is not there holds nothing, and a line that is none is skipped.
    pub(crate) fn load(&mut self, path: &Path, now: SystemTime) -> io::Result<()> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for line in text.lines() {
            if let Ok(line) = serde_json::from_str::<Line<'_>>(line)
                && let Ok(since) = Duration::try_from_secs_f64(line.at)
            {
                self.add(&line.id, SystemTime::UNIX_EPOCH + since);
            }
        }
        self.forget_old(now);
        Ok(())
    }

    /// Keeps ids that were added: at the end of the file, which is written anew when it has grown.
    pub(crate) fn keep(&mut self, path: &Path, added: &[Arc<str>]) -> io::Result<()> {
        self.appended += added.len();
        if self.appended > Self::MOST {
            self.appended = 0;
            return self.save(path);
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        let older = self.order.len().saturating_sub(added.len());
        let newest = self.order.iter().skip(older);
        let lines = newest.filter(|(_, id)| added.contains(id));
        // A line that was cut off by a crash must not swallow the next one.
        file.write_all(b"\n")?;
        file.write_all(&lines_of(lines)?)?;
        file.sync_data()
    }

    /// One line of JSON for each id. The file is replaced as a whole: whoever reads it sees the old one or the new one.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let text = lines_of(self.order.iter())?;
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
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
        revoked.save(&path).unwrap();
        revoked.add("c", at(300));
        revoked.keep(&path, &["c".into()]).unwrap();

        let mut text = std::fs::read_to_string(&path).unwrap();
        text.insert_str(0, "{\"id\": 3\n");
        std::fs::write(&path, text).unwrap();
        let mut again = RevokedIds::default();
        again.load(&path, at(10_850)).unwrap();
        assert_eq!(again.iter().collect::<Vec<_>>(), ["a", "b \"quoted\"", "c"]);
        let mut later = RevokedIds::default();
        later.load(&path, at(10_950)).unwrap();
        assert_eq!(later.iter().collect::<Vec<_>>(), ["b \"quoted\"", "c"]);
    }
}
