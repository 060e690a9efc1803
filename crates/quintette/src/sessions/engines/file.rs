mod directory;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{env, fmt, io};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use quintette_core::session::{
    Cleared, Codec, Created, Deleted, Expiry, Listed, Receipt, Record, Replaced, Revision,
    SessionData, SessionEngine, SessionError, SessionErrorKind, SessionKey, Stored,
};
use quintette_core::settings::Settings;
use quintette_core::time::TimeZone;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::files::Content;
use crate::files::swap::Swapped;
use directory::Directory;

/// How many files a clean-up looks at between two reports.
const BATCH: usize = 500;

/// Sessions in files of a directory. Django's `django.contrib.sessions.backends.file`.
///
/// A session is one file, named `SESSION_COOKIE_NAME` and the key; its text is the revision. The directory is
/// `SESSION_FILE_PATH`, else the one that Python takes for temporary files (`TMPDIR`, `TEMP`, `TMP`, `/tmp`). Prefer one
/// of your own: a temporary directory is cleaned by others, and open to every user of the machine. Unix only.
///
/// # Expiry
///
/// As Django computes it, and the two agree on every file. A session that ends at a time ends then. One without an
/// expiry of its own ends `SESSION_COOKIE_AGE` after the file was modified. One that ends after so many seconds of
/// idleness **does not expire on the server**: Django stores these seconds and not when they began, and takes a positive
/// number for the time that is left whenever it looks. The cookie goes on time; the file stays. Store a point in time
/// ([`Expiry::At`]) where that matters.
///
/// An expired session is gone, as in the other engines. (Django's file engine starts a new session in its place.)
///
/// # Beside Django
///
/// Processes with this engine lock a file while they replace it (`flock`), and write nothing but complete files that
/// last through a power cut. Django takes no lock and compares nothing. What remains of that:
///
/// - Django's save can overwrite what was stored between its load and its save, and bring back what was deleted there.
/// - This engine never overwrites what Django stored, and never brings back what it deleted: old and new file change
///   places in one step (`RENAME_EXCHANGE`), and change back where the old one was not the one that was read. A reader
///   may see the new one for that moment. File systems without that step (NFS) keep a window of microseconds in
///   which Django's save or delete is overwritten.
/// - A deletion that depends on a revision (a new key at a login) has the same window everywhere.
///
/// ```
/// use std::sync::Arc;
/// use quintette::sessions::{Sessions, engines::FileEngine};
/// use quintette::settings::Settings;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().to_owned();
/// let mut settings = Settings::new("a long and random text");
/// settings.session_file_path = Some(path);
/// let sessions = Sessions::new(Arc::new(FileEngine::new(&settings)?), settings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FileEngine {
    files: Arc<Files>,
    turns: Arc<Semaphore>,
    timeout: Duration,
}

/// How many operations go on at once. Each takes a thread, and most of its time waits for the disk.
const AT_ONCE: usize = 16;

/// What the threads that may block need.
#[derive(Clone)]
struct Files {
    directory: Directory,
    codec: Codec,
    cookie_age: TimeDelta,
    zone: TimeZone,
}

impl FileEngine {
    /// In the directory of the settings.
    ///
    /// # Errors
    ///
    /// Where that is no directory, or files cannot be written to it: of kind
    /// [`Misconfigured`](SessionErrorKind::Misconfigured).
    pub fn new(settings: &Settings) -> Result<Self, SessionError> {
        let prefix = settings.session_cookie_name.as_str();
        // The longest file name that file systems take, less a key's 32 characters.
        if prefix.len() > 255 - 32 {
            return Err(SessionError::new(
                SessionErrorKind::Misconfigured,
                format!(
                    "SESSION_COOKIE_NAME has {} characters: as the beginning of session files' names it may have 223",
                    prefix.len()
                ),
            ));
        }
        let directory = match &settings.session_file_path {
            Some(path) => Directory::new(path.clone(), prefix),
            None => temporary_directory(prefix),
        };
        directory
            .check()
            .map_err(|error| misconfigured(&directory, error))?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            timeout: settings.session_store_timeout,
            files: Arc::new(Files {
                directory,
                codec: Codec::new(settings),
                cookie_age: settings.session_cookie_age,
                zone: TimeZone {
                    use_tz: settings.use_tz,
                    zone: settings.time_zone,
                },
            }),
        })
    }

    /// The same with the application's own [`Serializer`](super::super::Serializer) in the codec.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        let files = Arc::unwrap_or_clone(self.files);
        Self {
            files: Arc::new(Files { codec, ..files }),
            turns: self.turns,
            timeout: self.timeout,
        }
    }

    /// Runs to its end, whatever becomes of the caller.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SessionError> {
        let files = Arc::clone(&self.files);
        // Never closed, so never without a turn; the work keeps it to its end.
        let turn = self.turns.clone().acquire_owned().await.ok();
        let work = move || {
            let done = work(&files);
            drop(turn);
            done
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(|error| SessionError::unavailable(&self.name(), error)),
            Err(stopped) => Err(SessionError::unavailable(&self.name(), stopped)),
        }
    }

    /// As [`blocking`](Self::blocking), for as long as a request waits: a network's file system may hang.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SessionError> {
        match tokio::time::timeout(self.timeout, self.blocking(work)).await {
            Ok(done) => done,
            Err(elapsed) => Err(SessionError::unavailable(&self.name(), elapsed)),
        }
    }

    /// The same for a write, which goes on when nobody waits for it any more.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SessionError> {
        match tokio::time::timeout(self.timeout, self.blocking(work)).await {
            Ok(done) => done,
            Err(elapsed) => Err(SessionError::unknown(&self.name(), elapsed)),
        }
    }

    fn name(&self) -> String {
        let path = self.files.directory.path().display();
        format!("the session directory {path} (SESSION_FILE_PATH)")
    }
}

#[async_trait]
impl SessionEngine for FileEngine {
    async fn load(&self, key: &SessionKey) -> Result<Option<Stored>, SessionError> {
        let key = key.clone();
        self.read(move |files| files.load(&key)).await
    }

    /// A key that can name no file is taken.
    async fn create(&self, key: &SessionKey, record: &Record<'_>) -> Result<Created, SessionError> {
        let (key, text) = (key.clone(), self.files.codec.encode(record.data)?);
        let modified = self.files.modification(record);
        self.write(move |files| {
            let created = files.directory.create(&key, text.as_bytes(), modified)?;
            Ok(if created {
                Created::Stored(Receipt::revision(text))
            } else {
                Created::Taken
            })
        })
        .await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let (key, seen, text) = (
            key.clone(),
            seen.clone(),
            self.files.codec.encode(record.data)?,
        );
        let modified = self.files.modification(record);
        self.write(move |files| files.replace(&key, &seen, text, modified))
            .await
    }

    async fn touch(
        &self,
        key: &SessionKey,
        seen: &Revision,
        record: &Record<'_>,
    ) -> Result<Replaced, SessionError> {
        let (key, seen) = (key.clone(), seen.clone());
        let modified = self.files.modification(record);
        self.write(move |files| files.touch(&key, seen, modified))
            .await
    }

    async fn delete(
        &self,
        key: &SessionKey,
        seen: Option<&Revision>,
    ) -> Result<Deleted, SessionError> {
        let (key, seen) = (key.clone(), seen.cloned());
        self.write(move |files| files.delete(&key, seen.as_ref()))
            .await
    }

    async fn clear_expired(
        &self,
        progress: &mut (dyn FnMut(Cleared) + Send),
    ) -> Result<Cleared, SessionError> {
        let mut keys = self
            .blocking(|files| {
                files.directory.sweep()?;
                files.directory.keys()
            })
            .await?;
        let mut cleared = Cleared::default();
        progress(cleared);
        while !keys.is_empty() {
            let batch = keys.split_off(keys.len().saturating_sub(BATCH));
            cleared.removed += self.blocking(move |files| files.clear(&batch)).await?;
            progress(cleared);
        }
        Ok(cleared)
    }

    async fn list(
        &self,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, SessionError> {
        let after = after.cloned();
        self.blocking(move |files| files.list(after.as_ref(), limit))
            .await
    }
}

impl Files {
    fn load(&self, key: &SessionKey) -> io::Result<Option<Stored>> {
        let Some(content) = self.directory.read(key)? else {
            return Ok(None);
        };
        let data = self.decode(&content);
        if self.has_expired(&data, &content) {
            // What cannot be deleted now is expired all the same.
            let _ = self.remove_expired(key);
            return Ok(None);
        }
        let expires_at = self.expires_at(&data, &content, Utc::now());
        Ok(Some(
            Stored::new(data, Revision::from(content.text)).expiring(expires_at),
        ))
    }

    fn replace(
        &self,
        key: &SessionKey,
        seen: &Revision,
        text: String,
        modified: SystemTime,
    ) -> io::Result<Replaced> {
        let Some(locked) = self.directory.lock(key)? else {
            return Ok(Replaced::Gone);
        };
        if self.has_expired(&self.decode(&locked.content), &locked.content) {
            return Ok(Replaced::Gone);
        }
        if locked.content.text != seen.as_bytes() {
            return Ok(Replaced::Conflict);
        }
        Ok(replaced(locked.replace(text.as_bytes(), modified)?, text))
    }

    fn touch(
        &self,
        key: &SessionKey,
        seen: Revision,
        modified: SystemTime,
    ) -> io::Result<Replaced> {
        let Some(locked) = self.directory.lock(key)? else {
            return Ok(Replaced::Gone);
        };
        if self.has_expired(&self.decode(&locked.content), &locked.content) {
            return Ok(Replaced::Gone);
        }
        if locked.content.text != seen.as_bytes() {
            return Ok(Replaced::Conflict);
        }
        Ok(replaced(locked.touch(modified)?, seen))
    }

    fn delete(&self, key: &SessionKey, seen: Option<&Revision>) -> io::Result<Deleted> {
        loop {
            let Some(locked) = self.directory.lock(key)? else {
                return Ok(Deleted::Gone);
            };
            if seen.is_some_and(|seen| locked.content.text != seen.as_bytes()) {
                return Ok(Deleted::Conflict);
            }
            match locked.remove()? {
                Swapped::Done => return Ok(Deleted::Deleted),
                Swapped::Gone => return Ok(Deleted::Gone),
                Swapped::Changed if seen.is_some() => return Ok(Deleted::Conflict),
                Swapped::Changed => {}
            }
        }
    }

    /// How many of these were expired, and are removed.
    fn clear(&self, keys: &[SessionKey]) -> io::Result<u64> {
        let mut removed = 0;
        for key in keys {
            match self.clear_one(key) {
                Ok(expired) => removed += u64::from(expired),
                // One file of another user's is no reason to keep the rest.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    warn!(target: "quintette::session", %error, "a session file was passed over by the clean-up");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    fn clear_one(&self, key: &SessionKey) -> io::Result<bool> {
        let Some(content) = self.directory.read(key)? else {
            return Ok(false);
        };
        Ok(self.has_expired(&self.decode(&content), &content) && self.remove_expired(key)?)
    }

    /// Looks again under the lock: another process may have saved the session since.
    fn remove_expired(&self, key: &SessionKey) -> io::Result<bool> {
        let Some(locked) = self.directory.lock(key)? else {
            return Ok(false);
        };
        let expired = self.has_expired(&self.decode(&locked.content), &locked.content);
        Ok(expired && locked.remove()? == Swapped::Done)
    }

    fn list(&self, after: Option<&SessionKey>, limit: usize) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for key in self.directory.keys()? {
            if listed.len() == limit {
                break;
            }
            if after.is_some_and(|after| key <= *after) {
                continue;
            }
            let Some(content) = self.directory.read(&key)? else {
                continue;
            };
            let data = self.decode(&content);
            if self.has_expired(&data, &content) {
                continue;
            }
            let expires_at = self.expires_at(&data, &content, Utc::now());
            listed.push(Listed {
                key,
                data,
                expires_at,
                size: content.text.len(),
            });
        }
        Ok(listed)
    }

    /// An empty file is one that Django is about to write: an empty session.
    fn decode(&self, content: &Content) -> SessionData {
        if content.text.is_empty() {
            return SessionData::default();
        }
        // What is no text is no signed text, and the codec says so.
        self.codec.decode(&String::from_utf8_lossy(&content.text))
    }

    /// Django counts whole seconds, so that a session ends in its last one.
    fn has_expired(&self, data: &SessionData, content: &Content) -> bool {
        let now = Utc::now();
        // Django takes an empty file for an empty session, of any age.
        !content.text.is_empty() && (self.expires_at(data, content, now) - now).num_seconds() <= 0
    }

    /// Django's `_expiry_date`, and what `get_expiry_date` makes of it.
    fn expires_at(
        &self,
        data: &SessionData,
        content: &Content,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let (from, age) = match Expiry::read(data, self.zone) {
            Some(Expiry::At(time)) => return time.to_utc(),
            Some(Expiry::AfterIdle(age)) => (now, age),
            Some(Expiry::BrowserClose) | None => (content.modified, self.cookie_age),
        };
        from.checked_add_signed(age)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// When the file of such a record is to have been modified: now, except where the expiry that was asked for is
    /// neither the session's own nor that of the settings. Then Django finds it from this.
    fn modification(&self, record: &Record<'_>) -> SystemTime {
        let modified = match Expiry::read(record.data, self.zone) {
            Some(Expiry::At(_) | Expiry::AfterIdle(_)) => None,
            Some(Expiry::BrowserClose) | None => {
                record.expires_at.checked_sub_signed(self.cookie_age)
            }
        };
        modified
            .unwrap_or_else(Utc::now)
            .max(DateTime::UNIX_EPOCH)
            .into()
    }
}

fn replaced(swapped: Swapped, revision: impl Into<Revision>) -> Replaced {
    match swapped {
        Swapped::Done => Replaced::Stored(Receipt::revision(revision)),
        Swapped::Changed => Replaced::Conflict,
        Swapped::Gone => Replaced::Gone,
    }
}

/// The directory that Python's `tempfile.gettempdir()` finds, so that Django's sessions are found in it.
fn temporary_directory(prefix: &str) -> Directory {
    let variables = ["TMPDIR", "TEMP", "TMP"]
        .into_iter()
        .filter_map(env::var_os)
        .filter(|path| !path.is_empty());
    let paths = variables
        .map(PathBuf::from)
        .chain(["/tmp", "/var/tmp", "/usr/tmp"].map(PathBuf::from));
    paths
        .map(|path| Directory::new(path, prefix))
        .find(|directory| directory.check().is_ok())
        .unwrap_or_else(|| Directory::new(env::temp_dir(), prefix))
}

fn misconfigured(directory: &Directory, error: io::Error) -> SessionError {
    SessionError::new(
        SessionErrorKind::Misconfigured,
        format!(
            "No session can be stored in the directory {}: {error}. \
             Set SESSION_FILE_PATH to an existing directory that this program may write to",
            directory.path().display()
        ),
    )
    .with_source(error)
}

impl fmt::Debug for FileEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileEngine")
            .field("directory", &self.files.directory.path())
            .finish_non_exhaustive()
    }
}
