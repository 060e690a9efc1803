//! PostgreSQL, whose columns of times know their time zone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use quintette_core::time::TimeZone;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgQueryResult, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use super::super::super::error::BeatError;
use super::tables::{Column, Connections, Dialect, Kind, Tables, Value, store_error};

pub(super) fn open(url: &str, zone: TimeZone) -> Result<Arc<dyn Tables>, BeatError> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| store_error("use", error))?;
    Ok(Arc::new(Connections::<Postgres>::new(options, zone)))
}

impl Dialect for Postgres {
    const KIND: Kind = Kind::Postgres;

    fn bind(
        query: Query<'_, Self, PgArguments>,
        value: Value,
        _: TimeZone,
    ) -> Query<'_, Self, PgArguments> {
        match value {
            Value::Null(Column::Integer) => query.bind(None::<i64>),
            Value::Null(Column::Bool) => query.bind(None::<bool>),
            Value::Null(Column::Text) => query.bind(None::<String>),
            Value::Null(Column::Time) => query.bind(None::<DateTime<Utc>>),
            Value::Integer(number) => query.bind(number),
            Value::Bool(flag) => query.bind(flag),
            Value::Text(text) => query.bind(text),
            Value::Time(time) => query.bind(time),
        }
    }

    fn read(row: &PgRow, index: usize, column: Column, _: TimeZone) -> Result<Value, sqlx::Error> {
        let value = match column {
            Column::Integer => integer(row, index)?.map(Value::Integer),
            Column::Bool => row.try_get::<Option<bool>, _>(index)?.map(Value::Bool),
            Column::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
            Column::Time => row
                .try_get::<Option<DateTime<Utc>>, _>(index)?
                .map(Value::Time),
        };
        Ok(value.unwrap_or(Value::Null(column)))
    }

    fn rows_affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }
}

/// Of any size: Django's integers are of three.
fn integer(row: &PgRow, index: usize) -> Result<Option<i64>, sqlx::Error> {
    row.try_get::<Option<i64>, _>(index)
        .or_else(|_| Ok(row.try_get::<Option<i32>, _>(index)?.map(i64::from)))
        .or_else(|_: sqlx::Error| Ok(row.try_get::<Option<i16>, _>(index)?.map(i64::from)))
}
