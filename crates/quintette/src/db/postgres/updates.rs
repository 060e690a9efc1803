//! Updates that travel together: one statement, one commit, one wait for the disk.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Row};

use crate::db::connections::Connections;
use crate::db::failure::{Failure, Fate};

/// A change of the row whose `session_data` is `seen`.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) key: String,
    pub(super) seen: String,
    /// `None` where only the expiry moves.
    pub(super) data: Option<String>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

/// What became of an update among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Updated {
    Yes,
    /// There is no such row that holds what was seen and is unexpired.
    No,
    /// It was left out, and is to be done by itself: another has the row, or one of them cannot be done.
    LeftOut,
}

/// Rows that others have locked are left out, so that this neither waits for a lock, with all who come behind it, nor
/// deadlocks with another of its kind. So it is with a single row, too: else two visitors whose rows are locked would
/// hold up all the others. Of two updates of one row, PostgreSQL makes one, and returns which.
const UPDATE_TOGETHER: &str = "\
    WITH locked AS MATERIALIZED ( \
      SELECT session_key FROM django_session WHERE session_key = ANY($1) FOR NO KEY UPDATE SKIP LOCKED \
    ), updated AS ( \
      UPDATE django_session AS s \
      SET session_data = COALESCE(n.data, s.session_data), expire_date = n.expires_at \
      FROM locked, unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) \
        WITH ORDINALITY AS n (session_key, seen, data, expires_at, position) \
      WHERE s.session_key = locked.session_key AND s.session_key = n.session_key \
        AND s.session_data = n.seen AND s.expire_date > $5 \
      RETURNING n.position \
    ) \
    SELECT position, NULL::text FROM updated UNION ALL SELECT NULL, session_key FROM locked";

pub(super) async fn update_together(
    connections: &Connections<Postgres>,
    updates: Vec<Arc<Update>>,
) -> Result<Vec<Updated>, Failure> {
    let keys: Vec<&str> = updates.iter().map(|update| update.key.as_str()).collect();
    let seen: Vec<&str> = updates.iter().map(|update| update.seen.as_str()).collect();
    let data: Vec<Option<&str>> = updates
        .iter()
        .map(|update| update.data.as_deref())
        .collect();
    let expiries: Vec<_> = updates.iter().map(|update| update.expires_at).collect();
    let statement = sqlx::query(UPDATE_TOGETHER)
        .bind(&keys)
        .bind(seen)
        .bind(data)
        .bind(expiries)
        .bind(updates.iter().map(|update| update.now).max());
    let rows = match connections.write_returning(statement).await {
        Ok(rows) => rows,
        Err(failure) if is_of_one(&failure) => return Ok(vec![Updated::LeftOut; updates.len()]),
        Err(failure) => return Err(failure),
    };
    let (mut updated, mut locked) = (HashSet::new(), HashSet::new());
    for row in &rows {
        match row.try_get::<Option<i64>, _>(0).map_err(Failure::lost)? {
            Some(position) => {
                updated.insert(position);
            }
            None => {
                locked.insert(row.try_get::<String, _>(1).map_err(Failure::lost)?);
            }
        }
    }
    // WITH ORDINALITY counts from 1.
    let outcomes = (1..).zip(keys).map(|(position, key)| {
        if updated.contains(&position) {
            Updated::Yes
        } else if locked.contains(key) {
            Updated::No
        } else {
            Updated::LeftOut
        }
    });
    Ok(outcomes.collect())
}

/// How long a statement waits for a row that another has locked: less than its caller does, who is then told that
/// nothing was done. Else the statement would wait on for the row when nobody waits for it any more, with a connection of
/// the server, and be done then.
///
/// It is set by the statement itself, for itself: a round trip less, and a pooler in between gives it to nobody else.
pub(super) fn lock_timeout(connections: &Connections<Postgres>) -> String {
    format!("{}ms", (connections.timeout() / 4 * 3).as_millis().max(1))
}

pub(super) async fn update_alone(
    connections: &Connections<Postgres>,
    update: &Update,
) -> Result<bool, Failure> {
    let statement = match &update.data {
        Some(data) => sqlx::query(
            "UPDATE django_session SET expire_date = $1, session_data = $6 \
             WHERE session_key = $2 AND session_data = $3 AND expire_date > $4 \
             AND set_config('lock_timeout', $5, true) IS NOT NULL",
        )
        .bind(update.expires_at)
        .bind(&update.key)
        .bind(&update.seen)
        .bind(update.now)
        .bind(lock_timeout(connections))
        .bind(data),
        None => sqlx::query(
            "UPDATE django_session SET expire_date = $1 \
             WHERE session_key = $2 AND session_data = $3 AND expire_date > $4 \
             AND set_config('lock_timeout', $5, true) IS NOT NULL",
        )
        .bind(update.expires_at)
        .bind(&update.key)
        .bind(&update.seen)
        .bind(update.now)
        .bind(lock_timeout(connections)),
    };
    Ok(connections.write(statement).await? > 0)
}

/// Whether the failure may be that of one of them alone, and nothing was changed: a value that the server refuses (class
/// 22), a limit (54), a constraint or a trigger (23, P0), a deadlock with somebody else (40).
fn is_of_one(failure: &Failure) -> bool {
    let code = failure
        .error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    failure.fate == Fate::Refused
        && code.is_some_and(|code| {
            ["22", "23", "40", "54", "P0"]
                .iter()
                .any(|class| code.starts_with(class))
        })
}
