use std::fmt::Write as _;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::settings::UserModel;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Postgres, Row};
use tokio::time::Instant;

use super::PostgresDatabase;
use super::auth_schema::LONGEST_NAME;
use super::session_table::to_time;
use crate::db::connections::Statement as Query;
use crate::db::error::{DatabaseError, DatabaseErrorKind};
use crate::db::failure::{Failure, users_not_read, users_not_written};
use crate::db::queries;
use crate::db::user_tables::{Dialect, LOOK, Names, Statement, Value};

#[derive(Debug)]
pub(super) struct PostgresUserTables {
    database: PostgresDatabase,
    names: Names,
}

impl PostgresUserTables {
    /// The tables; an error where one is missing.
    pub(super) async fn open(
        database: PostgresDatabase,
        model: &UserModel,
    ) -> Result<Self, DatabaseError> {
        let names = Names::new(model, LONGEST_NAME);
        let tables = Self { database, names };
        tables.select(Statement::new(LOOK)).await?;
        Ok(tables)
    }

    /// With `$1`, `$2`, … in the place of question marks.
    fn sql(&self, template: &str) -> String {
        let named = self.names.sql('"', template);
        let mut parts = named.split('?');
        let mut sql = parts.next().unwrap_or_default().to_owned();
        for (number, part) in (1..).zip(parts) {
            // Writing to a String cannot fail.
            let _ = write!(sql, "${number}{part}");
        }
        sql
    }

    fn query(&self, statement: &Statement) -> Query<Postgres> {
        // No name of a table has a quotation mark in it.
        let query = sqlx::query(AssertSqlSafe(self.sql(&statement.template)));
        let values = statement.values.iter().cloned();
        values.fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Time(time) => query.bind(time),
        })
    }

    /// What PostgreSQL's text cannot hold would be refused with an error.
    fn storable(&self, statements: &[Statement]) -> Result<(), DatabaseError> {
        if statements.iter().any(has_nul) {
            return Err(DatabaseError::new(
                DatabaseErrorKind::Refused,
                format!(
                    "the database {} takes no text with a NUL in it",
                    self.database.place
                ),
            ));
        }
        Ok(())
    }

    async fn write_returning(&self, statement: &Statement) -> Result<Vec<PgRow>, DatabaseError> {
        let query = self.query(statement);
        let rows = self.database.connections.write_returning(query).await;
        rows.map_err(|failure| users_not_written::<Postgres>(&self.database.place, failure))
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> DatabaseError + '_ {
        |error| users_not_read::<Postgres>(&self.database.place, Failure::refused(error))
    }
}

fn has_nul(statement: &Statement) -> bool {
    let mut values = statement.values.iter();
    values.any(|value| matches!(value, Value::Text(text) if text.contains('\0')))
}

#[async_trait]
impl Dialect for PostgresUserTables {
    type Row = PgRow;

    fn on_conflict(&self, unique: &[&str], updated: &[&str]) -> String {
        let columns = if updated.is_empty() {
            &unique[..1]
        } else {
            updated
        };
        let set = columns
            .iter()
            .map(|column| format!("{column} = excluded.{column}"));
        format!(
            "ON CONFLICT ({}) DO UPDATE SET {}",
            unique.join(", "),
            set.collect::<Vec<_>>().join(", ")
        )
    }

    async fn select(&self, statement: Statement) -> Result<Vec<PgRow>, DatabaseError> {
        if has_nul(&statement) {
            return Ok(Vec::new());
        }
        let connections = &self.database.connections;
        let rows = connections.read(|| self.query(&statement)).await;
        match rows {
            // A letter that the database's encoding does not have is in no row.
            Err(failure) if is_untranslatable(&failure) => Ok(Vec::new()),
            rows => {
                rows.map_err(|failure| users_not_read::<Postgres>(&self.database.place, failure))
            }
        }
    }

    async fn write(&self, statement: Statement) -> Result<u64, DatabaseError> {
        self.storable(std::slice::from_ref(&statement))?;
        let written = self
            .database
            .connections
            .write(self.query(&statement))
            .await;
        written.map_err(|failure| users_not_written::<Postgres>(&self.database.place, failure))
    }

    async fn insert(&self, mut statement: Statement) -> Result<i64, DatabaseError> {
        self.storable(std::slice::from_ref(&statement))?;
        statement.template.push_str(" RETURNING id");
        let rows = self.write_returning(&statement).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        self.integer(row.map_err(self.failed())?, 0)
    }

    async fn write_all(&self, statements: Vec<Statement>) -> Result<u64, DatabaseError> {
        self.storable(&statements)?;
        let connections = &self.database.connections;
        let deadline = Instant::now() + connections.timeout();
        let (queries, _notes): (Vec<_>, Vec<_>) = statements
            .iter()
            .map(|statement| queries::noting(self.query(statement)))
            .unzip();
        let written = async {
            let mut lease = connections.acquire(deadline).await?;
            lease
                .run(deadline, |connection| {
                    Box::pin(write_all(connection, queries))
                })
                .await
        };
        let written = written.await;
        written.map_err(|failure| users_not_written::<Postgres>(&self.database.place, failure))
    }

    fn text(&self, row: &PgRow, column: usize) -> Result<String, DatabaseError> {
        row.try_get_unchecked(column).map_err(self.failed())
    }

    /// Django's own keys are of four bytes, those of newer apps of eight.
    fn integer(&self, row: &PgRow, column: usize) -> Result<i64, DatabaseError> {
        let four = row.try_get::<i32, _>(column).map(i64::from);
        four.or_else(|_| row.try_get(column)).map_err(self.failed())
    }

    fn flag(&self, row: &PgRow, column: usize) -> Result<bool, DatabaseError> {
        row.try_get_unchecked(column).map_err(self.failed())
    }

    fn time(&self, row: &PgRow, column: usize) -> Result<Option<DateTime<Utc>>, DatabaseError> {
        let time: Option<i64> = row.try_get_unchecked(column).map_err(self.failed())?;
        Ok(time.map(to_time))
    }
}

async fn write_all(
    connection: &mut PgConnection,
    queries: Vec<Query<Postgres>>,
) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut rows = 0;
    for query in queries {
        match query.execute(&mut *transaction).await {
            Ok(done) => rows = done.rows_affected(),
            Err(error) => {
                // At once, and not when the connection is next used: others may wait for its locks.
                transaction.rollback().await?;
                return Err(error);
            }
        }
    }
    transaction.commit().await?;
    Ok(rows)
}

/// A character that the encoding of the database, or the way to it, does not have.
fn is_untranslatable(failure: &Failure) -> bool {
    let code = failure
        .error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "22P05" | "22021"))
}
