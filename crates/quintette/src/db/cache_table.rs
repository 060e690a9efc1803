use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::session::{SessionError, SessionErrorKind};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::connections::Server;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::failure::Failure;

/// A table of Django's `DatabaseCache`, in the dialect of one database. Every statement is one round trip.
///
/// A row lives until `expires`, that second's first moment included.
#[async_trait]
pub(crate) trait CacheTable: fmt::Debug + Send + Sync {
    /// The row, expired or not.
    async fn select(&self, key: &str) -> Result<Option<CacheRow>, SessionError>;

    /// Stores a row, whatever was there before.
    async fn upsert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<(), SessionError>;

    /// A new row, or one in place of an expired one; `false` where there is one that has not expired.
    async fn insert(
        &self,
        key: &str,
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError>;

    /// Replaces the row whose `value` is `seen`; `false` where there is none that is unexpired.
    async fn update(
        &self,
        key: &str,
        seen: &[u8],
        value: &str,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError>;

    /// Moves the expiry of the row whose `value` is `seen`; `false` where there is none that is unexpired.
    async fn touch(
        &self,
        key: &str,
        seen: &[u8],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError>;

    /// Deletes the row, or only the row whose `value` is `seen`; `false` where there is none that is unexpired.
    async fn delete(
        &self,
        key: &str,
        seen: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<bool, SessionError>;

    /// How many rows there are, expired or not.
    async fn count(&self) -> Result<u64, SessionError>;

    /// Deletes what has expired, under this key or under all; how many rows that were.
    async fn delete_expired(
        &self,
        key: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<u64, SessionError>;

    /// Deletes the first so many rows in the order of their keys.
    async fn delete_first(&self, rows: u64) -> Result<(), SessionError>;
}

/// A row of a cache's table.
#[derive(Clone)]
pub(crate) struct CacheRow {
    /// A pickle in base64, or whatever stands in its place.
    pub(crate) value: Vec<u8>,
    /// `expires`.
    pub(crate) expires_at: DateTime<Utc>,
}

/// The value is a visitor's own, and stays out of logs.
impl fmt::Debug for CacheRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheRow({} bytes)", self.value.len())
    }
}

/// What a cache's table is called: the `LOCATION` of a `DatabaseCache`.
///
/// No quotation mark of any dialect is in it, so between two of them it is a name and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName(String);

/// PostgreSQL cuts longer names off, and MySQL's may have one more.
const MAX_NAME: usize = 63;

impl TableName {
    /// # Errors
    ///
    /// Where this can be no table's name in every database.
    pub(crate) fn parse(name: &str) -> Result<Self, SessionError> {
        let is_odd = |c: char| c.is_control() || "\"'`[];\\".contains(c);
        // The name of the index is longer.
        if name.is_empty() || name.contains(is_odd) || name.len() + "_expires".len() > MAX_NAME {
            return Err(SessionError::new(
                SessionErrorKind::Misconfigured,
                format!(
                    "{name:?} is no name for a cache's table: take letters, digits and underscores, {} at the most",
                    MAX_NAME - "_expires".len()
                ),
            ));
        }
        Ok(Self(name.to_owned()))
    }

    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A statement with `{table}` and `{index}` in it, where this name belongs, between such quotation marks.
    pub(crate) fn sql(&self, quote: char, template: &str) -> String {
        let name = &self.0;
        template
            .replace("{index}", &format!("{quote}{name}_expires{quote}"))
            .replace("{table}", &format!("{quote}{name}{quote}"))
    }

    pub(crate) fn missing(&self, place: &str) -> SessionError {
        SessionError::new(
            SessionErrorKind::Unavailable,
            format!(
                "the database {place} has no table {} for the cache: run `quintette migrate` (or Django's \
                 `manage.py createcachetable`) with the same DATABASE_URL",
                self.0
            ),
        )
    }
}

/// A failed statement on a server, where a table that is missing is told by its name.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn told<S: Server>(
    name: &TableName,
    place: &str,
    failure: Failure,
    otherwise: impl FnOnce(&str, Failure) -> SessionError,
) -> SessionError {
    let database = failure.error.as_database_error();
    if database.is_some_and(|error| S::is_missing_table(error)) {
        return name.missing(place).with_source(failure.error);
    }
    otherwise(place, failure)
}

#[cfg(test)]
mod tests;
