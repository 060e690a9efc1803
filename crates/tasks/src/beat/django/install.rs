//! The program's entries, written as Django's models are.

use chrono::{DateTime, Utc};

use super::super::entry::Entry;
use super::super::error::{BeatError, BeatErrorKind};
use super::super::schedule::Schedule;
use super::super::stores::database::{Column, Statement, Tables, Value};

/// The columns of an entry that are the program's to say.
const OWN: [&str; 13] = [
    "task",
    "interval_id",
    "crontab_id",
    "clocked_id",
    "solar_id",
    "args",
    "kwargs",
    "queue",
    "exchange",
    "routing_key",
    "priority",
    "headers",
    "expire_seconds",
];

/// What brings the row of this entry up to date; none where it is.
pub(super) async fn statements(
    tables: &dyn Tables,
    entry: &Entry,
) -> Result<Vec<Statement>, BeatError> {
    let (column, schedule) = schedule_row(tables, entry).await?;
    let values = own_values(entry, column, schedule)?;
    if is_installed(tables, entry, &values).await? {
        return Ok(Vec::new());
    }
    let name = || Value::from(entry.name.clone());
    let exists = tables
        .fetch(
            "SELECT id FROM django_celery_beat_periodictask WHERE name = ?",
            &[name()],
            &[Column::Integer],
        )
        .await?;
    let now = || Value::from(Utc::now());
    if exists.is_empty() {
        let others = [
            ("name", name()),
            ("expires", expires_at(entry)),
            ("one_off", entry.one_off.into()),
            ("start_time", Value::or_null(entry.start_time, Column::Time)),
            ("enabled", entry.enabled.into()),
            ("total_run_count", 0.into()),
            ("date_changed", now()),
            ("description", String::new().into()),
        ];
        let (other_columns, other_values): (Vec<_>, Vec<_>) = others.into_iter().unzip();
        let columns = [&OWN[..], &other_columns].concat();
        let marks = vec!["?"; columns.len()].join(", ");
        let columns = columns.join(", ");
        let sql =
            format!("INSERT INTO django_celery_beat_periodictask ({columns}) VALUES ({marks})");
        return Ok(vec![Statement::new(sql, [values, other_values].concat())]);
    }
    let columns = OWN.join(" = ?, ");
    let sql = format!(
        "UPDATE django_celery_beat_periodictask SET {columns} = ?, date_changed = ? WHERE name = ?"
    );
    Ok(vec![Statement::new(
        sql,
        [values, vec![now(), name()]].concat(),
    )])
}

fn own_values(entry: &Entry, column: &str, schedule: i64) -> Result<Vec<Value>, BeatError> {
    let id = |of: &str| Value::or_null((of == column).then_some(schedule), Column::Integer);
    let signature = &entry.signature;
    let options = &signature.options;
    let text = |name: &str| Value::or_null(options.text(name), Column::Text);
    let number = |name: &str| {
        let number = options.read::<f64>(name).ok().flatten();
        #[allow(clippy::cast_possible_truncation)] // whole seconds are all that the column holds
        Value::or_null(number.map(|number| number as i64), Column::Integer)
    };
    Ok(vec![
        signature.task.clone().into(),
        id("interval_id"),
        id("crontab_id"),
        id("clocked_id"),
        id("solar_id"),
        json(&signature.args)?,
        json(&signature.kwargs)?,
        text("queue"),
        text("exchange"),
        text("routing_key"),
        number("priority"),
        options
            .get("headers")
            .map_or_else(|| Ok("{}".to_owned().into()), json)?,
        number("expires"),
    ])
}

/// In the model, one column is both the end of the schedule and when a message expires.
fn expires_at(entry: &Entry) -> Value {
    let message = entry.signature.options.text("expires");
    let message = message.and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    let time = entry.end_time.or(message.map(|time| time.to_utc()));
    Value::or_null(time, Column::Time)
}

fn json(value: &impl serde::Serialize) -> Result<Value, BeatError> {
    let text = serde_json::to_string(value);
    text.map(Value::from).map_err(|error| {
        BeatError::new(BeatErrorKind::Entry, "an entry cannot be written as JSON").caused_by(error)
    })
}

async fn is_installed(
    tables: &dyn Tables,
    entry: &Entry,
    values: &[Value],
) -> Result<bool, BeatError> {
    use Column::{Integer, Text};
    let kinds = [
        Text, Integer, Integer, Integer, Integer, Text, Text, Text, Text, Text, Integer, Text,
        Integer,
    ];
    let columns = OWN.join(", ");
    let sql = format!("SELECT {columns} FROM django_celery_beat_periodictask WHERE name = ?");
    let rows = tables
        .fetch(&sql, &[entry.name.clone().into()], &kinds)
        .await?;
    Ok(rows.first().is_some_and(|row| row == values))
}

/// The row of a schedule like the entry's, which is made if there is none; and the column that names it.
async fn schedule_row(
    tables: &dyn Tables,
    entry: &Entry,
) -> Result<(&'static str, i64), BeatError> {
    let (column, table, fields) = model(entry)?;
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let table = format!("django_celery_beat_{table}");
    let same: Vec<_> = names.iter().map(|name| format!("{name} = ?")).collect();
    let find = format!("SELECT MIN(id) FROM {table} WHERE {}", same.join(" AND "));
    let marks = vec!["?"; names.len()].join(", ");
    let insert = format!(
        "INSERT INTO {table} ({}) VALUES ({marks})",
        names.join(", ")
    );
    for _ in 0..2 {
        let found = tables.fetch(&find, &values, &[Column::Integer]).await?;
        if let Some(id) = found.first().and_then(|row| row.first()?.integer()) {
            return Ok((column, id));
        }
        tables
            .write(&[Statement::new(&*insert, values.clone())])
            .await?;
    }
    let what = format!(
        "the schedule of \"{}\" was not found after it was written into {table}",
        entry.name
    );
    Err(BeatError::new(BeatErrorKind::Store, what))
}

type Fields = Vec<(&'static str, Value)>;

/// The column, the table and the fields that a schedule has in Django's models.
fn model(entry: &Entry) -> Result<(&'static str, &'static str, Fields), BeatError> {
    Ok(match &entry.schedule {
        Schedule::Interval(interval) => {
            let micros = interval.micros();
            let (every, period) = if micros % 1_000_000 == 0 {
                (micros / 1_000_000, "seconds")
            } else {
                (micros, "microseconds")
            };
            if i32::try_from(every).is_err() {
                let what = format!(
                    "the interval of \"{}\" does not fit into django-celery-beat's table",
                    entry.name
                );
                return Err(BeatError::new(BeatErrorKind::Entry, what));
            }
            let fields = vec![
                ("every", every.into()),
                ("period", period.to_owned().into()),
            ];
            ("interval_id", "intervalschedule", fields)
        }
        Schedule::Crontab(crontab) => {
            let mut fields: Fields = crontab
                .fields()
                .into_iter()
                .map(|(name, spec)| (name, spec.to_owned().into()))
                .collect();
            let zone = crontab.own_zone().map_or("UTC", chrono_tz::Tz::name);
            fields.push(("timezone", zone.to_owned().into()));
            ("crontab_id", "crontabschedule", fields)
        }
        Schedule::Clocked(time) => {
            let fields = vec![("clocked_time", (*time).into())];
            ("clocked_id", "clockedschedule", fields)
        }
        Schedule::Solar(_) => {
            let what = format!(
                "\"{}\" has a solar schedule; make it in Django's admin",
                entry.name
            );
            return Err(BeatError::new(BeatErrorKind::Entry, what));
        }
    })
}
