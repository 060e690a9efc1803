use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use quintette_core::session::SessionKey;

use crate::files::{Content, Directory as Files, Locked};

/// The longest name of a file, in bytes, on everything that Linux mounts.
const MAX_NAME: usize = 255;

/// The directory of the session files, under Django's names. All of this blocks.
#[derive(Clone)]
pub(super) struct Directory {
    pub(super) files: Files,
    prefix: String,
}

impl Directory {
    /// Sessions under `prefix`, Django's `SESSION_COOKIE_NAME`.
    pub(super) fn new(path: PathBuf, prefix: &str) -> Self {
        // No session's file begins so, not even where the cookie's name begins with a dot: Django's `clear_expired` opens
        // every file that begins with the cookie's name.
        let temporary_prefix = if prefix.starts_with('.') {
            "~quintette-"
        } else {
            ".quintette-"
        };
        Self {
            files: Files::new(path, temporary_prefix),
            prefix: prefix.to_owned(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.files.path()
    }

    /// Finds out whether files can be written there.
    pub(super) fn check(&self) -> io::Result<()> {
        self.files.check()
    }

    /// The content of a session's file; `None` where there is no such file.
    pub(super) fn read(&self, key: &SessionKey) -> io::Result<Option<Content>> {
        match self.name(key) {
            Some(name) => self.files.read(&name),
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
        match self.name(key) {
            Some(name) => self.files.create(&name, text, modified),
            None => Ok(false),
        }
    }

    /// Waits for the session's file; `None` where there is none.
    pub(super) fn lock(&self, key: &SessionKey) -> io::Result<Option<Locked<'_>>> {
        match self.name(key) {
            Some(name) => self.files.lock(&name),
            None => Ok(None),
        }
    }

    /// The keys that have files, in their order.
    pub(super) fn keys(&self) -> io::Result<Vec<SessionKey>> {
        let mut keys = Vec::new();
        for entry in std::fs::read_dir(self.path())? {
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
        self.files.sweep()
    }

    /// What a session's file is called. `None` for a key that Django could not have made, which might lead anywhere.
    fn name(&self, key: &SessionKey) -> Option<String> {
        let name = [&self.prefix, key.as_str()].concat();
        (key.is_plain() && name.len() <= MAX_NAME).then_some(name)
    }
}
