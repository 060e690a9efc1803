use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use flate2::read::MultiGzDecoder;

use super::{PasswordValidator, Reason, UserAttribute, ValidatorConfigError, characters};

/// The longest list that is read, in bytes, after decompressing.
const MAX_LIST: u64 = 256 << 20;

/// `common_passwords.py` makes it, and says of what.
static BUNDLED: LazyLock<Arc<HashSet<Box<str>>>> = LazyLock::new(|| {
    let compressed = include_bytes!("common_passwords.txt.gz");
    let text = expanded(compressed).expect("the bundled list is one, as a test says");
    Arc::new(listed(&text))
});

/// Refuses passwords that many people have: `CommonPasswordValidator`.
///
/// The list that comes with it is not Django's, but made of zxcvbn's: some 44,700 leaked passwords, given names and frequent
/// English words. Of Django's 19,640 it has 61 in 100, and 855 of the first thousand; so some passwords that Django refuses
/// pass here, and the other way round. To refuse the very same, give the path of the list in Django's package,
/// `django/contrib/auth/common-passwords.txt.gz`.
#[derive(Clone)]
pub struct CommonPassword(Arc<HashSet<Box<str>>>);

impl CommonPassword {
    /// With the list that comes with it.
    pub fn new() -> Self {
        Self(Arc::clone(&BUNDLED))
    }

    /// With another list, a password on each line, in small letters, plain or compressed with gzip: `password_list_path`.
    ///
    /// Reads the file, of 256 MiB at most, at once.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is longer, or is not UTF-8.
    pub fn from_list(path: impl AsRef<Path>) -> Result<Self, ValidatorConfigError> {
        let path = path.as_ref();
        let list = fs::File::open(path).and_then(|file| read(&file));
        match list {
            Ok(text) => Ok(Self(Arc::new(listed(&text)))),
            Err(error) => Err(ValidatorConfigError::unreadable(path, error)),
        }
    }
}

impl Default for CommonPassword {
    fn default() -> Self {
        Self::new()
    }
}

/// How many, not which.
impl fmt::Debug for CommonPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommonPassword({} passwords)", self.0.len())
    }
}

impl PasswordValidator for CommonPassword {
    fn validate(&self, password: &str, _user: &[UserAttribute<'_>]) -> Result<(), Reason> {
        let password = password.to_lowercase();
        if self.0.contains(characters::strip(&password)) {
            return Err(Reason::new(
                "password_too_common",
                "This password is too common.",
            ));
        }
        Ok(())
    }

    fn help_text(&self) -> String {
        "Your password can’t be a commonly used password.".to_owned()
    }
}

/// Python ends a line at any of these.
fn listed(text: &str) -> HashSet<Box<str>> {
    text.lines()
        .flat_map(|line| line.split('\r'))
        .map(|line| characters::strip(line).into())
        .collect()
}

fn read(file: &fs::File) -> io::Result<String> {
    let mut bytes = Vec::new();
    bounded(file, &mut bytes)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return expanded(&bytes);
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn expanded(compressed: &[u8]) -> io::Result<String> {
    let mut bytes = Vec::new();
    bounded(MultiGzDecoder::new(compressed), &mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn bounded(reader: impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    reader.take(MAX_LIST + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > MAX_LIST {
        return Err(io::Error::other(format!(
            "it is longer than {MAX_LIST} bytes"
        )));
    }
    Ok(())
}
