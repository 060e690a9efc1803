use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::db::DatabaseError;

/// What a statement is given for a `?` in it.
#[derive(Clone, Debug)]
pub(in crate::db) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    Time(Option<DateTime<Utc>>),
}

/// A statement on the tables, with the names of [`Names`](super::Names) in braces.
#[derive(Clone, Debug)]
pub(in crate::db) struct Statement {
    pub(in crate::db) template: String,
    pub(in crate::db) values: Vec<Value>,
}

/// What a kind of database does in its own way with the statements that all of them are sent.
#[async_trait]
pub(in crate::db) trait Dialect: std::fmt::Debug + Send + Sync {
    type Row: Send + Sync;

    /// Deletes as many sessions as the second value says, of those that were last used before the first, the earliest first.
    const FORGET_BEFORE: &'static str = "DELETE FROM quintette_user_session WHERE id IN \
        (SELECT id FROM quintette_user_session WHERE last_activity < ? ORDER BY last_activity LIMIT ?)";

    /// The end of an INSERT: what becomes of a row that is there already, by the column or columns that are `unique`.
    /// It takes the new values of the `updated` columns. Where there are none, nothing changes, and it counts as written.
    fn on_conflict(&self, unique: &[&str], updated: &[&str]) -> String;

    async fn select(&self, statement: Statement) -> Result<Vec<Self::Row>, DatabaseError>;

    /// How many rows it found to be written.
    async fn write(&self, statement: Statement) -> Result<u64, DatabaseError>;

    /// Inserts one row, whose `id` the database counts up.
    async fn insert(&self, statement: Statement) -> Result<i64, DatabaseError>;

    /// All or none of them; how many rows the last one found.
    async fn write_all(&self, statements: Vec<Statement>) -> Result<u64, DatabaseError>;

    fn text(&self, row: &Self::Row, column: usize) -> Result<String, DatabaseError>;

    fn integer(&self, row: &Self::Row, column: usize) -> Result<i64, DatabaseError>;

    fn flag(&self, row: &Self::Row, column: usize) -> Result<bool, DatabaseError>;

    fn time(&self, row: &Self::Row, column: usize) -> Result<Option<DateTime<Utc>>, DatabaseError>;
}

impl Statement {
    pub(in crate::db) fn new(template: impl Into<String>) -> Self {
        Self {
            template: template.into(),
            values: Vec::new(),
        }
    }

    pub(in crate::db) fn with(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<DateTime<Utc>> for Value {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(Some(time))
    }
}

impl From<Option<DateTime<Utc>>> for Value {
    fn from(time: Option<DateTime<Utc>>) -> Self {
        Self::Time(time)
    }
}
