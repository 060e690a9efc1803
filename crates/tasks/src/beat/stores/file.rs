//! A store in a file of this machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::entry::Entry;
use super::super::error::{BeatError, BeatErrorKind};
use super::super::lease::{Fence, Lease};
use super::ScheduleStore;
use super::runs::{Run, Runs, installed, with_runs};

/// Keeps the last runs in a file, for beats of one machine: what `celerybeat-schedule` is to Celery.
///
/// The lease is a lock of the operating system on a second file, `<name>.lock`. It goes with its process, however that
/// ends, and so the next beat leads at once. The file system must be a local one.
///
/// Celery's own file is not read: it is a Python pickle.
#[derive(Clone, Debug)]
pub struct FileStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    entries: Mutex<Vec<Entry>>,
    lock: Mutex<Option<File>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    fence: i64,
    runs: Runs,
}

impl FileStore {
    /// A store in this file, which is made with its first entries.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            shared: Arc::new(Shared {
                path: path.into(),
                entries: Mutex::default(),
                lock: Mutex::default(),
            }),
        }
    }

    /// Files are read and written where that may take its time.
    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Shared) -> Result<T, BeatError> + Send + 'static,
    ) -> Result<T, BeatError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || run(&shared)).await;
        done.map_err(|error| shared_error(&self.shared.path, "use").caused_by(error))?
    }

    async fn write(
        &self,
        fence: Fence,
        change: impl FnOnce(&mut Runs) + Send + 'static,
    ) -> Result<(), BeatError> {
        self.blocking(move |shared| shared.write(fence, change))
            .await
    }
}

impl Shared {
    fn read(&self) -> Result<Contents, BeatError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Contents::default());
            }
            Err(error) => return Err(shared_error(&self.path, "read").caused_by(error)),
        };
        serde_json::from_slice(&bytes).map_err(|error| {
            let hint = "understand (move it away, and each entry counts from now)";
            shared_error(&self.path, hint).caused_by(error)
        })
    }

    fn write(&self, fence: Fence, change: impl FnOnce(&mut Runs)) -> Result<(), BeatError> {
        let mut contents = self.read()?;
        if contents.fence > fence.0 {
            return Err(BeatError::lease_lost());
        }
        contents.fence = fence.0;
        change(&mut contents.runs);
        self.replace(&contents)
            .map_err(|error| shared_error(&self.path, "write").caused_by(error))
    }

    /// Either the old contents or the new are there, whatever happens.
    fn replace(&self, contents: &Contents) -> std::io::Result<()> {
        let new = self.beside(".new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(contents)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn acquire(&self) -> Result<Option<Fence>, BeatError> {
        let path = self.beside(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| shared_error(&path, "open").caused_by(error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(shared_error(&path, "lock").caused_by(error));
            }
        }
        let fence = Fence(self.read()?.fence + 1);
        self.write(fence, |_| ())?;
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(Some(fence))
    }
}

fn shared_error(path: &Path, doing: &str) -> BeatError {
    let what = format!("beat could not {doing} the file {}", path.display());
    BeatError::new(BeatErrorKind::Store, what)
}

#[async_trait]
impl ScheduleStore for FileStore {
    async fn install(&self, fence: Fence, entries: &[Entry]) -> Result<(), BeatError> {
        let entries = entries.to_vec();
        self.blocking(move |shared| {
            shared.write(fence, |runs| *runs = installed(&entries, runs))?;
            *shared
                .entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = entries;
            Ok(())
        })
        .await
    }

    async fn load(&self) -> Result<Vec<Entry>, BeatError> {
        self.blocking(|shared| {
            let runs = shared.read()?.runs;
            let entries = shared
                .entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Ok(with_runs(&entries, &runs))
        })
        .await
    }

    async fn changed(&self) -> Result<bool, BeatError> {
        Ok(false)
    }

    async fn record(&self, fence: Fence, entry: &Entry) -> Result<(), BeatError> {
        let run = Run::of(entry).map(|run| (entry.name.clone(), run));
        self.write(fence, |runs| runs.extend(run)).await
    }

    async fn finish(&self, _: Fence, _: &Entry) -> Result<(), BeatError> {
        Ok(())
    }
}

#[async_trait]
impl Lease for FileStore {
    async fn acquire(&self, _: Duration) -> Result<Option<Fence>, BeatError> {
        self.blocking(Shared::acquire).await
    }

    async fn renew(&self, _: Fence, _: Duration) -> Result<bool, BeatError> {
        let lock = self.shared.lock.lock();
        Ok(lock.unwrap_or_else(PoisonError::into_inner).is_some())
    }

    async fn release(&self, _: Fence) -> Result<(), BeatError> {
        let lock = self.shared.lock.lock();
        *lock.unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}
