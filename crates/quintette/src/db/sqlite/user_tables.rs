use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use quintette_core::settings::UserModel;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite};

use super::SqliteDatabase;
use super::auth_schema::LONGEST_NAME;
use super::session_table::to_text;
use crate::db::DatabaseError;
use crate::db::error::{of_users, of_users_write};
use crate::db::user_tables::{Dialect, LOOK, Names, Statement, Value};

#[derive(Debug)]
pub(super) struct SqliteUserTables {
    database: SqliteDatabase,
    names: Names,
}

impl SqliteUserTables {
    /// The tables; an error where one is missing.
    pub(super) async fn open(
        database: SqliteDatabase,
        model: &UserModel,
    ) -> Result<Self, DatabaseError> {
        let names = Names::new(model, LONGEST_NAME);
        let tables = Self { database, names };
        tables.select(Statement::new(LOOK)).await?;
        Ok(tables)
    }

    fn query(&self, statement: Statement) -> Query<'static, Sqlite, SqliteArguments> {
        let sql = self.names.sql('"', &statement.template);
        // No name of a table has a quotation mark in it.
        let query = sqlx::query(AssertSqlSafe(sql));
        let values = statement.values.into_iter();
        values.fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Time(time) => {
                query.bind(time.map(|time| to_text(time, self.database.time_zone)))
            }
        })
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> DatabaseError + '_ {
        |error| of_users(&self.database.place, error)
    }
}

#[async_trait]
impl Dialect for SqliteUserTables {
    type Row = SqliteRow;

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

    async fn select(&self, statement: Statement) -> Result<Vec<SqliteRow>, DatabaseError> {
        let rows = self.database.reader.fetch_all(self.query(statement)).await;
        rows.map_err(self.failed())
    }

    async fn write(&self, statement: Statement) -> Result<u64, DatabaseError> {
        self.write_all(vec![statement]).await
    }

    async fn insert(&self, statement: Statement) -> Result<i64, DatabaseError> {
        self.database.check_place()?;
        let written = self.database.writer.execute(self.query(statement)).await;
        let written = written.map_err(|error| of_users_write(&self.database.place, error))?;
        Ok(written.last_insert_rowid())
    }

    async fn write_all(&self, statements: Vec<Statement>) -> Result<u64, DatabaseError> {
        self.database.check_place()?;
        let queries = statements
            .into_iter()
            .map(|statement| self.query(statement));
        let queries: Vec<_> = queries.collect();
        let written = self.database.writer.execute_all(queries).await;
        let written = written.map_err(|error| of_users_write(&self.database.place, error))?;
        Ok(written.rows_affected())
    }

    fn text(&self, row: &SqliteRow, column: usize) -> Result<String, DatabaseError> {
        // A column may hold anything in SQLite.
        let text: Vec<u8> = row.try_get_unchecked(column).map_err(self.failed())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn integer(&self, row: &SqliteRow, column: usize) -> Result<i64, DatabaseError> {
        row.try_get_unchecked(column).map_err(self.failed())
    }

    fn flag(&self, row: &SqliteRow, column: usize) -> Result<bool, DatabaseError> {
        row.try_get_unchecked(column).map_err(self.failed())
    }

    fn time(&self, row: &SqliteRow, column: usize) -> Result<Option<DateTime<Utc>>, DatabaseError> {
        let text: Option<Vec<u8>> = row.try_get_unchecked(column).map_err(self.failed())?;
        let time = text.map(|text| {
            NaiveDateTime::parse_from_str(&String::from_utf8_lossy(&text), "%Y-%m-%d %H:%M:%S%.f")
        });
        // What is no date is none.
        Ok(time
            .and_then(Result::ok)
            .map(|time| self.database.time_zone.from_naive(time)))
    }
}
