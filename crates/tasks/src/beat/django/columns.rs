//! Values as Django keeps them.

use chrono::{DateTime, Utc};
use quintette_core::time::TimeZone;

use crate::database::{Dialect, Value};

/// How a Django with these settings writes times into a database of this kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) dialect: Dialect,
    pub(super) zone: TimeZone,
}

impl Times {
    pub(super) fn write(self, time: Option<DateTime<Utc>>) -> Value {
        let naive = time.map(|time| self.zone.to_naive(time));
        match self.dialect {
            // Its columns know their time zone.
            Dialect::Postgres => Value::Instant(time),
            Dialect::Mysql => Value::Time(naive),
            Dialect::Sqlite => Value::Text(naive.map(|time| {
                // Without a fraction that is zero: SQLite compares texts.
                let has_fraction = time.and_utc().timestamp_subsec_micros() != 0;
                let fraction = if has_fraction { "%.6f" } else { "" };
                time.format(&format!("%Y-%m-%d %H:%M:%S{fraction}"))
                    .to_string()
            })),
        }
    }

    pub(super) fn read(self, value: Value) -> Option<DateTime<Utc>> {
        let naive = value.time()?;
        Some(match self.dialect {
            Dialect::Postgres => naive.and_utc(),
            Dialect::Mysql | Dialect::Sqlite => self.zone.from_naive(naive),
        })
    }
}
