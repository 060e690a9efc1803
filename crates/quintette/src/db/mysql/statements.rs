//! The statements on `django_session`, each one round trip.
//!
//! A key is compared twice: the first comparison finds it in the index, by a collation for which `KEY`, `key` and `key `
//! are one; the second tells them apart. The data is compared by its bytes for the same reason. A write is committed when
//! it is answered, and looks at the newest committed row, whatever the isolation level: none of these reads before.

use chrono::NaiveDateTime;
use sqlx::{AssertSqlSafe, MySql, SqlSafeStr, SqlStr};

use crate::db::connections::Statement;

/// Not `INSERT IGNORE`, which cuts or drops what does not fit, and calls that a warning.
pub(super) const INSERT: &str =
    "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)";
pub(super) const UPDATE: &str = "UPDATE django_session SET session_data = ?, expire_date = ? \
    WHERE session_key = ? AND CAST(session_key AS BINARY) = ? AND CAST(session_data AS BINARY) = ? AND expire_date > ?";
pub(super) const TOUCH: &str = "UPDATE django_session SET expire_date = ? \
    WHERE session_key = ? AND CAST(session_key AS BINARY) = ? AND CAST(session_data AS BINARY) = ? AND expire_date > ?";
pub(super) const DELETE: &str =
    "DELETE FROM django_session WHERE session_key = ? AND CAST(session_key AS BINARY) = ?";
pub(super) const DELETE_SEEN: &str = "DELETE FROM django_session \
    WHERE session_key = ? AND CAST(session_key AS BINARY) = ? AND CAST(session_data AS BINARY) = ?";
pub(super) const SELECT_EXPIRED: &str = "SELECT session_key, expire_date FROM django_session \
    WHERE expire_date < ? ORDER BY expire_date LIMIT ?";
/// Steps over what the batches before have deleted and the server has not yet put away.
pub(super) const SELECT_EXPIRED_FROM: &str = "SELECT session_key, expire_date FROM django_session \
    WHERE expire_date >= ? AND expire_date < ? ORDER BY expire_date LIMIT ?";
pub(super) const COUNT_EXPIRED: &str = "SELECT COUNT(*) FROM django_session WHERE expire_date < ?";
pub(super) const PAGE: &str = "SELECT session_key, CAST(session_data AS BINARY) AS session_data, expire_date \
    FROM django_session WHERE session_key > ? AND expire_date > ? ORDER BY session_key LIMIT ?";

/// How many keys one statement looks up.
pub(super) const TOGETHER: usize = 64;

/// The lookups of 1, 2, 4, … 64 keys: few texts, so that each is prepared once for a connection, and then found there.
#[derive(Debug)]
pub(super) struct Lookups(Vec<SqlStr>);

impl Lookups {
    pub(super) fn new() -> Self {
        let sizes = (0..).map(|power| 1_usize << power);
        let texts = sizes.take_while(|size| *size <= TOGETHER).map(|size| {
            let marks = vec!["?"; size].join(", ");
            let text = format!(
                "SELECT session_key, CAST(session_data AS BINARY) AS session_data, expire_date \
                 FROM django_session WHERE session_key IN ({marks})"
            );
            AssertSqlSafe(text).into_sql_str()
        });
        Self(texts.collect())
    }

    /// A statement for these keys, the last one repeated where the text has room for more.
    pub(super) fn of(&self, keys: &[&str]) -> Statement<MySql> {
        let size = keys.len().max(1).next_power_of_two();
        let power = size.trailing_zeros() as usize;
        let Some((text, last)) = self.0.get(power).zip(keys.last()) else {
            // Nobody asks for none, or for more than `TOGETHER`.
            return sqlx::query("SELECT 1 FROM django_session WHERE FALSE");
        };
        let padding = std::iter::repeat_n(last, size - keys.len());
        keys.iter()
            .chain(padding)
            .fold(sqlx::query(text.clone()), |query, key| query.bind(*key))
    }
}

/// A statement that deletes the rows with these keys, those that have expired.
///
/// The rows are found by their keys and not by their dates, whose index `COALESCE` hides: so the locks are on them and on
/// nothing between or behind them, and are taken in the order in which a logout takes them.
pub(super) fn delete_expired(keys: &[String], now: NaiveDateTime) -> Statement<MySql> {
    let marks = vec!["?"; keys.len()].join(", ");
    let text = format!(
        "DELETE FROM django_session WHERE session_key IN ({marks}) AND COALESCE(expire_date) < ?"
    );
    let query = sqlx::query(AssertSqlSafe(text));
    keys.iter()
        .fold(query, |query, key| query.bind(key.as_str()))
        .bind(now)
}
