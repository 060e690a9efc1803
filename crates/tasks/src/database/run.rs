//! Statements, on a connection of any kind.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::{Arguments as _, AssertSqlSafe, ColumnIndex, Database, Decode, Encode, Row as _, Type};

use super::Dialect;
use super::statement::{Column, Statement, Value, Written};

/// Runs statements one after the other, in the transaction that there is.
pub(super) async fn run<DB>(
    connection: &mut DB::Connection,
    dialect: Dialect,
    statements: &[Statement],
) -> Result<Vec<Written>, sqlx::Error>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
    DB::Arguments: sqlx::IntoArguments<DB>,
    DB::QueryResult: Changed,
    usize: ColumnIndex<DB::Row>,
    for<'v> Option<i64>: Encode<'v, DB> + Type<DB>,
    for<'v> Option<String>: Encode<'v, DB> + Type<DB>,
    for<'v> Option<Vec<u8>>: Encode<'v, DB> + Type<DB>,
    for<'v> Option<NaiveDateTime>: Encode<'v, DB> + Type<DB>,
    for<'v> Option<DateTime<Utc>>: Encode<'v, DB> + Type<DB>,
    for<'v> i64: Decode<'v, DB>,
    for<'v> String: Decode<'v, DB>,
    for<'v> Vec<u8>: Decode<'v, DB>,
    for<'v> NaiveDateTime: Decode<'v, DB>,
{
    let mut written = Vec::with_capacity(statements.len());
    for statement in statements {
        let mut arguments = DB::Arguments::default();
        for value in &statement.values {
            match for_dialect(value, dialect).into_owned() {
                Value::Int(int) => arguments.add(int),
                Value::Text(text) => arguments.add(text),
                Value::Bytes(bytes) => arguments.add(bytes),
                Value::Time(time) => arguments.add(time),
                Value::Instant(time) => arguments.add(time),
                Value::Unreadable => arguments.add(None::<i64>),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        // Every statement is a text of this crate; what came from elsewhere is among its values.
        let sql = AssertSqlSafe(with_placeholders(&statement.sql, dialect));
        let query = sqlx::query_with::<DB, _>(sql, arguments);
        if statement.columns.is_empty() {
            let result = query.execute(&mut *connection).await?;
            if statement.must_change && result.changed() == 0 {
                return Err(sqlx::Error::RowNotFound);
            }
            written.push(Written {
                changed: result.changed(),
                rows: Vec::new(),
            });
            continue;
        }
        let rows = query.fetch_all(&mut *connection).await?;
        let rows = rows.iter().map(|row| {
            let columns = statement.columns.iter().enumerate();
            columns
                .map(|(at, column)| {
                    let value = match column {
                        Column::Int => row.try_get_unchecked(at).map(Value::Int),
                        Column::Text => row.try_get_unchecked(at).map(Value::Text),
                        Column::Bytes => row.try_get_unchecked(at).map(Value::Bytes),
                        Column::Time => row.try_get_unchecked(at).map(Value::Time),
                    };
                    match value {
                        // One row must not hide the others.
                        Err(sqlx::Error::ColumnDecode { .. }) => Ok(Value::Unreadable),
                        value => value,
                    }
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        written.push(Written {
            changed: rows.len() as u64,
            rows,
        });
    }
    Ok(written)
}

/// `SQLite` has no times: Python writes them as text with six digits after the point, and so do we.
fn for_dialect(value: &Value, dialect: Dialect) -> Cow<'_, Value> {
    let time = match value {
        Value::Time(time) => *time,
        Value::Instant(time) => time.map(|time| time.naive_utc()),
        _ => return Cow::Borrowed(value),
    };
    match dialect {
        Dialect::Sqlite => Cow::Owned(Value::Text(
            time.map(|time| time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()),
        )),
        Dialect::Mysql => Cow::Owned(Value::Time(time)),
        Dialect::Postgres => Cow::Borrowed(value),
    }
}

/// `$1`, `$2` for `PostgreSQL`. No statement here has a question mark of another meaning.
fn with_placeholders(sql: &str, dialect: Dialect) -> String {
    if dialect != Dialect::Postgres {
        return sql.to_owned();
    }
    let mut parts = sql.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (number, part) in parts.enumerate() {
        // A String takes whatever is written to it.
        let _ = write!(text, "${}{part}", number + 1);
    }
    text
}

/// How many rows a statement changed.
pub(super) trait Changed {
    fn changed(&self) -> u64;
}

#[cfg(feature = "sqlite")]
impl Changed for sqlx::sqlite::SqliteQueryResult {
    fn changed(&self) -> u64 {
        self.rows_affected()
    }
}

#[cfg(feature = "postgres")]
impl Changed for sqlx::postgres::PgQueryResult {
    fn changed(&self) -> u64 {
        self.rows_affected()
    }
}

#[cfg(feature = "mysql")]
impl Changed for sqlx::mysql::MySqlQueryResult {
    fn changed(&self) -> u64 {
        self.rows_affected()
    }
}
