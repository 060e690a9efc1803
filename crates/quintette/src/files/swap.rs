use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::{Errno, Result};

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::of(&metadata))
    }

    /// That of the file at `path`, of a link itself; `None` where there is nothing.
    pub(crate) fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// What became of one file in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    /// It is done.
    Done,
    /// Another file has taken that place since; it is still there.
    Changed,
    /// There is none any more, and none has been put there.
    Gone,
}

/// Puts the file at `temporary`, which is `new`, in the place of the one at `path`, which was `seen`.
///
/// A process that takes no lock, such as Django, can replace or delete what is at `path` at any moment. Hence the two
/// change places, which fails where `path` is gone, and shows what has been displaced. Was it not the file that was
/// seen, then they change back, until what comes out is what went in. `temporary` names what is to be removed at the end.
pub(super) fn exchange(
    temporary: &Path,
    new: Identity,
    path: &Path,
    seen: Identity,
) -> io::Result<Swapped> {
    match rename_exchange(temporary, path) {
        Err(error) if is_unsupported(error) => return rename_over(temporary, path, seen),
        Err(Errno::NOENT) => return Ok(Swapped::Gone),
        result => result?,
    }
    let mut placed = new;
    let mut displaced = Identity::at(temporary)?;
    // Nothing but a sweep removes a temporary file; it was not in use for an hour then.
    if displaced.is_none_or(|displaced| displaced == seen) {
        return Ok(Swapped::Done);
    }
    while let Some(theirs) = displaced {
        match rename_exchange(temporary, path) {
            Err(Errno::NOENT) => return Ok(Swapped::Gone),
            result => result?,
        }
        displaced = Identity::at(temporary)?;
        if displaced == Some(placed) {
            break;
        }
        placed = theirs;
    }
    Ok(Swapped::Changed)
}

/// Gives the file at `temporary` the name `path`, which nothing may have: [`Errno::EXIST`] otherwise.
pub(super) fn rename_new(temporary: &Path, path: &Path) -> Result<()> {
    match rename_unused(temporary, path) {
        Err(error) if is_unsupported(error) => rename_to_placeholder(temporary, path),
        result => result,
    }
}

/// Django's own way: an empty file, which is an empty session, keeps the place.
pub(crate) fn rename_to_placeholder(temporary: &Path, path: &Path) -> Result<()> {
    File::create_new(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::fs::rename(temporary, path).inspect_err(|_| {
        // Nobody knows the key yet. Where the file stays, it is an empty session that expires.
        let _ = fs::remove_file(path);
    })
}

/// Where files cannot change places (NFS, for one): whatever Django does between these two steps is overwritten.
pub(crate) fn rename_over(temporary: &Path, path: &Path, seen: Identity) -> io::Result<Swapped> {
    match Identity::at(path)? {
        None => Ok(Swapped::Gone),
        Some(identity) if identity != seen => Ok(Swapped::Changed),
        Some(_) => fs::rename(temporary, path).map(|()| Swapped::Done),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_exchange(one: &Path, other: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_unused(from: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_exchange(_one: &Path, _other: &Path) -> Result<()> {
    Err(Errno::NOSYS)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_unused(_from: &Path, _to: &Path) -> Result<()> {
    Err(Errno::NOSYS)
}

fn is_unsupported(error: Errno) -> bool {
    error == Errno::INVAL
        || error == Errno::NOSYS
        || error == Errno::NOTSUP
        || error == Errno::OPNOTSUPP
}
