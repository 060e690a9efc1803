//! `DATABASE_URL`, and URLs that may hold a password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::Value;

use super::error::{Problem, SettingsError};
use super::value;

const ADVICE: &str = "write a URL such as sqlite:///var/lib/shop/db.sqlite3 (an absolute path), sqlite://db.sqlite3 \
                      (a relative one), postgres://user:password@host:5432/name or mysql://user:password@host:3306/name";

/// Which database an application uses: `DATABASE_URL`, the shorthand for Django's `DATABASES["default"]`.
///
/// | written | means |
/// | --- | --- |
/// | `sqlite:///tmp/x.db`, `sqlite:////tmp/x.db`, `sqlite:/tmp/x.db` | the file `/tmp/x.db` |
/// | `sqlite://x.db`, `sqlite:x.db` | the file `x.db` in the working directory |
/// | `sqlite::memory:` | a database in memory, gone with the process |
/// | `postgres://…`, `postgresql://…` | `PostgreSQL` |
/// | `mysql://…`, `mariadb://…` | `MySQL` or `MariaDB` |
///
/// ```
/// use quintette_core::settings::{DatabaseUrl, SqliteLocation};
///
/// let url: DatabaseUrl = "sqlite:///tmp/x.db".parse()?;
/// assert_eq!(url, DatabaseUrl::Sqlite(SqliteLocation::File("/tmp/x.db".into())));
///
/// let url: DatabaseUrl = "postgres://shop:hunter2@localhost/shop".parse()?;
/// assert_eq!(url.to_string(), "postgres://***@localhost/shop");
/// # Ok::<(), quintette_core::settings::SettingsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseUrl {
    /// An embedded database.
    Sqlite(SqliteLocation),
    /// A `PostgreSQL` server's URL.
    Postgres(SecretUrl),
    /// A `MySQL` or `MariaDB` server's URL.
    Mysql(SecretUrl),
}

/// Where an `SQLite` database is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqliteLocation {
    /// In memory: gone with the process.
    Memory,
    /// In a file.
    File(PathBuf),
}

impl DatabaseUrl {
    /// The setting's value; what is wrong with it is told without its text.
    pub(super) fn from_value(value: &Value) -> Result<Self, String> {
        Self::parse(value::words(value)?)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').ok_or(ADVICE)?;
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" | "sqlite3" => sqlite(rest).map(Self::Sqlite),
            "postgres" | "postgresql" => server(text, rest).map(Self::Postgres),
            "mysql" | "mariadb" => server(text, rest).map(Self::Mysql),
            _ => Err(unknown_scheme(scheme, ADVICE)),
        }
    }
}

/// Names the scheme, unless it might be a password that somebody forgot to put a scheme before.
pub(super) fn unknown_scheme(scheme: &str, advice: &str) -> String {
    let letters = |char: char| char.is_ascii_alphabetic() || matches!(char, '+' | '-' | '.');
    if !scheme.is_empty() && scheme.chars().all(letters) {
        format!("nothing here speaks {scheme:?}; {advice}")
    } else {
        advice.to_owned()
    }
}

impl FromStr for DatabaseUrl {
    type Err = SettingsError;

    /// # Errors
    ///
    /// A URL of another scheme than those above, or one without a file or server. The error does not repeat the URL.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        Self::parse(text).map_err(|advice| Problem::secret("DATABASE_URL", advice).into())
    }
}

/// The URL, without its password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(SqliteLocation::Memory) => f.write_str("sqlite::memory:"),
            Self::Sqlite(SqliteLocation::File(path)) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) | Self::Mysql(url) => url.fmt(f),
        }
    }
}

fn server(text: &str, rest: &str) -> Result<SecretUrl, String> {
    let named = rest
        .strip_prefix("//")
        .is_some_and(|server| !server.is_empty());
    if named && !text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        Ok(SecretUrl::new(text))
    } else {
        Err(ADVICE.to_owned())
    }
}

fn sqlite(rest: &str) -> Result<SqliteLocation, String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    // `mode=rwc` is what sqlx's documentation writes, and what is done anyway.
    if !matches!(query, "" | "mode=rwc") {
        return Err(
            "the URL of an SQLite database takes no options but mode=rwc; open the pool in code for others".to_owned(),
        );
    }
    if matches!(path.trim_start_matches('/'), ":memory:") {
        return Ok(SqliteLocation::Memory);
    }
    let path = file_path(path)?;
    if path.as_os_str().is_empty() {
        return Err(
            "name a file (sqlite:///var/lib/shop/db.sqlite3), or write sqlite::memory:".to_owned(),
        );
    }
    Ok(SqliteLocation::File(path))
}

/// The path in a URL of a file, from what follows the scheme's colon: `///a/b` and `////a/b` are absolute, `//b` and `b` relative.
pub(super) fn file_path(rest: &str) -> Result<PathBuf, String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = percent_decoded(path).ok_or("the path's %-escapes must make UTF-8")?;
    if path.contains('\0') {
        return Err("a path cannot hold a NUL character".to_owned());
    }
    // SQLAlchemy writes an absolute path with four slashes; two leading ones mean what one does.
    Ok(match path.trim_start_matches('/') {
        relative if relative.len() == path.len() => PathBuf::from(relative),
        rooted => PathBuf::from(format!("/{rooted}")),
    })
}

/// `None` where the escapes do not make UTF-8. A `%` that begins no escape stands for itself.
fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| {
            bytes
                .get(at + offset)
                .and_then(|b| char::from(*b).to_digit(16))
        };
        let escaped = match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).ok()
}

/// A URL that may hold a password, and so shows neither user nor password nor query when printed.
///
/// ```
/// use quintette_core::settings::SecretUrl;
///
/// let url = SecretUrl::new("redis://:hunter2@localhost:6379/0");
/// assert_eq!(format!("{url:?}"), "redis://***@localhost:6379/0");
/// assert_eq!(url.reveal(), "redis://:hunter2@localhost:6379/0");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Any text: what it means is for whoever connects to it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole URL, with the password.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The URL, without its password.
impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = match self.0.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), self.0.as_str()),
        };
        f.write_str(&scheme)?;
        // The last @ of all: a password that was not escaped may hold /, ? and @ itself.
        let server = match rest.rsplit_once('@') {
            Some((_, server)) => {
                f.write_str("***@")?;
                server
            }
            None => rest,
        };
        match server.split_once('?') {
            Some((server, _)) => write!(f, "{server}?***"),
            None => f.write_str(server),
        }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> DatabaseUrl {
        DatabaseUrl::Sqlite(SqliteLocation::File(path.into()))
    }

    #[test]
    fn three_or_four_slashes_are_an_absolute_path() {
        for url in [
            "sqlite:///tmp/x.db",
            "sqlite:////tmp/x.db",
            "sqlite:/tmp/x.db",
            "SQLite:///tmp/x.db?mode=rwc",
        ] {
            assert_eq!(DatabaseUrl::parse(url), Ok(file("/tmp/x.db")), "{url}");
        }
    }

    #[test]
    fn two_slashes_or_none_are_a_relative_path() {
        for url in ["sqlite://x.db", "sqlite:x.db"] {
            assert_eq!(DatabaseUrl::parse(url), Ok(file("x.db")), "{url}");
        }
        assert_eq!(
            DatabaseUrl::parse("sqlite://./data/a%20b.db"),
            Ok(file("./data/a b.db"))
        );
        assert_eq!(DatabaseUrl::parse("sqlite://100%.db"), Ok(file("100%.db")));
    }

    #[test]
    fn memory_is_asked_for_by_name_only() {
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite:///:memory:"] {
            assert_eq!(
                DatabaseUrl::parse(url),
                Ok(DatabaseUrl::Sqlite(SqliteLocation::Memory)),
                "{url}"
            );
        }
        for url in ["sqlite:", "sqlite://"] {
            assert!(
                DatabaseUrl::parse(url)
                    .unwrap_err()
                    .contains("sqlite::memory:"),
                "{url}"
            );
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_without_repeating_it() {
        for url in [
            "",
            "db.sqlite3",
            "hunter2",
            "oracle://u:hunter2@h/d",
            "postgres:hunter2@h/d",
            "postgres://",
            "postgres://u:hunter2@h/d\n",
            "sqlite:///hunter2?mode=ro",
            "sqlite:///hunter2%00",
            "sqlite:///hunter2%ff",
        ] {
            let error = url.parse::<DatabaseUrl>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        for url in [
            "postgres://u:hunter2@h/d",
            "postgresql://u:hunter2/@x@h/d",
            "postgres://h/d?password=hunter2",
            "postgres://h/d?password=hunter2@x",
            "mysql://u:hun@hunter2?@h/d",
            "mariadb://hunter2@h",
        ] {
            let parsed = DatabaseUrl::parse(url).unwrap();
            assert!(
                !format!("{parsed:?} {parsed}").contains("hunter2"),
                "{parsed:?}"
            );
            let (DatabaseUrl::Postgres(kept) | DatabaseUrl::Mysql(kept)) = parsed else {
                panic!("{url} is a server's");
            };
            assert_eq!(kept.reveal(), url);
        }
    }
}
