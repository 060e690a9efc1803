use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use quintette_core::session::SessionKey;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::swap::{self, Identity, Swapped};

/// What is read of a file at the most, in bytes. No session is larger: its data may not exceed 16 MiB, which base64
/// makes a third longer. The directory may be one where others can put files of any size.
const MAX_READ: u64 = 32 << 20;

/// The longest name of a file, in bytes, on everything that Linux mounts.
const MAX_NAME: usize = 255;

/// For how long a temporary file may be that of a write that is under way, in seconds.
const MAX_WRITE: i64 = 60 * 60;

/// The directory of the session files, under Django's names. All of this blocks.
///
/// A file is never changed in place: each write is a new file that takes the name of the old one, so that a reader,
/// who takes no lock, sees the one or the other.
#[derive(Clone)]
pub(super) struct Directory {
    path: PathBuf,
    prefix: String,
}

/// The content of a session's file.
pub(super) struct Content {
    pub(super) text: Vec<u8>,
    pub(super) modified: DateTime<Utc>,
}

/// A session's file that no other process with this engine can change meanwhile.
pub(super) struct Locked<'a> {
    directory: &'a Directory,
    path: PathBuf,
    file: File,
    identity: Identity,
    pub(super) content: Content,
}

impl Directory {
    /// Sessions under `prefix`, Django's `SESSION_COOKIE_NAME`.
    pub(super) fn new(path: PathBuf, prefix: &str) -> Self {
        Self {
            path,
            prefix: prefix.to_owned(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Finds out whether files can be written there.
    pub(super) fn check(&self) -> io::Result<()> {
        self.temporary(b"", SystemTime::now()).map(drop)
    }

    /// The content of a session's file; `None` where there is no such file.
    pub(super) fn read(&self, key: &SessionKey) -> io::Result<Option<Content>> {
        let Some(path) = self.file(key) else {
            return Ok(None);
        };
        match self.open(&path, OFlags::RDONLY)? {
            Some(file) => content(&file).map(Some),
            None => Ok(None),
        }
    }

    /// Stores a new session; `false` where there is a file of that name, or there can be none.
    pub(super) fn create(
        &self,
        key: &SessionKey,
        text: &[u8],
        modified: SystemTime,
    ) -> io::Result<bool> {
        let Some(path) = self.file(key) else {
            return Ok(false);
        };
        let temporary = self.temporary(text, modified)?;
        match swap::rename_new(&temporary.path, &path) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.sync()?;
        Ok(true)
    }

    /// Waits for the session's file; `None` where there is none.
    ///
    /// The lock is `flock`, on the file itself, so that no other files are needed for it. Whoever waited for a file that
    /// has been replaced meanwhile begins anew with the one that took its name.
    pub(super) fn lock(&self, key: &SessionKey) -> io::Result<Option<Locked<'_>>> {
        let Some(path) = self.file(key) else {
            return Ok(None);
        };
        loop {
            // Over NFS, only a file that is open for writing can be locked.
            let Some(file) = self.open(&path, OFlags::RDWR)? else {
                return Ok(None);
            };
            file.lock()?;
            let identity = Identity::of_file(&file)?;
            if Identity::at(&path)? == Some(identity) {
                let content = content(&file)?;
                return Ok(Some(Locked {
                    directory: self,
                    path,
                    file,
                    identity,
                    content,
                }));
            }
        }
    }

    /// The keys that have files, in their order.
    pub(super) fn keys(&self) -> io::Result<Vec<SessionKey>> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let key = name
                .to_str()
                .and_then(|name| name.strip_prefix(&self.prefix))
                .and_then(SessionKey::parse);
            // Django's own temporary files have a `_` in the place of the key.
            keys.extend(key.filter(SessionKey::is_plain));
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Removes the temporary files that a crash has left behind.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let oldest = Utc::now().timestamp() - MAX_WRITE;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let ours = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(self.temporary_prefix()));
            // Not the time of modification, which is the session's.
            if ours
                && entry
                    .metadata()
                    .is_ok_and(|metadata| metadata.is_file() && metadata.ctime() < oldest)
            {
                // Another process may sweep as well, or the file be another user's, who sweeps it himself.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Where a session's file is. `None` for a key that Django could not have made, which might lead anywhere.
    fn file(&self, key: &SessionKey) -> Option<PathBuf> {
        let name = [&self.prefix, key.as_str()].concat();
        (key.is_plain() && name.len() <= MAX_NAME).then(|| self.path.join(name))
    }

    /// Opens what is a file, and no link to one: where others can write to the directory, a link may lead anywhere.
    fn open(&self, path: &Path, access: OFlags) -> io::Result<Option<File>> {
        // Without NONBLOCK, to open a pipe would be to wait for its other end.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                Ok(file.metadata()?.is_file().then_some(file))
            }
            // A missing directory is no missing session.
            Err(Errno::NOENT) => fs::metadata(&self.path).map(|_| None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A complete file of a name that nobody can guess, locked for those who find it when it takes a session's name.
    fn temporary(&self, text: &[u8], modified: SystemTime) -> io::Result<Temporary> {
        let path = self.path.join(self.temporary_name()?);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // As Django's, which come from Python's `mkstemp`.
        let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?;
        let mut temporary = Temporary {
            path,
            file: file.into(),
        };
        temporary.file.lock()?;
        temporary.file.write_all(text)?;
        temporary.file.set_modified(modified)?;
        temporary.file.sync_all()?;
        Ok(temporary)
    }

    /// A new name, of 128 random bits.
    pub(super) fn temporary_name(&self) -> io::Result<String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(format!(
            "{}{:032x}",
            self.temporary_prefix(),
            u128::from_ne_bytes(random)
        ))
    }

    /// No session's file begins so, not even where the cookie's name begins with a dot: Django's `clear_expired` opens
    /// every file that begins with the cookie's name.
    fn temporary_prefix(&self) -> &'static str {
        if self.prefix.starts_with('.') {
            "~quintette-"
        } else {
            ".quintette-"
        }
    }

    /// Makes the names in the directory last through a power cut.
    fn sync(&self) -> io::Result<()> {
        match File::open(&self.path)?.sync_all() {
            // Some network file systems know no such thing.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

impl Locked<'_> {
    /// Puts a new file in the place of this one.
    pub(super) fn replace(self, text: &[u8], modified: SystemTime) -> io::Result<Swapped> {
        let temporary = self.directory.temporary(text, modified)?;
        let new = Identity::of_file(&temporary.file)?;
        let swapped = swap::exchange(&temporary.path, new, &self.path, self.identity)?;
        // What was displaced has its name now, and goes with it.
        drop(temporary);
        self.directory.sync()?;
        Ok(swapped)
    }

    /// Sets when the file was last modified.
    pub(super) fn touch(self, modified: SystemTime) -> io::Result<Swapped> {
        self.file.set_modified(modified)?;
        self.current()
    }

    /// Removes this very file.
    pub(super) fn remove(self) -> io::Result<Swapped> {
        let current = self.current()?;
        if current != Swapped::Done {
            return Ok(current);
        }
        match fs::remove_file(&self.path) {
            Ok(()) => self.directory.sync().map(|()| Swapped::Done),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Swapped::Gone),
            Err(error) => Err(error),
        }
    }

    /// Whether Django, which takes no lock, has put another file in the place of this one.
    fn current(&self) -> io::Result<Swapped> {
        Ok(match Identity::at(&self.path)? {
            Some(identity) if identity == self.identity => Swapped::Done,
            Some(_) => Swapped::Changed,
            None => Swapped::Gone,
        })
    }
}

/// A file that goes when this goes, unless it has been given another name.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Where it has been renamed there is nothing to remove. What cannot be removed now is swept later.
        let _ = fs::remove_file(&self.path);
    }
}

fn content(file: &File) -> io::Result<Content> {
    let metadata = file.metadata()?;
    let mut text = Vec::new();
    file.take(MAX_READ).read_to_end(&mut text)?;
    Ok(Content {
        text,
        modified: time(metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// A file may have been modified at any time whatever, past the end of all calendars.
pub(super) fn time(seconds: i64, nanoseconds: i64) -> DateTime<Utc> {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
    let end = if seconds < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    };
    DateTime::from_timestamp(seconds, nanoseconds).unwrap_or(end)
}
