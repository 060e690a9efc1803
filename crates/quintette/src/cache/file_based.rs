mod entry;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fmt, io, path};

use async_trait::async_trait;
use md5::{Digest as _, Md5};
use quintette_core::session::{SessionError, SessionErrorKind};
use tokio::sync::Semaphore;
use tracing::warn;

use super::culling::Culling;
use super::{Cache, CacheError, Cached, Revision, Swapped};
use crate::files::{Directory, swap};
use entry::{Entry, Stream};

/// What an entry's file is called after the digest of its name.
const SUFFIX: &str = ".djcache";

/// What our temporary files begin with. Django takes no notice of files without its suffix.
const TEMPORARY_PREFIX: &str = ".quintette-";

/// How many operations go on at once, each on a thread.
const AT_ONCE: usize = 16;

/// A cache in files of a directory. Django's `FileBasedCache`.
///
/// An entry is one file, which nobody but its owner can read: the pickled time of its expiry, and the value as zlib packs
/// it. What a write compares is that zlib stream. An expired entry's file goes when somebody meets it. Unix only.
///
/// # Culling
///
/// As in Django the cache holds 300 entries, unless `OPTIONS` has another `MAX_ENTRIES`; then one in three
/// (`CULL_FREQUENCY`) is thrown away, whichever. Where sessions live here and nowhere else, so many visitors are logged
/// out: give it room.
///
/// # Beside Django
///
/// Processes with this cache lock an entry's file while they replace it (`flock`), and write whole files only. Of Django
/// `touch` alone takes that lock, and nothing compares. What remains:
///
/// - Django's `set` overwrites what was stored since it looked; so does its `add`, which is a look and a `set`. Where it
///   meets an expired file it deletes whatever has that name by then.
/// - This cache never overwrites what Django stored, and never brings back what it deleted: old and new file change
///   places in one step (`RENAME_EXCHANGE`), and change back where the old one was not the one that was seen. File
///   systems without that step (NFS) keep a window of microseconds.
/// - A deletion that depends on a revision has the same window everywhere.
///
/// Nothing waits for the disk: a power cut may take entries, and leaves none by halves.
///
/// ```
/// use std::sync::Arc;
/// use quintette::cache::{FileBasedCache, NamedCache};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache");
/// let cache = FileBasedCache::new(path)?.with_culling(1_000_000, 3);
/// let cache = NamedCache::new(Arc::new(cache));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FileBasedCache {
    files: Arc<Files>,
    turns: Arc<Semaphore>,
    timeout: Duration,
}

/// What the threads that may block need.
#[derive(Clone)]
struct Files {
    directory: Directory,
    culling: Culling,
}

impl FileBasedCache {
    /// In this directory, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// Where it cannot be made, or files cannot be written to it: of kind
    /// [`Misconfigured`](SessionErrorKind::Misconfigured).
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, SessionError> {
        let directory = directory.into();
        // The working directory may change.
        let directory = path::absolute(&directory).unwrap_or(directory);
        let files = Files {
            directory: Directory::new(directory, TEMPORARY_PREFIX).forgetful(),
            culling: Culling::default(),
        };
        files
            .made(|| files.directory.check())
            .map_err(|error| misconfigured(&files.directory, error))?;
        // What cannot be swept now is swept another time.
        let _ = files.directory.sweep();
        Ok(Self {
            files: Arc::new(files),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            timeout: Duration::from_secs(2),
        })
    }

    /// The same with Django's `MAX_ENTRIES` and `CULL_FREQUENCY`: when it holds so many entries, one in
    /// `cull_frequency` goes, or all of them where that is zero. 300 and 3 by default.
    #[must_use]
    pub fn with_culling(self, max_entries: u64, cull_frequency: u64) -> Self {
        let files = Arc::unwrap_or_clone(self.files);
        Self {
            files: Arc::new(Files {
                culling: Culling::new(max_entries, cull_frequency),
                ..files
            }),
            ..self
        }
    }

    /// The same, where an operation is given up after this long. Two seconds by default.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Runs to its end, whatever becomes of the caller.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, CacheError> {
        let files = Arc::clone(&self.files);
        // Never closed, so never without a turn; the work keeps it to its end.
        let turn = self.turns.clone().acquire_owned().await.ok();
        let work = move || {
            let done = work(&files);
            drop(turn);
            done
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(CacheError::new),
            Err(stopped) => Err(CacheError::unknown(stopped)),
        }
    }

    /// For as long as a request waits: another process may hold the file locked, a network's file system may hang.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, CacheError> {
        match tokio::time::timeout(self.timeout, self.blocking(work)).await {
            Ok(done) => done,
            Err(elapsed) => Err(CacheError::unknown(elapsed)),
        }
    }
}

#[async_trait]
impl Cache for FileBasedCache {
    async fn get(&self, name: &str) -> Result<Option<Cached>, CacheError> {
        let file = file_name(name);
        let read = self.blocking(move |files| files.get(&file));
        match tokio::time::timeout(self.timeout, read).await {
            Ok(done) => done,
            Err(elapsed) => Err(CacheError::new(elapsed)),
        }
    }

    async fn set(&self, name: &str, value: Vec<u8>, ttl: Duration) -> Result<Revision, CacheError> {
        let file = file_name(name);
        self.write(move |files| files.set(&file, Stream::pack(&value)?, ttl))
            .await
    }

    async fn add(
        &self,
        name: &str,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Option<Revision>, CacheError> {
        let file = file_name(name);
        self.write(move |files| files.add(&file, Stream::pack(&value)?, ttl))
            .await
    }

    async fn replace(
        &self,
        name: &str,
        seen: &Revision,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Swapped<Revision>, CacheError> {
        let (file, seen) = (file_name(name), seen.clone());
        self.write(move |files| {
            let stream = Stream::pack(&value)?;
            let replaced = files.replace(&file, &seen, &stream, ttl)?;
            Ok(replaced.with(|| stream.into()))
        })
        .await
    }

    async fn touch(
        &self,
        name: &str,
        seen: &Revision,
        ttl: Duration,
    ) -> Result<Swapped, CacheError> {
        let (file, seen) = (file_name(name), seen.clone());
        self.write(move |files| files.replace(&file, &seen, &Stream::of(&seen), ttl))
            .await
    }

    async fn delete(&self, name: &str, seen: Option<&Revision>) -> Result<Swapped, CacheError> {
        let (file, seen) = (file_name(name), seen.cloned());
        self.write(move |files| files.delete(&file, seen.as_ref()))
            .await
    }
}

impl Files {
    fn get(&self, file: &str) -> io::Result<Option<Cached>> {
        let Some(content) = none_if_missing(self.directory.read(file))? else {
            return Ok(None);
        };
        let Some(entry) = Entry::unexpired(&content.text) else {
            // What cannot be deleted now is expired all the same.
            let _ = self.remove_expired(file);
            return Ok(None);
        };
        let value = entry.unpack().unwrap_or_else(|error| {
            warn!(target: "quintette::cache", %error, file, "an entry in the cache's directory cannot be unpacked");
            // No bytes are no pickle, so whoever wants one sees that this is broken, and can replace it.
            Vec::new()
        });
        Ok(Some(Cached {
            value,
            revision: Some(entry.stream.to_vec().into()),
            ttl: entry.ttl(),
        }))
    }

    /// What is there is replaced under its lock, for the sake of those who compare.
    fn set(&self, file: &str, stream: Stream, ttl: Duration) -> io::Result<Revision> {
        let text = stream.text(ttl);
        // A file of another user's may not be opened for that, and the directory decides whether its name may be taken.
        if let Ok(Some(locked)) = self.directory.lock(file) {
            if locked.replace(&text, SystemTime::now())? == swap::Swapped::Done {
                return Ok(stream.into());
            }
        } else {
            self.cull();
        }
        self.made(|| self.directory.overwrite(file, &text, SystemTime::now()))?;
        Ok(stream.into())
    }

    fn add(&self, file: &str, stream: Stream, ttl: Duration) -> io::Result<Option<Revision>> {
        let text = stream.text(ttl);
        loop {
            let Some(locked) = none_if_missing(self.directory.lock(file))? else {
                self.cull();
                let created =
                    self.made(|| self.directory.create(file, &text, SystemTime::now()))?;
                return Ok(created.then(|| stream.into()));
            };
            if Entry::unexpired(&locked.content.text).is_some() {
                return Ok(None);
            }
            // Where another has taken its place, what is there now is not expired, or expired as well.
            if locked.replace(&text, SystemTime::now())? == swap::Swapped::Done {
                return Ok(Some(stream.into()));
            }
        }
    }

    fn replace(
        &self,
        file: &str,
        seen: &Revision,
        stream: &Stream,
        ttl: Duration,
    ) -> io::Result<Swapped> {
        let Some(locked) = none_if_missing(self.directory.lock(file))? else {
            return Ok(Swapped::Missing);
        };
        match Entry::unexpired(&locked.content.text) {
            None => Ok(Swapped::Missing),
            Some(entry) if entry.stream != seen.as_bytes() => Ok(Swapped::Conflict),
            Some(_) => Ok(swapped(
                locked.replace(&stream.text(ttl), SystemTime::now())?,
            )),
        }
    }

    fn delete(&self, file: &str, seen: Option<&Revision>) -> io::Result<Swapped> {
        loop {
            let Some(locked) = none_if_missing(self.directory.lock(file))? else {
                return Ok(Swapped::Missing);
            };
            let entry = Entry::unexpired(&locked.content.text);
            let unexpired = entry.is_some();
            if entry.is_some_and(|entry| seen.is_some_and(|seen| entry.stream != seen.as_bytes())) {
                return Ok(Swapped::Conflict);
            }
            match locked.remove()? {
                swap::Swapped::Done if unexpired => return Ok(Swapped::Done(())),
                swap::Swapped::Done | swap::Swapped::Gone => return Ok(Swapped::Missing),
                swap::Swapped::Changed if seen.is_some() => return Ok(Swapped::Conflict),
                swap::Swapped::Changed => {}
            }
        }
    }

    /// Looks again under the lock: another process may have stored it anew since.
    fn remove_expired(&self, file: &str) -> io::Result<()> {
        match self.directory.lock(file)? {
            Some(locked) if Entry::unexpired(&locked.content.text).is_none() => {
                locked.remove().map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Throws entries away where there are too many. That it cannot is no reason not to write one more.
    fn cull(&self) {
        if !self.culling.is_due() {
            return;
        }
        match self.cull_now() {
            Ok(entries) => self.culling.counted(entries),
            Err(error) => {
                warn!(target: "quintette::cache", %error, "the cache's directory cannot be culled");
            }
        }
    }

    /// As Django, whichever entries chance will have. How many are left.
    fn cull_now(&self) -> io::Result<u64> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.directory.path())? {
            let name = entry?.file_name();
            if name.to_str().is_some_and(|name| name.ends_with(SUFFIX)) {
                files.push(name);
            }
        }
        let entries = files.len() as u64;
        if entries < self.culling.max_entries {
            return Ok(entries);
        }
        let share = usize::try_from(self.culling.share(entries)).unwrap_or(usize::MAX);
        let mut removed = 0;
        for _ in 0..share.min(files.len()) {
            let mut random = [0; 8];
            getrandom::fill(&mut random)?;
            let chosen = usize::from_ne_bytes(random) % files.len();
            let path = self.directory.path().join(files.swap_remove(chosen));
            // Another process may cull as well.
            removed += u64::from(fs::remove_file(path).is_ok());
        }
        Ok(entries - removed)
    }

    /// Does it again with a new directory where there is none: as in Django, it may be deleted at any time.
    fn made<T>(&self, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o700);
                builder.create(self.directory.path())?;
                work()
            }
            result => result,
        }
    }
}

/// What Django calls an entry's file: the MD5 of its name.
fn file_name(name: &str) -> String {
    let digest = u128::from_be_bytes(Md5::digest(name).into());
    format!("{digest:032x}{SUFFIX}")
}

/// A directory that is missing is one without entries.
fn none_if_missing<T>(result: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result,
    }
}

fn swapped(swapped: swap::Swapped) -> Swapped {
    match swapped {
        swap::Swapped::Done => Swapped::Done(()),
        swap::Swapped::Changed => Swapped::Conflict,
        swap::Swapped::Gone => Swapped::Missing,
    }
}

fn misconfigured(directory: &Directory, error: io::Error) -> SessionError {
    SessionError::new(
        SessionErrorKind::Misconfigured,
        format!(
            "No cache can be kept in the directory {}: {error}. Set its LOCATION to a directory that this program \
             may write to",
            directory.path().display()
        ),
    )
    .with_source(error)
}

impl fmt::Debug for FileBasedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBasedCache")
            .field("directory", &self.files.directory.path())
            .finish_non_exhaustive()
    }
}
