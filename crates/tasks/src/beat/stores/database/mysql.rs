//! MariaDB and MySQL, whose columns of times know no time zone.

use std::sync::Arc;

use chrono::NaiveDateTime;
use quintette_core::time::TimeZone;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlQueryResult, MySqlRow};
use sqlx::query::Query;
use sqlx::{MySql, Row as _};

use super::super::super::error::BeatError;
use super::tables::{Column, Connections, Dialect, Kind, Tables, Value, store_error};

pub(super) fn open(url: &str, zone: TimeZone) -> Result<Arc<dyn Tables>, BeatError> {
    let options: MySqlConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| store_error("use", error))?;
    Ok(Arc::new(Connections::<MySql>::new(options, zone)))
}

impl Dialect for MySql {
    const KIND: Kind = Kind::Mysql;

    fn bind(
        query: Query<'_, Self, MySqlArguments>,
        value: Value,
        zone: TimeZone,
    ) -> Query<'_, Self, MySqlArguments> {
        match value {
            Value::Null(_) => query.bind(None::<String>),
            Value::Integer(number) => query.bind(number),
            Value::Bool(flag) => query.bind(flag),
            Value::Text(text) => query.bind(text),
            Value::Time(time) => query.bind(zone.to_naive(time)),
        }
    }

    fn read(
        row: &MySqlRow,
        index: usize,
        column: Column,
        zone: TimeZone,
    ) -> Result<Value, sqlx::Error> {
        let value = match column {
            Column::Integer => integer(row, index)?.map(Value::Integer),
            Column::Bool => row.try_get::<Option<bool>, _>(index)?.map(Value::Bool),
            Column::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
            Column::Time => row
                .try_get::<Option<NaiveDateTime>, _>(index)?
                .map(|naive| Value::Time(zone.from_naive(naive))),
        };
        Ok(value.unwrap_or(Value::Null(column)))
    }

    fn rows_affected(result: &MySqlQueryResult) -> u64 {
        result.rows_affected()
    }
}

/// With a sign or without: Django's positive integers have none.
fn integer(row: &MySqlRow, index: usize) -> Result<Option<i64>, sqlx::Error> {
    row.try_get::<Option<i64>, _>(index).or_else(|_| {
        let unsigned = row.try_get::<Option<u64>, _>(index)?;
        Ok(unsigned.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
    })
}
