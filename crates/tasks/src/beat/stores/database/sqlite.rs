//! SQLite, where Django keeps a time as text.

use std::sync::Arc;
use std::time::Duration;

use quintette_core::time::TimeZone;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteQueryResult, SqliteRow};
use sqlx::{Row as _, Sqlite};

use super::super::super::error::BeatError;
use super::tables::{Column, Connections, Dialect, Kind, Tables, Value, store_error};

pub(super) fn open(url: &str, zone: TimeZone) -> Result<Arc<dyn Tables>, BeatError> {
    let options: SqliteConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| store_error("use", error))?;
    let options = options
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(5));
    Ok(Arc::new(Connections::<Sqlite>::new(options, zone)))
}

impl Dialect for Sqlite {
    const KIND: Kind = Kind::Sqlite;

    fn bind(
        query: Query<'_, Self, SqliteArguments>,
        value: Value,
        zone: TimeZone,
    ) -> Query<'_, Self, SqliteArguments> {
        match value {
            Value::Null(_) => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Bool(flag) => query.bind(flag),
            Value::Text(text) => query.bind(text),
            Value::Time(time) => {
                let naive = zone.to_naive(time);
                // As Django writes it, without a fraction that is zero: it compares texts.
                let fraction = if naive.and_utc().timestamp_subsec_micros() == 0 {
                    ""
                } else {
                    "%.6f"
                };
                query.bind(
                    naive
                        .format(&format!("%Y-%m-%d %H:%M:%S{fraction}"))
                        .to_string(),
                )
            }
        }
    }

    fn read(
        row: &SqliteRow,
        index: usize,
        column: Column,
        zone: TimeZone,
    ) -> Result<Value, sqlx::Error> {
        let value = match column {
            Column::Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
            Column::Bool => row.try_get::<Option<bool>, _>(index)?.map(Value::Bool),
            Column::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
            Column::Time => row
                .try_get::<Option<String>, _>(index)?
                .map(|text| time(&text, zone))
                .transpose()?,
        };
        Ok(value.unwrap_or(Value::Null(column)))
    }

    fn rows_affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }
}

fn time(text: &str, zone: TimeZone) -> Result<Value, sqlx::Error> {
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok());
    let naive = naive
        .ok_or_else(|| sqlx::Error::Decode(format!("\"{text}\" is no time of Django's").into()))?;
    Ok(Value::Time(zone.from_naive(naive)))
}
