//! Directories of small files that several processes change at once, Django among them.

pub(crate) mod swap;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use swap::{Identity, Swapped};

/// What is read of a file at the most, in bytes. No session is larger: its data may not exceed 16 MiB, which base64
/// makes a third longer. The directory may be one where others can put files of any size.
const MAX_READ: u64 = 32 << 20;

/// For how long a temporary file may be that of a write that is under way, in seconds.
const MAX_WRITE: i64 = 60 * 60;

/// A directory whose files are written whole. All of this blocks.
///
/// A file is never changed in place: each write is a new file that takes the name of the old one, so that a reader,
/// who takes no lock, sees the one or the other.
#[derive(Clone)]
pub(crate) struct Directory {
    path: PathBuf,
    temporary_prefix: &'static str,
    lasting: bool,
}

/// The content of a file.
pub(crate) struct Content {
    pub(crate) text: Vec<u8>,
    pub(crate) modified: DateTime<Utc>,
}

/// A file that no other process of ours can change meanwhile.
pub(crate) struct Locked<'a> {
    directory: &'a Directory,
    path: PathBuf,
    file: File,
    identity: Identity,
    pub(crate) content: Content,
}

impl Directory {
    /// Files that last through a power cut. Temporary ones, of names that begin so, lie beside them.
    pub(crate) fn new(path: PathBuf, temporary_prefix: &'static str) -> Self {
        Self {
            path,
            temporary_prefix,
            lasting: true,
        }
    }

    /// The same for files that a power cut may take: nobody waits for the disk.
    pub(crate) fn forgetful(self) -> Self {
        Self {
            lasting: false,
            ..self
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Finds out whether files can be written there.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.temporary(b"", SystemTime::now()).map(drop)
    }

    /// The content of a file; `None` where there is no such file.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Content>> {
        match self.open(&self.path.join(name), OFlags::RDONLY)? {
            Some(file) => content(&file).map(Some),
            None => Ok(None),
        }
    }

    /// Stores a new file; `false` where there is something of that name.
    pub(crate) fn create(&self, name: &str, text: &[u8], modified: SystemTime) -> io::Result<bool> {
        let temporary = self.temporary(text, modified)?;
        match swap::rename_new(&temporary.path, &self.path.join(name)) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.sync()?;
        Ok(true)
    }

    /// Stores a file, whatever was there before.
    pub(crate) fn overwrite(
        &self,
        name: &str,
        text: &[u8],
        modified: SystemTime,
    ) -> io::Result<()> {
        let temporary = self.temporary(text, modified)?;
        fs::rename(&temporary.path, self.path.join(name))?;
        self.sync()
    }

    /// Waits for a file; `None` where there is none.
    ///
    /// The lock is `flock`, on the file itself, so that no other files are needed for it. Whoever waited for a file that
    /// has been replaced meanwhile begins anew with the one that took its name.
    pub(crate) fn lock(&self, name: &str) -> io::Result<Option<Locked<'_>>> {
        let path = self.path.join(name);
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

    /// Removes the temporary files that a crash has left behind.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        let oldest = Utc::now().timestamp() - MAX_WRITE;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let ours = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(self.temporary_prefix));
            // Not the time of modification, which is what the caller says.
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

    /// Opens what is a file, and no link to one: where others can write to the directory, a link may lead anywhere.
    fn open(&self, path: &Path, access: OFlags) -> io::Result<Option<File>> {
        // Without NONBLOCK, to open a pipe would be to wait for its other end.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                Ok(file.metadata()?.is_file().then_some(file))
            }
            // A missing directory is no missing file.
            Err(Errno::NOENT) => fs::metadata(&self.path).map(|_| None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A complete file of a name that nobody can guess, locked for those who find it when it takes another's name.
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
        if self.lasting {
            temporary.file.sync_all()?;
        }
        Ok(temporary)
    }

    /// A new name, of 128 random bits.
    pub(crate) fn temporary_name(&self) -> io::Result<String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(format!(
            "{}{:032x}",
            self.temporary_prefix,
            u128::from_ne_bytes(random)
        ))
    }

    /// Makes the names in the directory last through a power cut.
    fn sync(&self) -> io::Result<()> {
        if !self.lasting {
            return Ok(());
        }
        match File::open(&self.path)?.sync_all() {
            // Some network file systems know no such thing.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

impl Locked<'_> {
    /// Puts a new file in the place of this one.
    pub(crate) fn replace(self, text: &[u8], modified: SystemTime) -> io::Result<Swapped> {
        let temporary = self.directory.temporary(text, modified)?;
        let new = Identity::of_file(&temporary.file)?;
        let swapped = swap::exchange(&temporary.path, new, &self.path, self.identity)?;
        // What was displaced has its name now, and goes with it.
        drop(temporary);
        self.directory.sync()?;
        Ok(swapped)
    }

    /// Sets when the file was last modified.
    pub(crate) fn touch(self, modified: SystemTime) -> io::Result<Swapped> {
        self.file.set_modified(modified)?;
        self.current()
    }

    /// Removes this very file.
    pub(crate) fn remove(self) -> io::Result<Swapped> {
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
pub(crate) fn time(seconds: i64, nanoseconds: i64) -> DateTime<Utc> {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
    let end = if seconds < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    };
    DateTime::from_timestamp(seconds, nanoseconds).unwrap_or(end)
}
