mod clean_up;
mod formats;
mod races;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use quintette_core::json::RawJson;
use tempfile::TempDir;

use super::*;

const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

/// `SessionStore.encode({"color": "green"})` of Django 5.2, signed on 2025-10-09 with the key below.
const DJANGO: &str = "eyJjb2xvciI6ImdyZWVuIn0:1v6mOm:p3HAPNXkQaOkRFsNS2FBYmrFhWTCQbfMEofhldWr5MA";

struct Fixture {
    directory: TempDir,
    engine: FileEngine,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::new("a secret of no one");
        settings.session_file_path = Some(directory.path().to_owned());
        change(&mut settings);
        Self {
            engine: FileEngine::new(&settings).unwrap(),
            directory,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(format!("sessionid{KEY}"))
    }

    /// What the directory holds, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.path(), text).unwrap();
    }

    /// As if the file had been modified so long ago.
    fn age(&self, age: TimeDelta) {
        File::open(self.path())
            .unwrap()
            .set_modified((Utc::now() - age).into())
            .unwrap();
    }

    async fn load(&self) -> Option<Stored> {
        self.engine.load(&key()).await.unwrap()
    }

    async fn create(&self, data: &SessionData) -> Revision {
        let created = self.engine.create(&key(), &record(data)).await.unwrap();
        let Created::Stored(Receipt {
            revision: Some(revision),
            key: None,
        }) = created
        else {
            panic!("{created:?}");
        };
        revision
    }
}

fn key() -> SessionKey {
    SessionKey::parse(KEY).unwrap()
}

fn data(name: &str, value: impl Into<serde_json::Value>) -> SessionData {
    let mut data = SessionData::default();
    data.insert(name, RawJson::from_value(&value.into()).unwrap());
    data
}

fn record(data: &SessionData) -> Record<'_> {
    Record {
        data,
        expires_at: Utc::now() + TimeDelta::weeks(2),
    }
}

/// As Django writes: another file takes the name, and no lock is taken.
fn replace_as_django(path: &Path, text: &str) {
    let temporary = path.with_extension("django");
    fs::write(&temporary, text).unwrap();
    fs::rename(temporary, path).unwrap();
}

#[tokio::test]
async fn a_directory_that_is_gone_is_an_error_and_no_unknown_session() {
    let Fixture { directory, engine } = Fixture::new();
    let path = directory.path().display().to_string();
    directory.close().unwrap();
    let empty = SessionData::default();
    let seen = Revision::from(String::new());
    let errors = [
        engine.load(&key()).await.map(drop),
        engine.create(&key(), &record(&empty)).await.map(drop),
        engine
            .replace(&key(), &seen, &record(&empty))
            .await
            .map(drop),
        engine.touch(&key(), &seen, &record(&empty)).await.map(drop),
        engine.delete(&key(), None).await.map(drop),
        engine.clear_expired(&mut |_| {}).await.map(drop),
        engine.list(None, 10).await.map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        let message = error.to_string();
        assert!(
            message.contains(&path) && !message.contains(KEY),
            "{message}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_found_at_start_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [
        file.join("below"),
        file,
        directory.path().join("missing"),
        "/proc".into(),
    ] {
        let mut settings = Settings::new("a secret of no one");
        settings.session_file_path = Some(path.clone());
        let error = FileEngine::new(&settings).unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Misconfigured);
        let message = error.to_string();
        assert!(
            message.contains("SESSION_FILE_PATH") && message.contains(&*path.to_string_lossy()),
            "{message}"
        );
    }
}

#[test]
fn debug_keeps_the_secret() {
    let fixture = Fixture::new();
    let shown = format!("{:?}", fixture.engine);
    assert!(
        !shown.contains("secret") && shown.contains("directory"),
        "{shown}"
    );
}
