//! Statements for any of the databases.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::time::TimeZone;
use sqlx::pool::PoolOptions;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, Database, Executor, IntoArguments, Pool};

use super::super::super::error::{BeatError, BeatErrorKind};

/// The kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
    Sqlite,
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    Postgres,
    #[cfg_attr(not(feature = "mysql"), allow(dead_code))]
    Mysql,
}

/// What goes in and comes out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null(Column),
    Integer(i64),
    Bool(bool),
    Text(String),
    Time(DateTime<Utc>),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Integer,
    Bool,
    Text,
    Time,
}

pub(crate) type Row = Vec<Value>;

impl Value {
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn time(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Time(time) => Some(*time),
            _ => None,
        }
    }

    pub(crate) fn or_null<T: Into<Self>>(value: Option<T>, column: Column) -> Self {
        value.map_or(Self::Null(column), Into::into)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<DateTime<Utc>> for Value {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(time)
    }
}

/// A statement that changes something, with `?` in the place of each value.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    sql: String,
    values: Vec<Value>,
    /// Where it changes no row, nothing that comes with it is done.
    must_change: bool,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self {
            sql: sql.into(),
            values,
            must_change: false,
        }
    }

    pub(crate) fn changing(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self {
            must_change: true,
            ..Self::new(sql, values)
        }
    }
}

/// A database of any kind.
#[async_trait]
pub(crate) trait Tables: fmt::Debug + Send + Sync {
    fn kind(&self) -> Kind;

    async fn fetch(
        &self,
        sql: &str,
        values: &[Value],
        columns: &[Column],
    ) -> Result<Vec<Row>, BeatError>;

    /// All of them or none, in one transaction. False where one changed no row that must.
    async fn write(&self, statements: &[Statement]) -> Result<bool, BeatError>;

    /// A statement without values, by itself.
    async fn run(&self, sql: &str) -> Result<(), BeatError>;
}

/// What sqlx's drivers do not have in common.
pub(super) trait Dialect: Database {
    const KIND: Kind;

    fn bind(
        query: Query<'_, Self, <Self as Database>::Arguments>,
        value: Value,
        zone: TimeZone,
    ) -> Query<'_, Self, <Self as Database>::Arguments>
    where
        Self: Sized;

    fn read(
        row: &Self::Row,
        index: usize,
        column: Column,
        zone: TimeZone,
    ) -> Result<Value, sqlx::Error>;

    fn rows_affected(result: &Self::QueryResult) -> u64;
}

/// The connections to a database.
pub(super) struct Connections<D: Dialect> {
    options: <D::Connection as Connection>::Options,
    zone: TimeZone,
    /// Made at the first use: a pool wants to be inside a runtime.
    pool: OnceLock<Pool<D>>,
}

impl<D: Dialect> fmt::Debug for Connections<D> {
    /// Without the pool, whose options hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("kind", &D::KIND)
            .finish_non_exhaustive()
    }
}

impl<D: Dialect> Connections<D>
where
    D::Arguments: IntoArguments<D>,
{
    pub(super) fn new(options: <D::Connection as Connection>::Options, zone: TimeZone) -> Self {
        Self {
            options,
            zone,
            pool: OnceLock::new(),
        }
    }

    /// One connection for the leader, and one for what renews its lease.
    fn pool(&self) -> &Pool<D> {
        let make = || {
            let options = PoolOptions::new().max_connections(2);
            options.connect_lazy_with(self.options.clone())
        };
        self.pool.get_or_init(make)
    }

    fn query(&self, sql: &str, values: &[Value]) -> Query<'static, D, D::Arguments> {
        // Each statement is one of this crate's own: nothing but values comes from elsewhere.
        let query = sqlx::query(AssertSqlSafe(placed(sql, D::KIND)));
        values.iter().fold(query, |query, value| {
            D::bind(query, value.clone(), self.zone)
        })
    }
}

#[async_trait]
impl<D: Dialect> Tables for Connections<D>
where
    D::Arguments: IntoArguments<D>,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    fn kind(&self) -> Kind {
        D::KIND
    }

    async fn fetch(
        &self,
        sql: &str,
        values: &[Value],
        columns: &[Column],
    ) -> Result<Vec<Row>, BeatError> {
        let read = |row: &D::Row| {
            let columns = columns.iter().enumerate();
            columns
                .map(|(index, column)| D::read(row, index, *column, self.zone))
                .collect::<Result<Row, sqlx::Error>>()
        };
        let rows = self.query(sql, values).fetch_all(self.pool()).await;
        rows.and_then(|rows| rows.iter().map(read).collect())
            .map_err(|error| store_error("read from", error))
    }

    async fn write(&self, statements: &[Statement]) -> Result<bool, BeatError> {
        let write = async {
            let mut transaction = self.pool().begin().await?;
            for statement in statements {
                let query = self.query(&statement.sql, &statement.values);
                let result = query.execute(&mut *transaction).await?;
                if statement.must_change && D::rows_affected(&result) == 0 {
                    transaction.rollback().await?;
                    return Ok(false);
                }
            }
            transaction.commit().await.map(|()| true)
        };
        write
            .await
            .map_err(|error: sqlx::Error| store_error("write to", error))
    }

    async fn run(&self, sql: &str) -> Result<(), BeatError> {
        let done = self.query(sql, &[]).execute(self.pool()).await;
        done.map(|_| ())
            .map_err(|error| store_error("create its tables in", error))
    }
}

/// `$1`, `$2` … in the place of `?` for PostgreSQL.
fn placed(sql: &str, kind: Kind) -> String {
    if kind != Kind::Postgres {
        return sql.to_owned();
    }
    let mut parts = sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    (1..)
        .zip(parts)
        .fold(first, |sql, (number, part)| format!("{sql}${number}{part}"))
}

pub(crate) fn store_error(
    doing: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BeatError {
    let what = format!("beat could not {doing} the database");
    BeatError::new(BeatErrorKind::Store, what).caused_by(source)
}

/// The database that a `DATABASE_URL` names. Connections are opened when they are needed.
pub(crate) fn open(url: &str, zone: TimeZone) -> Result<Arc<dyn Tables>, BeatError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        #[cfg(feature = "sqlite")]
        "sqlite" => super::sqlite::open(url, zone),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => super::postgres::open(url, zone),
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => super::mysql::open(url, zone),
        _ => Err(store_error(
            "use",
            format!(
                "its URL begins with \"{scheme}:\"; write sqlite:, postgres: or mysql:, and build this program with the \
                 feature of that name"
            ),
        )),
    }
}
