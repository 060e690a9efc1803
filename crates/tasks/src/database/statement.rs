use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

/// A value in a statement or in a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    /// A time without a zone: in UTC, to the microsecond.
    Time(Option<NaiveDateTime>),
    /// A time with a zone, where the database knows zones.
    Instant(Option<DateTime<Utc>>),
    /// What a row holds and its column's type does not allow: a file takes anything. Never written.
    Unreadable,
}

/// What a column of a row holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Int,
    Text,
    Bytes,
    Time,
}

/// SQL with `?` for each of its values.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(super) sql: Cow<'static, str>,
    pub(super) values: Vec<Value>,
    pub(super) columns: &'static [Column],
    pub(super) must_change: bool,
}

/// What a statement did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) changed: u64,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self {
            sql: sql.into(),
            values: Vec::new(),
            columns: &[],
            must_change: false,
        }
    }

    /// The value of the next `?`.
    pub(crate) fn with(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The values of the next ones.
    pub(crate) fn with_all<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.values.extend(values.into_iter().map(Into::into));
        self
    }

    /// Where it changes no row, it fails, and nothing that comes with it is done: see
    /// [`is_unchanged`](super::DatabaseError::is_unchanged).
    pub(crate) fn changing(mut self) -> Self {
        self.must_change = true;
        self
    }

    /// Answers with rows of these columns.
    pub(crate) fn returning(mut self, columns: &'static [Column]) -> Self {
        self.columns = columns;
        self
    }
}

/// `?, ?, ?`.
pub(crate) fn places(count: usize) -> String {
    vec!["?"; count].join(", ")
}

impl Value {
    pub(crate) fn now() -> Self {
        Self::Time(Some(Utc::now().naive_utc().trunc_subsecs(6)))
    }

    pub(crate) fn is_unreadable(&self) -> bool {
        *self == Self::Unreadable
    }

    pub(crate) fn int(self) -> Option<i64> {
        match self {
            Self::Int(int) => int,
            _ => None,
        }
    }

    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => text,
            _ => None,
        }
    }

    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => None,
        }
    }

    pub(crate) fn time(self) -> Option<NaiveDateTime> {
        match self {
            Self::Time(time) => time,
            _ => None,
        }
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(Some(int))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}
