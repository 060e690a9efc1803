use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use quintette_core::settings::UserModel;
use sqlx::mysql::{MySqlConnection, MySqlQueryResult, MySqlRow};
use sqlx::{AssertSqlSafe, Connection as _, MySql, Row};
use tokio::time::Instant;

use super::auth_schema::LONGEST_NAME;
use super::dialect::{gave_way, is_incomparable};
use super::session_table::ATTEMPTS;
use super::{MysqlDatabase, does_not_commit};
use crate::db::connections::Statement as Query;
use crate::db::error::{DatabaseError, DatabaseErrorKind};
use crate::db::failure::{Failure, users_not_read, users_not_written};
use crate::db::queries;
use crate::db::user_tables::{Dialect, LOOK, Names, Statement, Value};

#[derive(Debug)]
pub(super) struct MysqlUserTables {
    database: MysqlDatabase,
    names: Names,
}

impl MysqlUserTables {
    /// The tables; an error where one is missing.
    pub(super) async fn open(
        database: MysqlDatabase,
        model: &UserModel,
    ) -> Result<Self, DatabaseError> {
        let names = Names::new(model, LONGEST_NAME);
        let tables = Self { database, names };
        tables.select(Statement::new(LOOK)).await?;
        tables.check_that_it_commits().await?;
        Ok(tables)
    }

    /// Else what an application's pool is given to write would be acknowledged, and gone.
    async fn check_that_it_commits(&self) -> Result<(), DatabaseError> {
        let rows = self.select(Statement::new("SELECT @@autocommit")).await?;
        let commits = rows.first().map(|row| self.integer(row, 0)).transpose()?;
        if commits == Some(0) {
            return Err(DatabaseError::new(
                DatabaseErrorKind::Unavailable,
                does_not_commit(&self.database.place),
            ));
        }
        Ok(())
    }

    fn query(&self, statement: &Statement) -> Query<MySql> {
        let sql = self.names.sql('`', &statement.template);
        // No name of a table has a quotation mark in it.
        let query = sqlx::query(AssertSqlSafe(sql));
        let values = statement.values.iter().cloned();
        values.fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Time(time) => {
                let naive = |time| self.database.time_zone.to_naive(time).trunc_subsecs(6);
                query.bind(time.map(naive))
            }
        })
    }

    /// Runs statements that are a transaction together. What the server undoes for the sake of others is sent again.
    async fn run(&self, statements: &[Statement]) -> Result<MySqlQueryResult, DatabaseError> {
        let deadline = Instant::now() + self.database.connections.timeout();
        let mut attempts = 1;
        loop {
            match self.run_once(statements, deadline).await {
                Err(failure)
                    if gave_way(&failure.error)
                        && attempts < ATTEMPTS
                        && Instant::now() < deadline =>
                {
                    attempts += 1;
                }
                done => {
                    return done.map_err(|failure| {
                        users_not_written::<MySql>(&self.database.place, failure)
                    });
                }
            }
        }
    }

    async fn run_once(
        &self,
        statements: &[Statement],
        deadline: Instant,
    ) -> Result<MySqlQueryResult, Failure> {
        let mut lease = self.database.connections.acquire(deadline).await?;
        let (queries, _notes): (Vec<_>, Vec<_>) = statements
            .iter()
            .map(|statement| queries::noting(self.query(statement)))
            .unzip();
        lease
            .run(deadline, |connection| Box::pin(run(connection, queries)))
            .await
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> DatabaseError + '_ {
        |error| users_not_read::<MySql>(&self.database.place, Failure::refused(error))
    }
}

/// What the last statement did.
async fn run(
    connection: &mut MySqlConnection,
    queries: Vec<Query<MySql>>,
) -> Result<MySqlQueryResult, sqlx::Error> {
    let mut done = MySqlQueryResult::default();
    if queries.len() == 1 {
        for query in queries {
            done = query.execute(&mut *connection).await?;
        }
        return Ok(done);
    }
    let mut transaction = connection.begin().await?;
    for query in queries {
        match query.execute(&mut *transaction).await {
            Ok(result) => done = result,
            Err(error) => {
                // At once, and not when the connection is next used: others may wait for its locks.
                transaction.rollback().await?;
                return Err(error);
            }
        }
    }
    transaction.commit().await?;
    Ok(done)
}

#[async_trait]
impl Dialect for MysqlUserTables {
    type Row = MySqlRow;

    /// MySQL limits no subquery.
    const FORGET_BEFORE: &'static str =
        "DELETE FROM quintette_user_session WHERE last_activity < ? ORDER BY last_activity LIMIT ?";

    fn on_conflict(&self, unique: &[&str], updated: &[&str]) -> String {
        if let ([column, ..], []) = (unique, updated) {
            return format!("ON DUPLICATE KEY UPDATE {column} = {column}");
        }
        let set = updated
            .iter()
            .map(|column| format!("{column} = VALUES({column})"));
        format!(
            "ON DUPLICATE KEY UPDATE {}",
            set.collect::<Vec<_>>().join(", ")
        )
    }

    async fn select(&self, statement: Statement) -> Result<Vec<MySqlRow>, DatabaseError> {
        let connections = &self.database.connections;
        match connections.read(|| self.query(&statement)).await {
            // A letter that the column's character set does not have is in no row.
            Err(failure) if is_incomparable(&failure.error) => Ok(Vec::new()),
            rows => rows.map_err(|failure| users_not_read::<MySql>(&self.database.place, failure)),
        }
    }

    async fn write(&self, statement: Statement) -> Result<u64, DatabaseError> {
        Ok(self.run(&[statement]).await?.rows_affected())
    }

    async fn insert(&self, statement: Statement) -> Result<i64, DatabaseError> {
        let id = self.run(&[statement]).await?.last_insert_id();
        Ok(i64::try_from(id).unwrap_or_default())
    }

    async fn write_all(&self, statements: Vec<Statement>) -> Result<u64, DatabaseError> {
        Ok(self.run(&statements).await?.rows_affected())
    }

    fn text(&self, row: &MySqlRow, column: usize) -> Result<String, DatabaseError> {
        row.try_get_unchecked(column).map_err(self.failed())
    }

    fn integer(&self, row: &MySqlRow, column: usize) -> Result<i64, DatabaseError> {
        row.try_get_unchecked(column).map_err(self.failed())
    }

    fn flag(&self, row: &MySqlRow, column: usize) -> Result<bool, DatabaseError> {
        row.try_get_unchecked(column).map_err(self.failed())
    }

    /// A date of zeros, which a lax `sql_mode` lets in, is none.
    fn time(&self, row: &MySqlRow, column: usize) -> Result<Option<DateTime<Utc>>, DatabaseError> {
        let time: Option<NaiveDateTime> = row.try_get_unchecked(column).unwrap_or_default();
        Ok(time.map(|time| self.database.time_zone.from_naive(time)))
    }
}
